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

from slimnets.cli import setting_flags, tasks, weights_flags
from slimnets.cli.command import Flag, UsageError, require
from slimnets.cli.messages import in_flags
from slimnets.quiet import quiet_tensorflow, start_tensorflow
from slimnets.settings import RUN, settings_of
from slimnets.training.cluster import CLUSTER_SETTINGS, check_cluster, set_cluster
from slimnets.training.continuing import own_settings
from slimnets.training.training_config import TrainingConfig

# How long one of several processes waits at its start until all are there.
SECONDS_TO_START = 600


def flags_of(config: type[TrainingConfig]) -> list[Flag]:
    """The flags of every command that trains."""
    deterministic = Flag(
        "boolean",
        "deterministic",
        False,
        "Have TensorFlow use deterministic kernels only.",
        module_name=RUN,
    )
    names = settings_of(config).keys() - getattr(config, "unused", ())
    return [*setting_flags.of(config, names), deterministic]


# fmt: off
FLAGS = (
    Flag("enum", "task", "classify", "What for; detect is train-detector and segment "
         "is train-segmenter, whose help names their flags.",
         enum_values=tuple(tasks.COMMANDS), module_name=RUN),
    *flags_of(TrainingConfig),
    weights_flags.WEIGHTS,
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    if tasks.COMMANDS[flag_values.task] != tasks.TRAIN:
        raise UsageError(
            f"--task={flag_values.task} must stand on the command line itself, not in "
            "a flagfile, since it says which flags there are"
        )
    weights_flags.take_weights(flag_values)
    train(flag_values, "train", TrainingConfig)


def train(
    flag_values: flags.FlagValues,
    command: str,
    config: type[TrainingConfig],
    make_task: Callable[[], object] = lambda: None,
) -> None:
    """Trains as the flags of the config say; prints the measure as the last line.

    Args:
        flag_values: the command's.
        command: its name.
        config: what it is told.
        make_task: see `training.train`.
    """
    started = time.monotonic()
    require(flag_values, command, "train_dir")
    values = setting_flags.values(flag_values, config)
    given = {name for name in values if flag_values[name].present}
    own = own_settings(flag_values.train_dir, given)
    values |= {name: own[name] for name in values.keys() & own.keys() - given}
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
