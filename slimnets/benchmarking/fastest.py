"""Which form of a network is the fastest here: formats and precisions, in turns.

What is fastest differs from processor to processor: one multiplies bfloat16, one int8,
one neither. Each form is exported, compared with the network in float32, and timed in a
process of its own; the processes take turns. What else the machine does slows some more
than others, such as threads that wait for each other: a step counts without the share
of its time in which its threads were ready and other work ran.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from slimnets.benchmarking import prepare
from slimnets.benchmarking.comparison_table import machine, quartiles
from slimnets.benchmarking.turns import in_turns
from slimnets.benchmarking.workload import OWN, Work, file_of
from slimnets.checkpoints.base import add_metadata, draft_directory
from slimnets.export.checkpoint import Accuracies, export_trained
from slimnets.export.exporting import move_export
from slimnets.export.formats import FORMATS
from slimnets.listing import one_line
from slimnets.trained import CLASSIFICATION, Trained

# float16 is no processor's; a frozen graph is what a SavedModel runs.
_FORMS = ("onnx", "openvino", "tflite", "saved_model")
_PRECISIONS = ("float32", "bfloat16", "int8")
_QUIET = 0.05  # Of the time; less goes without saying.
_HEADINGS = ("form", "precision", "images/s", "of best", "quartiles", "same class")


@dataclasses.dataclass(frozen=True)
class Form:
    """A format in a precision, and what was found of it.

    Attributes:
        format, precision: see `slimnets.export`.
        path: where it is exported to.
        accuracies: beside the network in float32; None where that was not measured.
        images_per_second: at the median step; None for one that was not timed.
        of_best: its share of the fastest's images in a second, the median over turns.
        low, high: the quartiles of that.
        left_out: why it was not timed, or may not win.
    """

    format: str
    precision: str
    path: str = ""
    accuracies: Accuracies | None = None
    images_per_second: float | None = None
    of_best: float | None = None
    low: float | None = None
    high: float | None = None
    left_out: str = ""

    def __str__(self) -> str:
        return f"{self.format} in {self.precision}"

    def cells(self) -> list[str]:
        """What its row in a table says."""
        if self.images_per_second is None:
            return [self.format, self.precision, self.left_out]
        same = f"{100 * self.accuracies.same:.2f} %" if self.accuracies else "-"
        return [
            self.format,
            self.precision,
            f"{self.images_per_second:.1f}",
            f"{self.of_best:.2f}",
            f"{self.low:.2f}-{self.high:.2f}",
            same,
            self.left_out,
        ]


@dataclasses.dataclass(frozen=True)
class Race:
    """All forms, the fastest first.

    Attributes:
        forms: those that were timed, by speed; then the others.
        batch_size: images at a time.
        threads: of each; None for each one's own choice.
        waiting: the share of the forms' time in which other work had the processors.
    """

    forms: Sequence[Form]
    batch_size: int
    threads: int | None
    waiting: float

    @property
    def best(self) -> Form | None:
        """The fastest; None if none was timed."""
        return next((f for f in self.forms if f.images_per_second), None)

    @property
    def equals(self) -> list[Form]:
        """Those that are the fastest in a quarter of the turns, too."""
        return [
            form
            for form in self.forms
            if form is not self.best and form.high is not None and form.high >= 1
        ]

    def to_json(self) -> dict[str, Any]:
        """For the metadata beside an export."""
        forms = [dataclasses.asdict(form) for form in self.forms]
        for form in forms:
            del form["path"]
        return {**dataclasses.asdict(self), "forms": forms, "machine": machine()}

    def __str__(self) -> str:
        rows = [_HEADINGS, *(form.cells() for form in self.forms)]
        lines = [
            f"{row[0]:<12}{row[1]:<10}" + "".join(f"{c:>13}" for c in row[2:6])
            if len(row) > 3
            else f"{row[0]:<12}{row[1]:<10}   {row[2]}"
            for row in rows
        ]
        if self.best is None:
            return "\n".join([*lines, "none of them can be run here"])
        if self.waiting > _QUIET:
            lines.append(
                f"other work had the processors for {self.waiting:.0%} of the time, "
                "which is not counted"
            )
        verdict = f"fastest: {self.best}"
        if self.equals:
            verdict += f", and as fast {', '.join(map(str, self.equals))}"
        elif self.forms[1:] and self.forms[1].of_best:
            verdict += f", {1 / self.forms[1].of_best:.2f} times {self.forms[1]}"
        return "\n".join([*lines, verdict])


def race(
    network: str,
    *,
    batch_size: int = 1,
    image_size: int | None = None,
    threads: int | None = None,
    turns: int = 10,
    num_classes: int = 1000,
) -> Race:
    """Times a registered network in all forms, with new weights.

    Args:
        network: its name.
        batch_size, image_size, threads, num_classes: see `Work`.
        turns: how often each form has its turn, of about half a second.

    Raises:
        ValueError: for an unknown network, or one without an image size.
    """

    def write(work: Work, directory: str) -> None:
        prepare.write(work, directory, OWN)

    work = Work(
        network, batch_size, image_size, threads=threads, num_classes=num_classes
    ).sized()
    with tempfile.TemporaryDirectory() as directory:
        return _timed(list(_written(work, directory, write)), work, turns)


def export_fastest(
    trained: Trained,
    output: str,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
    turns: int = 10,
    max_difference: float = 0.005,
    max_accuracy_drop: float | None = None,
    calibration_images: int | None = None,
    show: Callable[[Form], None] = lambda form: None,
    **options: Any,
) -> tuple[str, Race]:
    """Exports a trained network in the form that is the fastest here.

    Args:
        trained: the network; its dataset's test images tell what a form loses.
        output: the path without an ending, which is the format's.
        batch_size: a fixed number of images at a time; None for any, timed at one.
        threads, turns: see `race`.
        max_difference: the largest share of test images whose class may change.
        max_accuracy_drop: the largest loss of accuracy, in points, in the place of
            max_difference.
        calibration_images: how many images int8 is calibrated with.
        show: called with each form as it is exported.
        **options: see `export_trained`.

    Returns:
        The path, and how all forms did, which stands in the metadata too.

    Raises:
        ValueError: if no form is good enough, or output has an ending; for a head.
    """
    trained.check_task(CLASSIFICATION)
    if any(f.ending and output.endswith(f.ending) for f in FORMATS.values()):
        raise ValueError(f"output={output!r} has an ending; the fastest form gives it.")

    classes: list[np.ndarray] = []  # Of the network itself, for all forms.

    def write(work: Work, directory: str) -> Accuracies | None:
        _, accuracies = export_trained(
            trained,
            file_of(OWN, work, directory).path,
            format=work.form,
            precision=work.precision,
            batch_size=batch_size,
            measure=True,
            known=classes,
            calibration_images=calibration_images if work.precision == "int8" else None,
            tolerance=float("inf") if work.precision != "float32" else None,
            **options,
        )
        return accuracies

    work = Work(
        trained.network.network_name,
        batch_size or 1,
        trained.image_size,
        threads=threads,
        num_classes=trained.num_classes or 0,
    )
    with draft_directory(output) as directory:
        forms = []
        for form in _written(work, directory, write):
            lost = _lost(form, max_difference, max_accuracy_drop)
            forms.append(dataclasses.replace(form, left_out=form.left_out or lost))
            show(forms[-1])
        result = _timed(forms, work, turns)
        if result.best is None:
            raise ValueError(f"No form is good enough:\n{result}")
        chosen = FORMATS[result.best.format]
        path = output + chosen.ending
        add_metadata(result.best.path, fastest=result.to_json())
        move_export(chosen.files(result.best.path), chosen.files(path))
    return path, result


def _written(
    work: Work, directory: str, write: Callable[[Work, str], Accuracies | None]
) -> Iterator[Form]:
    """Exports a network in all forms that can be had."""
    for format in _FORMS:
        for precision in _PRECISIONS:
            if precision not in FORMATS[format].precisions:
                continue
            own = dataclasses.replace(work, form=format, precision=precision)
            place = os.path.join(directory, f"{format}-{precision}")
            os.mkdir(place)
            form = Form(format, precision, file_of(OWN, own, place).path)
            try:
                yield dataclasses.replace(form, accuracies=write(own, place))
            except (ImportError, ValueError) as error:
                yield dataclasses.replace(form, left_out=one_line(error))


def _lost(form: Form, max_difference: float, max_accuracy_drop: float | None) -> str:
    """Why a form may not win: what it loses; empty if it may."""
    found = form.accuracies
    if found is None:
        return ""
    if max_accuracy_drop is not None:
        dropped = -found.change
        return f"loses {dropped:.2f} points" if dropped > max_accuracy_drop else ""
    changed = 1 - found.same
    if changed <= max_difference:
        return ""
    return f"changes {100 * changed:.2f} % of classes"


def _timed(forms: Sequence[Form], work: Work, turns: int) -> Race:
    """Times the forms that are not left out, in turns."""
    children = in_turns(
        {
            form: (
                OWN,
                dataclasses.replace(work, form=form.format, precision=form.precision),
                os.path.dirname(form.path),
            )
            for form in forms
            if not form.left_out
        },
        turns,
    )
    timed = {form: child for form, child in children.items() if not child.error}
    steps = {
        form: [
            share * statistics.median(turn)
            for turn, share in zip(child.turns, child.shares, strict=True)
        ]
        for form, child in timed.items()
    }
    shares = [share for child in timed.values() for share in child.shares]
    ordered = sorted(steps, key=lambda form: statistics.median(steps[form]))
    figures = [_with_figures(f, steps[f], steps[ordered[0]], work) for f in ordered]
    others = [
        dataclasses.replace(form, left_out=form.left_out or children[form].error)
        for form in forms
        if form not in steps
    ]
    waiting = 1 - statistics.median(shares) if shares else 0.0
    return Race([*figures, *others], work.batch_size, work.threads, waiting)


def _with_figures(
    form: Form, steps: Sequence[float], best: Sequence[float], work: Work
) -> Form:
    """Adds what its turns say beside the best one's."""
    low, of_best, high = quartiles(
        ours / own for own, ours in zip(steps, best, strict=True)
    )
    return dataclasses.replace(
        form,
        images_per_second=work.batch_size / statistics.median(steps),
        of_best=of_best,
        low=low,
        high=high,
    )
