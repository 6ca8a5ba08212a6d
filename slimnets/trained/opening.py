"""Opening what was trained: its weights, its network, its classes."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import factory
from slimnets.checkpoints import LoadReport, Weights, load_weights, open_weights
from slimnets.checkpoints.base import read_metadata
from slimnets.checkpoints.metadata import labels_offset
from slimnets.checkpoints.recognition import recognized, sizes_in
from slimnets.data.class_names import names_of_logits
from slimnets.data.labels import labels_beside
from slimnets.data.orientation import trained_upright
from slimnets.data.preprocessing import (
    Preprocessing,
    get_preprocessing,
    trained_crop_fraction,
)
from slimnets.heads import head_of
from slimnets.model import Model
from slimnets.rules import Rules, ruled

# What an export's name ends in. One that may hold weights too is an export if its
# metadata tell of inputs.
_EXPORTS = (".onnx", ".tflite", ".xml", ".mlir")
_INPUTS = "inputs"
CLASSIFICATION = "classification"
_CLOUDS = "point_cloud"
# Gives `open_exported(path)`; lies above, and is imported if there is an export.
_EXPORT_ROOM = "slimnets.export.loading"


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """A network that has its weights.

    Attributes:
        model: `model(images)` gives the logits, or a head's outputs; a Model, but of an
            export.
        preprocessing: how images become its input, by name.
        label_names: of its classes, as many as logits; None where they are not known.
        input_shape: `[batch, size, size, channels]`, of clouds `[batch, points, dims]`;
            None for any number of images, as only an export has a fixed one.
        metadata: what is written beside the weights.
        source: one line: what was opened, of which step, averages or not.
        path: the file of its weights, or the prefix of its files.
        averages: whether any variable has its average.
        again: opens it again.
    """

    model: Callable
    preprocessing: str
    label_names: tuple[str, ...] | None
    input_shape: Sequence[Any]
    metadata: Mapping[str, Any]
    source: str
    path: str
    averages: bool = False
    again: Any = None

    def __repr__(self) -> str:
        return (
            f"<Trained {self.source}; {self.num_classes} classes, "
            f"preprocessing {self.preprocessing} at {self.image_size}>"
        )

    @property
    def image_size(self) -> int:
        """Height and width of its input, or its number of points."""
        return self.input_shape[1]

    @property
    def channels(self) -> int:
        """The number of channels of its input."""
        return self.input_shape[-1]

    @property
    def batch_size(self) -> int | None:
        """How many images an export takes at a time; None for any number."""
        return self.input_shape[0]

    @property
    def network(self) -> Model:
        """The model, as one that has layers to look into. Raises ValueError."""
        if not isinstance(self.model, Model):
            raise ValueError(
                f"{self.path} is an export, which gives its outputs alone: give a "
                "checkpoint."
            )
        return self.model

    @property
    def digest(self) -> str:
        """SHA-256 of all weights, whatever file they come from; of an export, of its
        files."""
        digest = hashlib.sha256()
        if isinstance(self.model, Model):
            for name, variable in sorted(self.model.variables_by_name.items()):
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(variable.numpy()))
            return digest.hexdigest()
        path = pathlib.Path(self.path)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(file.read_bytes())
        return digest.hexdigest()

    @property
    def num_classes(self) -> int | None:
        """The number of logits; None of features."""
        return getattr(self.model, "num_classes", None)

    @property
    def task(self) -> str:
        """What it is for: `classification`, or one of `heads.HEADS`."""
        return self.metadata.get("task", CLASSIFICATION)

    def check_task(self, *allowed: str) -> None:
        """Raises ValueError unless it is for one of these tasks."""
        if self.task not in allowed:
            raise ValueError(
                f"{self.path} is of a run of {self.task}, not of "
                f"{' or '.join(allowed)}."
            )

    @property
    def opening(self) -> Callable[[], Trained]:
        """What opens the same in another process, to which it can be sent; it raises
        ValueError if the weights are others there."""
        return functools.partial(_reopened, self.again, self.digest)

    @property
    def labels_offset(self) -> int:
        """How many logits come before the classes: 1 for a background."""
        return self.metadata.get("labels_offset", labels_offset(self.num_classes))

    @property
    def crop_fraction(self) -> float | None:
        """The share of an image's sides that is seen; None for its preprocessing's."""
        return trained_crop_fraction(self.metadata, self.preprocessing)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of the run that it is of; empty where they are not known."""
        return self.metadata.get("config", {})

    @property
    def max_bad_records(self) -> int:
        """How many images that cannot be used its training left out at most."""
        return self.settings.get("max_bad_records", 0)

    @property
    def exif_orientation(self) -> bool:
        """Whether photos were turned upright when it was trained."""
        return trained_upright(self.metadata)

    @property
    def known_names(self) -> tuple[str, ...] | None:
        """The label names, unless they are but a guess by their number."""
        return self.label_names if are_given(self.path, self.metadata) else None

    @property
    def recipe(self) -> Preprocessing:
        """How images become its input."""
        recipe = get_preprocessing(self.preprocessing)
        return recipe.with_crop_fraction(self.crop_fraction)

    def prepare(self, image: np.ndarray) -> tf.Tensor:
        """Returns the input `[1, size, size, channels]` for one uint8 image."""
        return self.recipe.prepare(image[np.newaxis], self.image_size)


def open_trained(
    path: str | os.PathLike,
    *,
    averages: bool | None = None,
    model_name: str | None = None,
    image_size: int | None = None,
    preprocessing: str | None = None,
    precision: str | None = "float32",
    rename: Iterable[tuple[str, str]] = (),
    exclude: Iterable[str] = (),
) -> Trained:
    """Opens a trained network; what is None comes from its metadata.

    Args:
        path: a file, a checkpoint or public weights' name as of `read_checkpoint`, the
            directory of a run, of which the latest is taken, or what export wrote.
        averages: whether the averages of variables are taken; None for wherever there
            is one.
        model_name: a registered network; without metadata the one whose variables
            these are.
        image_size: height and width of its input; without metadata the network's
            default.
        preprocessing: a name; without metadata the network's own.
        precision: what a Model computes in; None for what it was trained in.
        rename: see `load_weights`.
        exclude: see `load_weights`; the variables keep their initial values.

    Raises:
        FileNotFoundError: if there is nothing there.
        ValueError: if it cannot be read or does not fit, or what is None is not known.
        ImportError: if the file, or what runs an export, needs a package that is not
            installed.
    """
    path = os.fspath(path)
    rename, exclude = list(rename), list(exclude)
    settings: dict[str, Any] = {
        "averages": averages,
        "model_name": model_name,
        "image_size": image_size,
        "rename": rename,
        "exclude": exclude,
    }
    again = functools.partial(
        open_trained,
        path,
        preprocessing=preprocessing,
        precision=precision,
        **settings,
    )
    if _is_export(path):
        _check_without_effect(path, settings)
        room = importlib.import_module(_EXPORT_ROOM)
        return dataclasses.replace(room.open_exported(path, preprocessing), again=again)
    weights = open_weights(path, averages)
    known = weights.metadata
    name = model_name or known.get("model_name") or recognized(weights)
    if not name:
        raise ValueError(
            f"{weights.prefix} has no metadata beside it that tells its network, and "
            "its variables are those of no registered one: give its model_name."
        )
    info = factory.network_info(name)
    own = known if name == known.get("model_name") else {}
    options, rules = own.get("network_options", {}), own.get("rules", ())
    network: str | Callable = name
    if task := known.get("task"):
        if not own:
            raise ValueError(
                f"model_name={name!r} is of no effect: {weights.prefix} is of a run of "
                f"{task} on {known.get('model_name')}."
            )
        network = head_of(task).network
        options = {**options, "backbone": name}
    if rules:
        info = dataclasses.replace(info, network=ruled(info.network, Rules(rules)))
    classes, channels = own.get("num_classes"), known.get("input_channels")
    if "num_classes" not in own or channels is None:
        found, own_channels = _sizes(weights, info, options, rename)
        classes = own.get("num_classes", found)
        channels = channels or own_channels
    model = Model(
        network,
        num_classes=classes,
        precision=precision or known.get("precision", "float32"),
        rules=rules,
        **options,
    )
    size = image_size or known.get("image_size") or info.default_image_size
    if not size:
        raise ValueError(f"{name} has no default image size; give image_size.")
    input_shape = _input_shape(info, size, channels)
    model.build(input_shape)
    report = load_weights(weights, model, exclude, rename)
    named = labels_beside(weights.prefix, {"num_classes": classes, **known})
    title = f"{task} on {name}" if task else name
    return Trained(
        model=model,
        preprocessing=preprocessing
        or known.get("preprocessing_name")
        or info.preprocessing
        or "plain",
        label_names=names_of_logits(named, classes, weights.prefix),
        input_shape=input_shape,
        metadata={"num_classes": classes, **known},
        source=f"{title} of {weights.source}{_left_out(report)}",
        path=weights.prefix,
        averages=bool(weights.averaged),
        again=again,
    )


def _reopened(again: Callable[[], Trained], digest: str) -> Trained:
    trained = again()
    if trained.digest != digest:
        raise ValueError(
            f"{trained.path} has other weights here than where the command was given."
        )
    return trained


def _is_export(path: str) -> bool:
    if path.endswith(_EXPORTS):
        return True
    return os.path.exists(path) and _INPUTS in read_metadata(os.path.normpath(path))


def _check_without_effect(path: str, settings: Mapping[str, Any]) -> None:
    """Raises ValueError for a setting that an export has in itself."""
    for name, value in settings.items():
        if value not in (None, (), []):
            raise ValueError(
                f"{name}={value!r} is of no effect with {path}, which is an export and "
                "has it in itself."
            )


def _sizes(
    weights: Weights,
    info: factory.NetworkInfo,
    options: Mapping[str, Any],
    rename: Sequence[tuple[str, str]],
) -> tuple[int | None, int]:
    if info.family == _CLOUDS:  # It takes no images, of which alone sizes are known.
        return None, 3
    return sizes_in(weights, info.network, options, rename)


def _input_shape(info: factory.NetworkInfo, size: int, channels: int) -> list:
    if info.family == _CLOUDS:
        return [None, size, channels]
    return [None, size, size, channels]


def _left_out(report: LoadReport) -> str:
    number = len(report.excluded)
    return f", {number} variables as they began" if number else ""


def are_given(path: str, metadata: Mapping[str, Any]) -> bool:
    """Whether classes have names that were written down, and not guessed."""
    return bool(labels_beside(path, {**metadata, "num_classes": None}))
