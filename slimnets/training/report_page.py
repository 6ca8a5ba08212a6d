"""An evaluation, and the run that it is of, as one HTML page that needs no other file.

The page has the curves of the run's log, the confusion matrix, every class's measures,
the images that were most wrong, and what was run.
"""

from __future__ import annotations

import dataclasses
import html
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.trained import Trained
from slimnets.training.curves import svg_of
from slimnets.training.evaluation_files import CORRUPTION_HEADINGS
from slimnets.training.measures import Evaluation
from slimnets.training.run_files import BEST, log_of, summary_of
from slimnets.training.training_config import TrainingConfig
from slimnets.training.wrong_pictures import Wrong, most_wrong
from slimnets.version import __version__

ENDING = ".html"
# With more classes the pairs that are mistaken most often stand for the matrix.
_MATRIX, _PAIRS = 40, 30
# What each plot shows of the log.
_PLOTS = {
    "loss": ("loss",),
    "accuracy": ("train_accuracy", "test_accuracy"),
    "learning rate": ("learning_rate",),
}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1100px;
       margin: 2em auto; padding: 0 1em; overflow-wrap: anywhere; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 13px; }
td, th { padding: 2px 8px; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid #999; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; overflow-wrap: normal; }
.facts .number { text-align: left; } .facts td:first-child { overflow-wrap: normal; }
.matrix td { text-align: center; padding: 2px 5px; }
.matrix thead th { writing-mode: vertical-rl; transform: rotate(180deg); }
.plots, .pictures { display: flex; flex-wrap: wrap; gap: 14px; }
svg { width: 350px; } svg text { font: 11px system-ui, sans-serif; }
svg text.title { font-weight: bold; font-size: 13px; }
.grid { stroke: #ddd; }
figure { margin: 0; width: 136px; font-size: 12px; }
figure img { width: 128px; image-rendering: pixelated; }
figure img.photo { width: auto; image-rendering: auto; }
figure small { color: #666; }
pre { white-space: pre-wrap; background: #f4f4f4; padding: 8px; }
"""


def write_page(path: str, evaluation: Evaluation, trained: Trained) -> None:
    """Writes the page.

    Args:
        path: the file.
        evaluation: one that has kept the logits.
        trained: the network that it is of; a run's log is looked for beside it.
    """
    run = run_of(trained)
    parts = [
        table(["measure", "value"], _measures(evaluation)),
        section("Learning", plots(run, _PLOTS), "plots"),
        section("Confusions", _confusions(evaluation), "wide"),
        section("Classes", _classes(evaluation), "wide"),
        section(
            "Corrupted images, accuracy by strength", _corrupted(evaluation), "wide"
        ),
        section("Most wrong", _pictures(most_wrong(evaluation)), "pictures"),
        section("What was run", facts(trained, run), "facts"),
    ]
    write_html(path, trained, str(evaluation), parts)


def run_of(trained: Trained) -> str:
    """The directory of the run that a network is of."""
    run = os.path.dirname(trained.path)
    return os.path.dirname(run) if os.path.basename(run) == BEST else run


def write_html(path: str, trained: Trained, line: str, parts: Sequence[str]) -> None:
    """Writes a page about a network: a line that says how good it is, and parts."""
    name = trained.metadata.get("model_name") or os.path.basename(trained.path)
    parts = [f"<h1>{_escaped(name)}</h1><p>{_escaped(line)}</p>", *parts]
    # Names of files and classes need not be UTF-8.
    with open(path, "w", encoding="utf-8", errors="replace") as file:
        file.write(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{_escaped(name)}</title><style>{_STYLE}</style></head>\n<body>\n"
            + "\n".join(parts)
            + "\n</body></html>\n"
        )


def section(title: str, content: str, kind: str = "") -> str:
    """A part of the page, if there is anything in it."""
    if not content:
        return ""
    return f'<h2>{title}</h2>\n<div class="{kind}">{content}</div>'


def _measures(evaluation: Evaluation) -> list[tuple[str, Any]]:
    low, high = evaluation.accuracy_interval
    values = {k.removeprefix("test_"): v for k, v in evaluation.summaries.items()}
    rows = [(name, f"{value:.4f}") for name, value in values.items()]
    rows.insert(1, ("95 % interval of accuracy", f"{low:.4f} to {high:.4f}"))
    rows.append((f"{evaluation.split} examples", evaluation.total))
    if evaluation.bad_records:
        rows.append(("left out", len(evaluation.bad_records)))
    return rows


def plots(run: str, columns_by_title: Mapping[str, Sequence[str]]) -> str:
    """The curves of a run's log, for each title those of some columns."""
    rows = log_of(run)
    drawn = []
    for title, columns in columns_by_title.items():
        lines = {
            name: [(int(row["step"]), float(row[name])) for row in rows if name in row]
            for name in columns
        }
        drawn.append(
            svg_of(title, {name: line for name, line in lines.items() if line})
        )
    return "\n".join(filter(None, drawn))


def _confusions(evaluation: Evaluation) -> str:
    counts = evaluation.confusion
    if counts is None:
        return ""
    names = [row["name"] for row in evaluation.class_rows()]
    if len(names) > _MATRIX:
        return _pairs(counts, names)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    head = "".join(f"<th>{_escaped(name)}</th>" for name in names)
    lines = []
    for name, row, colors in zip(names, counts, shares, strict=True):
        cells = [
            f'<td style="background:rgb(33 102 172/{100 * share:.0f}%);'
            f'color:{"#fff" if share > 0.5 else "#222"}">{number or ""}</td>'
            for number, share in zip(row.tolist(), colors.tolist(), strict=True)
        ]
        lines.append(f"<tr><th>{_escaped(name)}</th>{''.join(cells)}</tr>")
    return (
        "<p>Rows are classes, columns what was predicted.</p>"
        f'<table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _pairs(counts: np.ndarray, names: Sequence[str]) -> str:
    """The confusions that are most frequent."""
    mistaken = counts - np.diag(np.diag(counts))
    order = np.argsort(-mistaken, axis=None, kind="stable")[:_PAIRS]
    places = np.stack(np.unravel_index(order, counts.shape), axis=1).tolist()
    rows = [(names[i], names[j], mistaken[i, j]) for i, j in places if mistaken[i, j]]
    return table(["class", "predicted", "examples"], rows)


def _classes(evaluation: Evaluation) -> str:
    rows = evaluation.class_rows()
    shown = [[_shown(value) for value in row.values()] for row in rows]
    return table([name.replace("_", " ") for name in rows[0]], shown)


def _corrupted(evaluation: Evaluation) -> str:
    rows = [list(map(_shown, row)) for row in evaluation.corruption_rows()]
    return table(CORRUPTION_HEADINGS, rows) if rows else ""


def _pictures(wrong: Iterable[Wrong]) -> str:
    return "\n".join(
        f'<figure><img src="{one.picture}" alt=""'
        f"{' class=photo' if 'jpeg' in one.picture[:16] else ''}><figcaption>"
        f"{_escaped(one.truth)}, predicted {_escaped(one.predicted)}<br><small>"
        f"likelihood {one.likelihood:.2g}, {_escaped(one.name)}</small>"
        "</figcaption></figure>"
        for one in wrong
    )


def facts(
    trained: Trained,
    run: str,
    command: str = "train",
    config_class: type[TrainingConfig] = TrainingConfig,
) -> str:
    """What was run: the network, the versions, the command and its settings."""
    known, summary = trained.metadata, summary_of(run)
    config = trained.settings
    known_facts = {
        "weights": trained.source,
        "dataset": known.get("dataset_name"),
        "preprocessing": trained.preprocessing,
        "input": " x ".join("?" if n is None else str(n) for n in trained.input_shape),
        "trained with slimnets": known.get("slimnets_version"),
        "trained with TensorFlow": summary.get("tensorflow_version"),
        "seconds of training": summary.get("seconds"),
        "recoveries": known.get("recoveries"),
        "evaluated with": f"slimnets {__version__}, TensorFlow {tf.__version__}",
    }
    parts = [table([], [(k, v) for k, v in known_facts.items() if v is not None])]
    if config:
        rows = sorted((name, value) for name, value in config.items())
        settings = table(["setting", "value"], rows)
        parts += [
            f"<pre>{_escaped(_command(command, config_class, config))}</pre>",
            f"<details><summary>All settings</summary>{settings}</details>",
        ]
    return "\n".join(parts)


def _command(
    command: str, config_class: type[TrainingConfig], config: Mapping[str, Any]
) -> str:
    """The command that does the same, with what is not so by default."""
    defaults = {f.name: f.default for f in dataclasses.fields(config_class)}
    words = []
    for name, value in config.items():
        if value == defaults.get(name):
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no{name}")
            continue
        for one in value if isinstance(value, list) else [value]:
            words.append(f"--{name}={one}")
    return shlex.join(["slimnets", command, *words])


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers stand to the right."""
    head = "".join(f"<th>{_escaped(heading)}</th>" for heading in headings)
    lines = []
    for row in rows:
        cells = [f"<td{_kind(value)}>{_escaped(value)}</td>" for value in row]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"


def _kind(value: Any) -> str:
    text = str(value).replace(".", "", 1)
    return ' class="number"' if text.isdecimal() else ""


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _escaped(value: Any) -> str:
    return html.escape(str(value))
