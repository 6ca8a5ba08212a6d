"""Measures how fast networks are here: throughput, latency, memory, building.

NAMES are registered networks, separated by commas; without any it is the classic
resnet_v2_152, forward and training, at batch 32. Peers do the same work, in processes
of their own that take turns with slimnets'; ratios say how many times as fast slimnets
is. Of a machine that others use as well, only ratios are worth anything. With --best
all forms of a network that can be exported here take turns, and the fastest is named.
"""

import itertools
import shutil
import sys
from collections.abc import Sequence

from absl import flags

from slimnets.benchmarking.workload import (
    DEFAULT_FORM,
    FORMS,
    MODES,
    PEERS,
    TASKS,
    Work,
)
from slimnets.cli.command import Flag, UsageError, refuse
from slimnets.files import EXPORT_PRECISIONS
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("NAMES",)
_CLASSIC, _CLASSIC_BATCH = "resnet_v2_152", "32"
# fmt: off
FLAGS = (
    Flag("list", "batch_sizes", None, "Images at a time; 1 by default."),
    Flag("list", "image_sizes", None, "Heights and widths; the network's own by "
         "default."),
    Flag("list", "precisions", "float32", f"Some of {', '.join(EXPORT_PRECISIONS)}."),
    Flag("list", "modes", None, f"Some of {', '.join(MODES)}; forward by default."),
    Flag("list", "forms", DEFAULT_FORM, "How slimnets runs forward: exported as some "
         f"of {', '.join(FORMS[:-1])}, or as a {FORMS[-1]}."),
    Flag("list", "compare", "", f"Some of {', '.join(PEERS)}, as far as they are "
         "installed."),
    Flag("list", "output", "", "Files to write, which end in .json, .csv, or .png, "
         ".svg or .pdf for a plot."),
    Flag("boolean", "jit", False, "Compile slimnets' training, and its forward of "
         "--forms=model, with XLA; not for grouped and depthwise convolutions on a "
         "CPU."),
    Flag("enum", "task", None, "Of a head on the networks, with its usual settings and "
         "without suppression.", enum_values=TASKS),
    Flag("boolean", "best", False, "Time inference in all installed formats and "
         "precisions, and say which wins."),
    Flag("integer", "threads", None, "Threads of each process; its framework's choice "
         "by default.", lower_bound=1),
    Flag("integer", "turns", 10, "How often each has its turn, of about half a "
         "second.", lower_bound=1),
    Flag("integer", "num_classes", 1000, "Number of classes.", lower_bound=1),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    names = arguments[0].split(",") if arguments else [_CLASSIC]
    if flag_values.best:
        _race(flag_values, names)
        return
    classic = not arguments
    batches = flag_values.batch_sizes or [_CLASSIC_BATCH if classic else "1"]
    modes = flag_values.modes or (MODES if classic else MODES[:1])
    works = dict.fromkeys(
        Work(
            network=name,
            batch_size=batch,
            image_size=size,
            precision=precision,
            mode=mode,
            form=form if mode == "forward" else DEFAULT_FORM,
            threads=flag_values.threads,
            num_classes=flag_values.num_classes,
            jit=flag_values.jit,
            task=flag_values.task,
        )
        for name, mode, size, precision, batch, form in itertools.product(
            names,
            modes,
            _numbers("image_sizes", flag_values.image_sizes) or [None],
            flag_values.precisions,
            _numbers("batch_sizes", batches),
            flag_values.forms,
        )
    )
    start_tensorflow(flag_values.debug)
    from slimnets.benchmarking import comparison_table
    from slimnets.benchmarking.measuring import measure

    outputs = [
        comparison_table.checked_output(path) for path in flag_values.output if path
    ]
    print(comparison_table.machine())
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    shown: list[Work] = []

    def show(result: comparison_table.Result) -> None:
        if result.work not in shown:
            shown.append(result.work)
            print(f"\n{result.work}\n{comparison_table.header(width)}")
        print(comparison_table.row(result, width), flush=True)

    results = measure(
        works,
        compare=[name for name in flag_values.compare if name],
        turns=flag_values.turns,
        report=show,
    )
    for path in outputs:
        comparison_table.write(results, path)
        print(f"written to {path}")


_NOT_OF_BEST = ("precisions", "modes", "forms", "compare", "output", "jit", "task")


def _race(flag_values: flags.FlagValues, names: Sequence[str]) -> None:
    """Names the fastest form of each network, at each batch and image size."""
    refuse(flag_values, _NOT_OF_BEST, "with --best, which has all")
    batches = _numbers("batch_sizes", flag_values.batch_sizes) or [1]
    sizes = _numbers("image_sizes", flag_values.image_sizes) or [None]
    start_tensorflow(flag_values.debug)
    from slimnets.benchmarking.comparison_table import machine
    from slimnets.benchmarking.fastest import race

    print(machine())
    for name, batch, size in itertools.product(names, batches, sizes):
        print(f"\n{name}, batch {batch}", flush=True)
        print(
            race(
                name,
                batch_size=batch,
                image_size=size,
                threads=flag_values.threads,
                turns=flag_values.turns,
                num_classes=flag_values.num_classes,
            )
        )


def _numbers(name: str, texts: Sequence[str] | None) -> list[int]:
    try:
        numbers = [int(text) for text in texts or ()]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise UsageError(f"--{name}={','.join(texts)}; allowed are whole numbers > 0")
    return numbers
