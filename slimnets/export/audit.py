"""Which layers an export in low precision gets wrong, and by how much.

What a file gives says little of where its error comes from. The same network is
exported once more, with every end point as an output, and both are run on images.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from slimnets.export.exporting import export_model
from slimnets.export.formats import FORMATS
from slimnets.export.frozen import FEATURES
from slimnets.export.loading import load
from slimnets.listing import table
from slimnets.model import Model


class Row(NamedTuple):
    """The error of an end point.

    Attributes:
        end_point: its name.
        error: root mean square of the difference, of that of the activation itself.
        largest: the largest difference, of the largest activation.
    """

    end_point: str
    error: float
    largest: float


@dataclasses.dataclass(frozen=True)
class Audit:
    """The errors of an export; `str()` is a table, the worst first.

    Attributes:
        rows: the end points in the network's order.
        format, precision: of the export.
        images: on how many images.
    """

    rows: tuple[Row, ...]
    format: str
    precision: str
    images: int

    @property
    def worst_first(self) -> list[Row]:
        return sorted(self.rows, key=lambda row: -row.error)

    def __str__(self) -> str:
        headings = ("end point", "error", "largest")
        rows = [
            (name, f"{error:.2%}", f"{largest:.2%}")
            for name, error, largest in self.worst_first
        ]
        title = (
            f"{self.format} in {self.precision}, on {self.images} images, against the "
            "network:"
        )
        return f"{title}\n{table([headings, *rows], headings[1:])}"

    def to_json(self) -> list[dict[str, Any]]:
        return [row._asdict() for row in self.rows]


def audit(
    model: Model,
    images: np.ndarray,
    *,
    format: str,
    precision: str,
    **rounding: Any,
) -> Audit:
    """Measures what a format and precision make of each activation of a network.

    Args:
        model: a Model with variables, of images.
        images: `[batch, height, width, channels]`, as the network takes them.
        format, precision: as of `export_model`.
        **rounding: its calibration, calibration_method and float_layers.

    Raises:
        ValueError: as `export_model`; for a network without end points, or the format
            keras, which gives the network's outputs alone.
    """
    if format == "keras":
        raise ValueError("A keras file gives no end points to look at.")
    # Calibration may come in batches of another size.
    batch = None if precision == "int8" else len(images)
    wanted = _different(model.end_points(images))
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, f"audited{FORMATS[format].ending}")
        export_model(
            model,
            path,
            format=format,
            input_shape=[batch, *images.shape[1:]],
            precision=precision,
            levels=list(wanted),
            tolerance=np.inf,
            **rounding,
        )
        found = load(path)(images)
    rows = [
        Row(name, *_errors(found[f"{FEATURES}/{name}"], value))
        for name, value in wanted.items()
    ]
    return Audit(tuple(rows), format, precision, len(images))


def _different(end_points: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The end points' values; of several names for one activation the first."""
    found: dict[str, np.ndarray] = {}
    for name, value in end_points.items():
        value = np.asarray(value)
        if not any(np.array_equal(value, other) for other in found.values()):
            found[name] = value
    return found


def _errors(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    difference = np.abs(found.astype(np.float64) - wanted)
    size = np.sqrt(np.mean(np.square(wanted, dtype=np.float64)))
    mean = np.sqrt(np.mean(difference**2)) / max(size, 1e-12)
    largest = difference.max() / max(np.abs(wanted).max(), 1e-12)
    return float(mean), float(largest)
