"""Exported networks of any format as functions of images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slimnets.checkpoints.base import read_metadata
from slimnets.export.formats import FORMATS, format_of
from slimnets.export.frozen import IMAGES
from slimnets.export.saved_model import Run


class Exported:
    """An exported network that can be called.

    Attributes:
        format: its format's name.
        path: where it lies.
        metadata: what the JSON file beside it says; empty without.
        input_names: of what it takes: `images`, or `images_0`, `images_1` ...
    """

    def __init__(
        self,
        format_name: str,
        path: str,
        metadata: Mapping[str, Any],
        run: Run,
        input_names: Sequence[str],
    ):
        self.format = format_name
        self.path = path
        self.metadata = dict(metadata)
        self.input_names = list(input_names)
        self._run = run

    def __call__(
        self, images: np.ndarray | Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Returns the outputs by name: `logits`, `probabilities`, `features/C3` ...

        Args:
            images: float32 `[batch, height, width, channels]`, prepared as the
                metadata's `preprocessing_name` says; or inputs by name.

        Raises:
            ValueError: if names or shapes are not those of the network's inputs.
        """
        if not isinstance(images, Mapping):
            images = {IMAGES: images}
        if set(images) != set(self.input_names):
            raise ValueError(
                f"{self.path} takes {', '.join(self.input_names)}; got "
                f"{', '.join(images)}."
            )
        arrays = {k: np.asarray(v, np.float32) for k, v in images.items()}
        for name, wanted in self.metadata.get("inputs", {}).items():
            shape = arrays[name].shape
            fits = len(shape) == len(wanted) and all(
                size in (None, own) for size, own in zip(wanted, shape, strict=True)
            )
            if not fits:
                raise ValueError(
                    f"{self.path} takes {name} of shape {wanted}; got {list(shape)}."
                )
        return self._run(arrays)


def load(path: str | os.PathLike, *, threads: int | None = None) -> Exported:
    """Loads an exported network, in whatever format it is.

    Args:
        path: a SavedModel's directory, or a file that ends in .pb, .onnx, .tflite,
            .mlir or .keras.
        threads: how many threads ONNX Runtime and TFLite use; None for their own
            choice. TensorFlow has one setting for a process.

    Raises:
        FileNotFoundError: if there is nothing there.
        ValueError: if it is in no format that can be run.
        ImportError: if what runs it is not installed.
    """
    path = os.path.normpath(os.fspath(path))
    name = format_of(path)
    metadata = read_metadata(path)
    run, inputs = FORMATS[name].load(path, tuple(metadata.get("outputs", ())), threads)
    return Exported(name, path, metadata, run, sorted(inputs))
