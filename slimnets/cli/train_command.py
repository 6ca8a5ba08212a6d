"""Trains a network, or goes on with the run that --train_dir holds.

The directory gets checkpoints (graph code restores them with tf.train.Saver),
TensorBoard summaries, log.csv, summary.json, and beside each checkpoint a JSON
file from which `slimnets evaluate` takes what it needs. Ctrl-C stops the run
after a checkpoint; the same command goes on from there.
"""

import contextlib
import faulthandler
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from absl import flags

from slimnets.cli import data_flags
from slimnets.cli.common import (
    UsageError,
    define_debug,
    define_fields,
    quiet_tensorflow,
    require,
    start_tensorflow,
)
from slimnets.training.cluster import CLUSTER_SETTINGS, check_cluster, set_cluster
from slimnets.training.config import TrainingConfig

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
    ("string", "trainable_scopes", "The only scopes, separated by commas, that train."),
    ("integer", "batch_size", "Images per step, over all devices."),
    ("integer", "max_number_of_steps", "When training ends; 1000 by default."),
    ("float", "number_of_epochs", "The same in epochs."),
    ("string", "loss", "softmax, or sigmoid for images of several classes."),
    ("float", "label_smoothing", "Share of a label spread over all classes."),
    ("float", "auxiliary_loss_weight", "Of the loss of the end point AuxLogits."),
    ("string", "optimizer", "sgd, momentum, nesterov, rmsprop, adam, adamw, adamax, "
     "nadam, adagrad, adadelta, adafactor, ftrl, lamb, lars, lion or muon."),
    ("float", "momentum", "Of momentum, nesterov, rmsprop, lars and muon."),
    ("float", "adam_beta1", "Of adam and its kin, lamb, lion and muon."),
    ("float", "adam_beta2", "Of the same."),
    ("float", "rmsprop_decay", "Of rmsprop."),
    ("float", "opt_epsilon", "Of all that divide by what may be small."),
    ("float", "adadelta_rho", "Of adadelta."),
    ("float", "adagrad_initial_accumulator_value", "Of adagrad."),
    ("float", "ftrl_learning_rate_power", "Of ftrl."),
    ("float", "ftrl_initial_accumulator_value", "Of ftrl."),
    ("float", "ftrl_l1", "Of ftrl."),
    ("float", "ftrl_l2", "Of ftrl."),
    ("float", "lars_trust", "Of lars: the trust coefficient."),
    ("float", "learning_rate", "The highest learning rate."),
    ("boolean", "learning_rate_per_256", "The learning rate is for 256 images a step."),
    ("string", "learning_rate_decay_type", "fixed, constant, cosine, linear, "
     "polynomial, exponential or steps."),
    ("float", "end_learning_rate", "Of cosine, linear and polynomial."),
    ("float", "decay_power", "Of polynomial."),
    ("float", "learning_rate_decay_factor", "Of exponential and steps: of each decay."),
    ("float", "number_of_decays", "Of exponential: over the run."),
    ("string", "decay_steps", "Of steps: when the rate falls, as 32000,48000."),
    ("string", "decay_epochs", "The same in epochs, as 30,60,80."),
    ("integer", "warmup_steps", "Steps in which the learning rate rises linearly."),
    ("float", "warmup_epochs", "The same in epochs."),
    ("float", "layer_rate_decay", "Factor of the learning rate from block to block, "
     "from the last to the root."),
    ("string", "learning_rate_scales", "Factors of the learning rate by scope, as "
     "resnet_v2_50/logits=10,resnet_v2_50/conv1=0."),
    ("float", "gradient_clip_norm", "Largest norm of all gradients together."),
    ("integer", "accumulation_steps", "Parts in which a step is computed."),
    ("float", "weight_decay", "Of weights of convolution and dense layers."),
    ("string", "weight_decay_type", "l2, a loss; or decoupled, the default of adamw, "
     "lamb, lion and muon."),
    ("float", "moving_average_decay", "Of averaged weights, which are evaluated."),
    ("string", "precision", "float32, bfloat16, or float16 with a scaled loss."),
    ("integer", "seed", "Of initial weights, data order, augmentation and dropout."),
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
    ("integer", "recalibrate_batches", "Batches over which batch norm's statistics "
     "are taken anew at the end."),
    ("integer", "save_interval_steps", "Steps between checkpoints."),
    ("integer", "keep_checkpoints", "How many of the latest checkpoints stay."),
    ("integer", "eval_interval_steps", "Steps between evaluations; 0 for the end "
     "alone."),
    ("boolean", "keep_best", "Keep the best evaluation's weights in best/."),
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
    define_fields(flag_values, TrainingConfig, FIELDS, REQUIRED)
    data_flags.define_input(flag_values)
    define_deterministic(flag_values)
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
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
    require(flag_values, command, *REQUIRED)
    values = {name: flag_values[name].value for name in names}
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
