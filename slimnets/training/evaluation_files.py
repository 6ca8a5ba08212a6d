"""An evaluation as files: tables, JSON and a picture of the confusion matrix."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from typing import Any

from slimnets.files import write_table
from slimnets.training.figures import draw
from slimnets.training.measures import Evaluation

SUMMARY, CLASSES = "evaluation.json", "classes.csv"
CORRUPTIONS = "corruptions.csv"
CONFUSION, PICTURE = "confusion.csv", "confusion.png"
CORRUPTION_HEADINGS = ("corruption", "1", "2", "3", "4", "5", "mean")
# Up to so many classes the picture has their names and numbers.
_NAMED = 40


def write_report(evaluation: Evaluation, directory: str, picture: bool) -> list[str]:
    """Writes an evaluation's files into a directory, which is made.

    `evaluation.json` has the counts and measures, `classes.csv` a row for each class,
    `confusion.csv` examples by their class (rows) and the one predicted (columns), and
    `confusion.png` the same as a picture; `corruptions.csv` the accuracies under
    corruptions, if these were measured.

    Args:
        evaluation: what to write; images of several classes have no confusion matrix.
        directory: where to.
        picture: whether to draw the picture; without matplotlib it is left out, and
            one line on standard error says so.

    Returns:
        The paths of the files.

    Raises:
        ValueError: if a picture is asked for, and there is no confusion matrix.
    """
    if picture and evaluation.confusion is None:
        raise ValueError(
            "plot is of no effect: images of several classes have no confusion matrix."
        )
    os.makedirs(directory, exist_ok=True)
    rows = evaluation.class_rows()
    names = [str(row["name"]) for row in rows]
    paths = [os.path.join(directory, SUMMARY), os.path.join(directory, CLASSES)]
    with open(paths[0], "w", encoding="utf-8") as file:
        json.dump(_summary(evaluation), file, indent=2, sort_keys=True)
        file.write("\n")
    write_table(paths[1], list(rows[0]), (row.values() for row in rows))
    if evaluation.confusion is not None:
        paths.append(os.path.join(directory, CONFUSION))
        matrix = evaluation.confusion.tolist()
        write_table(
            paths[-1],
            ["class", *names],
            ([name, *row] for name, row in zip(names, matrix, strict=True)),
        )
    if rows := evaluation.corruption_rows():
        paths.append(os.path.join(directory, CORRUPTIONS))
        write_table(paths[-1], CORRUPTION_HEADINGS, rows)
    if picture:
        side = min(16.0, 4.0 + 0.35 * len(names))
        fill = functools.partial(_draw, evaluation, names)
        paths += draw(os.path.join(directory, PICTURE), (side, side), fill)
    return paths


def _summary(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "result": str(evaluation),
        "split": evaluation.split,
        "correct": evaluation.correct,
        "total": evaluation.total,
        "top5_correct": evaluation.top5_correct,
        "accuracy_interval": list(evaluation.accuracy_interval),
        "bad_records": dict(evaluation.bad_records),
        "seconds": round(evaluation.seconds, 3),
        **evaluation.summaries,
    }


def _draw(evaluation: Evaluation, names: Sequence[str], axes: Any) -> None:
    """Shares of each class's examples, dark for many."""
    counts = evaluation.confusion
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set(xlabel="predicted", ylabel="class", title=str(evaluation))
    if len(names) > _NAMED:
        return
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    for row, column in zip(*counts.nonzero(), strict=True):
        color = "white" if shares[row, column] > 0.5 else "black"
        number = str(counts[row, column])
        axes.text(column, row, number, ha="center", va="center", color=color)
