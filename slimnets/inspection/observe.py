"""A network with a checkpoint's weights, and what it computes from one image."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from slimnets import factory
from slimnets.checkpoints import load_weights, read_checkpoint
from slimnets.data.image_files import ImageFile
from slimnets.data.preprocessing import get_preprocessing
from slimnets.end_points import EndPoints
from slimnets.model import Model

_ROOTS = ("conv1/weights", "conv1_1/weights")


class Observed:
    """A network that has its weights.

    Args:
        checkpoint_path: as of `read_checkpoint`.
        model_name: a registered name; None for what the checkpoint's metadata says.
        image_size: height and width of its input; None for what the metadata says, or
            the network's default.
        preprocessing: a name; None for what the metadata says, or the network's own.

    Attributes:
        model: the network.
        prefix: the file of its weights, or the prefix of its files.
        size: height and width of its input.
        channels: of its input.
        preprocessing: how images become its input, by name.

    Raises:
        FileNotFoundError, ValueError: if there is no such checkpoint, it does not fit,
            or what is None is not known.
    """

    def __init__(
        self,
        checkpoint_path: str | os.PathLike,
        model_name: str | None = None,
        image_size: int | None = None,
        preprocessing: str | None = None,
    ):
        reader = read_checkpoint(checkpoint_path)
        known = reader.metadata
        name = model_name or known.get("model_name")
        if not name:
            raise ValueError(
                f"{reader.prefix} has no metadata beside it that tells its network: "
                "give its model_name."
            )
        classes = known.get("num_classes", _size(reader.shapes, ("logits/biases",), 0))
        options = known.get("network_options", {})
        self.model = Model(name, num_classes=classes, **options)
        size = image_size or known.get("image_size") or self.model.default_image_size
        if not size:
            raise ValueError(f"{name} has no default image size; give one.")
        self.size = size
        self.channels = known.get("input_channels") or _size(reader.shapes, _ROOTS, 2)
        self.channels = self.channels or 3
        self.preprocessing = (
            preprocessing
            or known.get("preprocessing_name")
            or factory.network_info(name).preprocessing
            or "plain"
        )
        self._recipe = get_preprocessing(self.preprocessing)
        self.prefix = reader.prefix
        self.model.build([None, self.size, self.size, self.channels])
        report = load_weights(self.prefix, self.model, allow_partial=not classes)
        if report.missing:
            raise ValueError(f"Cannot load {report}")

    def prepare(self, image: np.ndarray) -> tf.Tensor:
        """Returns the network's input `[1, size, size, channels]` for one image."""
        return self._recipe.prepare(image[np.newaxis], self.size, (0, 255))

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the kernels of convolutions and dense layers by name, in order."""
        variables = self.model.variables_by_name
        return {
            name: variable.numpy()
            for name, variable in variables.items()
            if len(variable.shape) > 1
        }

    def activations(self, image: np.ndarray) -> EndPoints:
        """Returns every end point as an array, for one image.

        Args:
            image: as of `read_image`.
        """
        found = self.model.end_points(self.prepare(image))
        return found.with_values({key: found[key].numpy() for key in found})


def read_image(path: str | os.PathLike, channels: int = 3) -> np.ndarray:
    """Returns an image, uint8 `[height, width, channels]`. Raises ValueError."""
    return ImageFile(os.fspath(path), os.fspath(path)).read(channels)


def _size(shapes: dict[str, tuple], endings: tuple[str, ...], axis: int) -> int | None:
    """A size of the outermost variable whose name ends so; None without any."""
    found = [name for name in shapes if name.endswith(endings)]
    name = min(found, key=lambda name: name.count("/"), default=None)
    return shapes[name][axis] if name and len(shapes[name]) > axis else None
