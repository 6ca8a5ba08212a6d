"""Exported networks of any format as functions of images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.base import read_metadata
from slimnets.data.class_names import names_of_logits
from slimnets.data.labels import labels_beside
from slimnets.end_points import EndPoints
from slimnets.export.formats import FORMATS, format_of
from slimnets.export.frozen import FEATURES, IMAGES, LOGITS
from slimnets.export.refusals import refusals_of
from slimnets.export.saved_model import InGraph, Run
from slimnets.trained import CLASSIFICATION, Trained


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
        with refusals_of(f"{self.path} cannot be run"):
            return self._run(arrays)


def load(path: str | os.PathLike, *, threads: int | None = None) -> Exported:
    """Loads an exported network, in whatever format it is.

    Args:
        path: a SavedModel's directory, or a file that ends in .pb, .onnx, .tflite,
            .xml, .mlir or .keras.
        threads: how many threads ONNX Runtime, TFLite and OpenVINO use; None for their
            own choice. TensorFlow has one setting for a process.

    Raises:
        FileNotFoundError: if there is nothing there.
        ValueError: if it is in no format that can be run.
        ImportError: if what runs it is not installed.
    """
    path = os.path.normpath(os.fspath(path))
    name = format_of(path)
    metadata = read_metadata(path)
    outputs = tuple(metadata.get("outputs", ()))
    with refusals_of(f"{path} cannot be loaded as {name}"):
        run, inputs = FORMATS[name].load(path, outputs, threads)
    return Exported(name, path, metadata, run, sorted(inputs))


class Outputs:
    """An exported network as a function of any number of images.

    Args:
        exported: takes images alone.
        batch_size: how many it takes at a time; None for any number.
        num_classes: the number of its classes.
    """

    def __init__(
        self, exported: Exported, batch_size: int | None, num_classes: int | None
    ):
        self.network_name = exported.metadata.get("model_name", exported.path)
        self.num_classes = num_classes
        self._exported, self._batch_size = exported, batch_size

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name, `[batch, ...]`."""
        number, size = len(images), self._batch_size or len(images)
        # The last batch is filled up.
        whole = images[np.arange(-(-number // size) * size) % number]
        parts = whole.reshape(-1, size, *images.shape[1:])
        found = [self._exported(part) for part in parts]
        return {
            name: np.concatenate([part[name] for part in found])[:number]
            for name in found[0]
        }


class Logits(Outputs):
    """An exported network as a function of images to logits, as a Model is."""

    # Evaluation calls it outside of a graph.
    runs_in_python = True
    _in_graph: InGraph | None = None

    def __call__(self, images: Any, training: bool = False) -> tf.Tensor:
        """Returns the logits, float32 `[batch, classes]`.

        Raises:
            ValueError: with training.
        """
        if training:
            raise ValueError(f"{self._exported.path} is an export, and does not train.")
        if self.has_gradients and not tf.executing_eagerly():
            logits, _ = self.with_end_points(images)  # A part of the caller's graph.
            return tf.cast(logits, tf.float32)
        logits = tf.numpy_function(self._logits, [images], tf.float32)
        return tf.ensure_shape(logits, [None, self.num_classes])

    def _logits(self, images: np.ndarray) -> np.ndarray:
        return super().__call__(images)[LOGITS].astype(np.float32)

    @property
    def has_gradients(self) -> bool:
        """Whether `with_end_points` can be called."""
        return self._batch_size is None and bool(FORMATS[self._exported.format].graph)

    @property
    def has_levels(self) -> bool:
        """Whether `with_end_points` gives levels, and their gradients."""
        return self.has_gradients and bool(self._level_names())

    def _level_names(self) -> list[str]:
        outputs = self._exported.metadata.get("outputs", ())
        return [name for name in outputs if name.startswith(f"{FEATURES}/")]

    def with_end_points(self, images: tf.Tensor) -> tuple[tf.Tensor, EndPoints]:
        """The logits, and the levels that were exported, of one run, as a Model gives
        them for a caller's own tf.function; gradients go from those to the images.

        Raises:
            ValueError: for a format that TensorFlow does not run, or a fixed batch.
        """
        exported = self._exported
        if not self.has_gradients:
            raise ValueError(
                f"{exported.path} gives no gradients: exports that do are frozen "
                "graphs, SavedModels and Keras files that take any number of images."
            )
        if self._in_graph is None:
            load_graph: Any = FORMATS[exported.format].graph
            with tf.init_scope():  # Outside of the caller's graph.
                self._in_graph = load_graph(exported.path)
        names = self._level_names()
        logits, *levels = self._in_graph(images, [LOGITS, *names])
        found = dict(zip(names, levels, strict=True))
        return logits, EndPoints(found, levels={n.split("/")[1]: n for n in names})


def open_exported(path: str, preprocessing: str | None = None) -> Trained:
    """Opens an export for `open_trained`.

    Args:
        path: see `load`.
        preprocessing: a name; None for what its metadata says.

    Raises:
        FileNotFoundError, ImportError: as `load`.
        ValueError: as `load`; or if nothing beside it tells its input.
    """
    network = load(path)
    known = network.metadata
    if "inputs" not in known:
        raise ValueError(
            f"{network.path} has no metadata beside it that tell its classes: "
            f"{network.path}.json, which `slimnets export` writes."
        )
    if network.input_names != [IMAGES]:
        raise ValueError(
            f"{network.path} takes {', '.join(network.input_names)}, and not {IMAGES} "
            "alone."
        )
    preprocessing = preprocessing or known.get("preprocessing_name")
    if not preprocessing:
        raise ValueError(
            f"The metadata of {network.path} do not tell its preprocessing: give "
            "preprocessing_name."
        )
    shape = known["inputs"][IMAGES]
    if len(shape) != 4 or not shape[1] == shape[2] is not None:
        raise ValueError(f"{network.path} takes {shape}, and not square images.")
    classes = known.get("num_classes")
    step = f", step {known['step']}" if "step" in known else ""
    with_averages = "with" if known.get("averages") else "without"
    kind = Outputs if known.get("task", CLASSIFICATION) != CLASSIFICATION else Logits
    return Trained(
        model=kind(network, shape[0], classes),
        preprocessing=preprocessing,
        label_names=names_of_logits(
            labels_beside(network.path, known), classes, network.path
        ),
        input_shape=shape,
        metadata=known,
        source=f"{network.format} {network.path}{step}, {with_averages} averages",
        path=network.path,
        averages=bool(known.get("averages")),
    )
