"""Trains a network, or goes on with the run that --train_dir holds.

The directory gets checkpoints (graph code restores them with tf.train.Saver),
TensorBoard summaries, log.csv, summary.json, and beside each checkpoint a JSON
file from which `slimnets evaluate` takes what it needs. Ctrl-C stops the run
after a checkpoint; the same command goes on from there, and so does --train_dir
alone: flags that are not given are then the run's own.
"""

import contextlib
import faulthandler
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from absl import flags

from slimnets.cli import build_flags, data_flags, tasks, weights_flags
from slimnets.cli.command import (
    UsageError,
    define_debug,
    define_fields,
    quiet_tensorflow,
    require,
    start_tensorflow,
)
from slimnets.cli.messages import in_flags
from slimnets.training.cluster import CLUSTER_SETTINGS, check_cluster, set_cluster
from slimnets.training.continuing import own_settings
from slimnets.training.training_config import TrainingConfig

# How long one of several processes waits at its start until all are there.
SECONDS_TO_START = 600

ARGUMENTS = ()
REQUIRED = ("model_name", "train_dir")

# Flags of TrainingConfig's fields of the same name, which have the defaults.
FIELDS = (
    ("string", "model_name", "Name of the network; slimnets list names all."),
    ("string", "train_dir", "Directory of checkpoints and logs."),
    ("string", "checkpoint_path", "Where a new run takes its weights from: any file "
     "that slimnets convert reads."),
    ("string", "checkpoint_exclude_scopes", "Scopes, separated by commas, whose "
     "weights are not taken from --checkpoint_path."),
    *weights_flags.FIELDS,
    *build_flags.RULES,
    ("string", "norm", "The network's norm: batch, frozen, sync or group."),
    ("integer", "freeze_at", "How many of the network's stages do not train: 1 is the "
     "root, 2 the first block too."),
    ("string", "trainable_scopes", "The only scopes, separated by commas, that train; "
     "the statistics of batch norms in all others stay as they are."),
    ("boolean", "update_frozen_statistics", "With --trainable_scopes, let all batch "
     "norms update their statistics, as TF-Slim does."),
    ("integer", "batch_size", "Images per step, over all devices."),
    ("integer", "max_number_of_steps", "When training ends; 1000 by default."),
    ("float", "number_of_epochs", "When training ends, in epochs; instead of steps."),
    ("string", "loss", "softmax, sigmoid for images of several classes, or focal."),
    ("float", "focal_gamma", "How much less focal loss counts what is known already; 2 "
     "by default."),
    ("string", "class_weights", "Factor of each class's loss: balanced, for the "
     "inverse of its share of the images, or a file of lines class,weight."),
    ("float", "label_smoothing", "Share of a label spread over all classes."),
    ("float", "auxiliary_loss_weight", "Weight of the loss of the end "
     "point AuxLogits; none by default."),
    ("string", "optimizer", "sgd, momentum, nesterov, rmsprop, adam, adamw, adamax, "
     "nadam, adagrad, adadelta, adafactor, ftrl, lamb, lars, lion or muon."),
    ("float", "momentum", "Share of the last update in the next, of momentum, "
     "nesterov, rmsprop, lars and muon; 0.9 by default, of muon 0.95."),
    ("float", "adam_beta1", "Decay of the gradients' average, of adam and its kin, "
     "lamb, lion and muon; 0.9 by default."),
    ("float", "adam_beta2", "Decay of the squared gradients' average, of adam and its "
     "kin, lamb, lion and muon; 0.999 by default, of lion 0.99."),
    ("float", "rmsprop_decay", "Decay of the squared gradients' average of rmsprop; "
     "0.9 by default."),
    ("float", "opt_epsilon", "What is added to a divisor, of all optimizers that "
     "divide by what may be small."),
    ("float", "adadelta_rho", "Decay of the squared gradients' average of adadelta; "
     "0.95 by default."),
    ("float", "adagrad_initial_accumulator_value", "What adagrad's sums of squared "
     "gradients begin with; 0.1 by default."),
    ("float", "ftrl_learning_rate_power", "Power of ftrl's accumulator that divides "
     "the learning rate; -0.5 by default."),
    ("float", "ftrl_initial_accumulator_value", "What ftrl's accumulator begins "
     "with; 0.1 by default."),
    ("float", "ftrl_l1", "Strength of ftrl's L1 regularization; 0.0 by default."),
    ("float", "ftrl_l2", "Strength of ftrl's L2 regularization; 0.0 by default."),
    ("float", "lars_trust", "The trust coefficient of lars; 0.001 by default."),
    ("float", "learning_rate", "The highest learning rate; by default the "
     "optimizer's own for this batch size."),
    ("boolean", "learning_rate_per_256", "The learning rate is for 256 images a step."),
    ("string", "learning_rate_decay_type", "fixed, constant, cosine, linear, "
     "polynomial, exponential or steps."),
    ("float", "end_learning_rate", "Learning rate at the end of cosine, linear and "
     "polynomial; 0 by default."),
    ("float", "decay_power", "Power of the polynomial schedule; 2 by default."),
    ("float", "learning_rate_decay_factor", "Factor of the learning rate at each decay "
     "of exponential and steps; 0.1 by default."),
    ("float", "number_of_decays", "How often exponential decays over the run; 3 by "
     "default."),
    ("string", "decay_steps", "When the rate of the schedule steps falls, as "
     "32000,48000."),
    ("string", "decay_epochs", "When the rate of the schedule steps falls, in epochs, "
     "as 30,60,80."),
    ("integer", "warmup_steps", "Steps in which the learning rate rises linearly."),
    ("float", "warmup_epochs", "Epochs in which the learning rate rises linearly."),
    ("float", "layer_rate_decay", "Factor of the learning rate from block to block, "
     "from the last to the root."),
    ("string", "learning_rate_scales", "Factors of the learning rate by scope, as "
     "resnet_v2_50/logits=10,resnet_v2_50/conv1=0."),
    ("float", "gradient_clip_norm", "Largest norm of all gradients together."),
    ("integer", "accumulation_steps", "Parts in which a step is computed."),
    ("float", "weight_decay", "Decay of the weights of convolution and "
     "dense layers."),
    ("string", "weight_decay_type", "l2, a loss; or decoupled, the default of adamw, "
     "lamb, lion and muon."),
    ("float", "moving_average_decay", "Decay of averages of the "
     "weights, which are then evaluated; none by default."),
    ("string", "precision", "float32, bfloat16, or float16 with a scaled loss."),
    ("string", "teacher", "A trained network, a checkpoint or an export, whose "
     "probabilities this one is to have."),
    ("float", "teacher_weight", "Share of the teacher in the loss; 0.5 by default."),
    ("float", "teacher_temperature", "At which probabilities are compared; 4 by "
     "default."),
    ("integer", "seed", "Seed of initial weights, data order, augmentation and "
     "dropout."),
    ("string", "strategy", "one device, mirrored over all GPUs, multi_worker, tpu, or "
     "parameter_server, whose workers update the weights without waiting for each "
     "other: each step is one worker's, with a batch of its own, and runs differ."),
    ("string", "workers", "Of multi_worker: host:port,... of all; or set TF_CONFIG. Of "
     "parameter_server: of those that compute; each reads the part of the images that "
     "its index says, so that they see all of them together."),
    ("integer", "task_index", "Which of the workers this is; in multi_worker 0 is the "
     "chief. Of parameter_server: which worker, or which parameter server."),
    ("string", "chief", "Of parameter_server: host:port of the process that evaluates "
     "and writes."),
    ("string", "parameter_servers", "Of parameter_server: host:port,... of those that "
     "keep the weights."),
    ("string", "task_type", "Of parameter_server: what this process is, chief, worker "
     "or ps."),
    ("string", "tpu", "Address of the TPU; this machine's by default."),
    ("boolean", "recompute", "Save memory: keep only the inputs of the root and of "
     "the units for the gradients."),
    ("boolean", "jit", "Compile the gradients of a step with XLA, on one device; not "
     "for grouped and depthwise convolutions on a CPU."),
    ("float", "batch_norm_decay", "Decay of batch norm's moving averages at most; "
     "the network's own by default."),
    ("integer", "recalibrate_batches", "Batches over which batch norm's statistics "
     "are taken anew at the end."),
    ("integer", "save_interval_steps", "Steps between checkpoints."),
    ("integer", "keep_checkpoints", "How many of the latest checkpoints stay."),
    ("integer", "eval_interval_steps", "Steps between evaluations; 0 for the end "
     "alone."),
    ("integer", "early_stop_patience", "End after so many evaluations that are no "
     "better than the best before them; never by default."),
    ("string", "early_stop_metric", "Which measure that is: accuracy by default, "
     "top5_accuracy, calibration_error ..."),
    ("boolean", "keep_best", "Keep the best evaluation's weights in best/."),
    ("boolean", "allow_changes", "Let a run that goes on do so with another batch_size "
     "or learning rate, or another schedule of it."),
    ("integer", "max_recoveries", "How often a loss that is not finite sends the run "
     "back to its last checkpoint."),
    ("integer", "log_every_n_steps", "Steps between summaries."),
    ("integer", "image_summaries", "Images of a batch in TensorBoard."),
    ("boolean", "histograms", "Variables' values in TensorBoard."),
    ("boolean", "graph_summary", "The network's graph in TensorBoard."),
)  # fmt: skip


def define_deterministic(flag_values: flags.FlagValues) -> None:
    """Defines --deterministic, which every command that trains has."""
    flags.DEFINE_boolean(
        "deterministic",
        False,
        "Have TensorFlow use deterministic kernels only.",
        flag_values=flag_values,
    )


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "task",
        "classify",
        tuple(tasks.COMMANDS),
        "What for; detect is train-detector and segment is train-segmenter, whose help "
        "names their flags.",
        flag_values=flag_values,
    )
    define_fields(flag_values, TrainingConfig, FIELDS, REQUIRED)
    data_flags.define_input(flag_values)
    define_deterministic(flag_values)
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if tasks.COMMANDS[flag_values.task] != tasks.TRAIN:
        raise UsageError(
            f"--task={flag_values.task} must stand on the command line itself, not in "
            "a flagfile, since it says which flags there are"
        )
    names = [*(name for _, name, _ in FIELDS), *data_flags.NAMES]
    train(flag_values, "train", TrainingConfig, names)


def train(
    flag_values: flags.FlagValues,
    command: str,
    config: type[TrainingConfig],
    names: Sequence[str],
    make_task: Callable[[], object] = lambda: None,
) -> None:
    """Trains as the flags of these names say; prints the measure as the last line."""
    started = time.monotonic()
    require(flag_values, command, "train_dir")
    values = {name: flag_values[name].value for name in names}
    given = {name for name in names if flag_values[name].present}
    own = own_settings(flag_values.train_dir, given)
    values |= {name: own[name] for name in names if name in own and name not in given}
    if not values["model_name"]:
        require(flag_values, command, "model_name")
    chosen = values["strategy"]
    cluster = {name: values[name] for name in CLUSTER_SETTINGS}
    check_cluster(chosen, **cluster)
    if chosen == "parameter_server":
        if flag_values.deterministic:
            raise UsageError(
                "--deterministic is of no effect with --strategy=parameter_server, "
                "whose workers update the weights in no fixed order"
            )
        found = set_cluster(chosen, **cluster)
        if found["task"]["type"] != "chief":
            _serve(found, values["train_dir"], flag_values.debug)
            return
    with quiet_tensorflow(flag_values.debug):
        from slimnets.training import strategies, train
    # Several processes must find each other before anything is computed. A traceback
    # of a thread that runs, as it does in imports, would not be safe to take.
    with _bounded_wait(chosen), quiet_tensorflow(flag_values.debug):
        strategy = strategies.make_strategy(chosen, **cluster)
    start_tensorflow(flag_values.debug)
    if flag_values.deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    settings = config(**values)
    result = train(settings, make_task(), strategy=strategy)
    if result.hint:
        hint = in_flags(result.hint, list(flag_values))
        print(f"slimnets: {hint}", file=sys.stderr, flush=True)
    print(
        f"{result.evaluation}, {time.monotonic() - started:.0f} s, "
        f"files in {os.path.abspath(settings.train_dir)}"
    )


def _serve(cluster: dict, train_dir: str, debug: bool) -> None:
    """Is a worker or a parameter server, and prints how the run ended."""
    with quiet_tensorflow(debug):
        from slimnets.training import parameter_server
    task = cluster["task"]
    name = f"{task['type']} {task['index']}"
    print(
        f"slimnets: {name} serves the chief at {cluster['cluster']['chief'][0]}, and "
        f"waits {parameter_server.SECONDS_WITHOUT_CHIEF} s at most while it is away",
        file=sys.stderr,
        flush=True,
    )
    print(f"{name}: the run has ended: {parameter_server.serve(cluster, train_dir)}")


@contextlib.contextmanager
def _bounded_wait(strategy: str) -> Iterator[None]:
    """Ends the process if it waits for other workers for too long."""
    if strategy not in ("multi_worker", "parameter_server"):
        yield
        return
    print(
        f"slimnets: waits for all workers, {SECONDS_TO_START} s at most",
        file=sys.stderr,
        flush=True,
    )
    # TensorFlow waits far longer, and neither signals nor threads of Python get through
    # to it; faulthandler's thread is none of Python's.
    with os.fdopen(os.dup(2), "w") as screen:
        faulthandler.dump_traceback_later(SECONDS_TO_START, exit=True, file=screen)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
