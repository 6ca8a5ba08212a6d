"""What is written beside weights as JSON, so that nobody has to repeat flags.

`PREFIX.json` lies beside a checkpoint, `FILE.json` beside a file. Every key may be
absent; what is not listed here is kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from slimnets.version import __version__

# Key, type, meaning.
FIELDS: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    ("slimnets_version", str, "what wrote it"),
    ("model_name", str, "the registered name of the network"),
    ("network_options", dict, "further arguments of the network function"),
    ("rules", list, "what its layers have by their places: pairs of pattern, values"),
    ("num_classes", (int, type(None)), "number of logits; null for features"),
    ("labels_offset", int, "what is added to a dataset's labels: 1 for a background"),
    ("label_names", list, "names of the classes in order"),
    ("image_size", (int, type(None)), "height and width of the network's images"),
    ("input_channels", int, "of the network's images"),
    ("preprocessing_name", (str, type(None)), "how images become the input"),
    (
        "eval_crop_fraction",
        (float, int, type(None)),
        "the share of an image's sides that is seen; null for the preprocessing's",
    ),
    ("exif_orientation", bool, "whether photos were turned upright"),
    ("precision", str, "what the network computes in"),
    ("dataset_name", str, "what it was trained on"),
    ("dataset_fingerprint", str, "tells a folder or an archive from others"),
    ("step", int, "of training"),
    ("converted_from", str, "the name of the file that it was made of"),
    ("weights", str, "the name of the public weights that it is"),
    ("inside_archive", str, "the folder of an archive that holds the checkpoint"),
)
# How images become the input, and what of them is seen.
OF_INPUTS = ("image_size", "preprocessing_name", "eval_crop_fraction")
# Beside the weights too: the names of the classes as text; see data/labels.py.
LABELS_ENDING = ".labels.txt"
_BACKGROUND = 1001


def describe(model: Any) -> dict[str, Any]:
    """Returns the metadata that a Model knows of itself; empty for anything else."""
    if not hasattr(model, "network_name"):
        return {}
    return {
        **({"rules": model.rules.to_json()} if model.rules else {}),
        "slimnets_version": __version__,
        "model_name": model.network_name,
        "network_options": _plain(model.network_options),
        "num_classes": model.num_classes,
        "labels_offset": labels_offset(model.num_classes),
        "image_size": model.default_image_size,
        "precision": model.precision,
        **model.input_metadata,
    }


def labels_offset(num_classes: int | None) -> int:
    """1 for ImageNet's classes with a background before them, else 0."""
    return int(num_classes == _BACKGROUND)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that JSON can say; functions for example are left out."""
    plain = {}
    for name, value in options.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            continue
        plain[name] = value
    return plain


def check(metadata: Mapping[str, Any], path: str) -> None:
    """Raises ValueError for a known key whose value is of another type."""
    for key, kind, meaning in FIELDS:
        if key in metadata and not isinstance(metadata[key], kind):
            raise ValueError(
                f"Cannot read the metadata {path}: {key} ({meaning}) is "
                f"{metadata[key]!r}."
            )
