"""What heads are made of beside `Conv` and `Norm`: pools, dropout, logits, as data."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import takes
from slimnets.rows.heads import Call
from slimnets.units import Conv

Options = tuple[tuple[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class GlobalPool:
    """The mean over height and width; nothing where `global_pool` is False.

    Attributes:
        name: of the operation.
        keepdims: whether height and width stay as 1.
        activation_fn: applied before; None for none.
        key: of its end point.
        always: whether it does not ask.
        keyed: whether it is an end point.
    """

    name: str = "global_pool"
    keepdims: bool = True
    activation_fn: Callable | None = None
    key: str = "global_pool"
    always: bool = False
    keyed: bool = True

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns the means."""
        net = self.activation_fn(net) if self.activation_fn else net
        if call.options["global_pool"] or self.always:
            net = tf.reduce_mean(net, [1, 2], keepdims=self.keepdims, name=self.name)
            net = layers.activations(net, scope=f"{self.name}/means")
            if self.keyed:
                call.end_points[self.key] = net
        return net


@dataclasses.dataclass(frozen=True)
class WindowPool:
    """The mean of windows, at most as large as the image; of all of it if asked for.

    Attributes:
        size: of the windows.
        name: of the pool; the window's size takes the place of `{}`.
        keyed: whether it is an end point.
        whole: name of the mean of all of the image.
    """

    size: int
    name: str
    keyed: bool = True
    whole: str = "global_pool"

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns the means."""
        if call.options["global_pool"]:
            return GlobalPool(self.whole, keyed=self.keyed).build(net, call)
        kernel = window(net, self.size)
        name = self.name.format("{}x{}".format(*kernel))
        net = layers.avg_pool2d(net, kernel, padding="VALID", scope=name)
        if self.keyed:
            call.end_points[self.name.partition("_{}")[0]] = net
        return net


@dataclasses.dataclass(frozen=True)
class AuxiliaryPool:
    """The mean of windows of 5x5, stride 3."""

    name: str
    activation_fn: Callable | None = None

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns the means. Raises ValueError for less than one window."""
        sides = net.shape.as_list()[1:3]
        if min(side or 5 for side in sides) < 5:
            raise ValueError(
                "The images are too small for auxiliary logits, which are made of 5x5 "
                f"positions and more; got {tuple(sides)}. create_aux_logits=False "
                "leaves them away."
            )
        net = self.activation_fn(net) if self.activation_fn else net
        return layers.avg_pool2d(net, 5, 3, "VALID", scope=self.name)


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Dropout of the features; the arg scopes say how much if the network does not.

    Attributes:
        name: of the operation.
        key: of its end point; none if empty.
        optional: whether there is no such operation where nothing is dropped.
    """

    name: str
    key: str = ""
    optional: bool = False

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns what is left."""
        keep = call.options["dropout_keep_prob"]
        if self.optional and keep in (None, 1.0):
            return net
        options = {} if keep is None else {"keep_prob": keep}
        net = layers.dropout(net, scope=self.name, **options)
        return call.record(self.key, net)


@dataclasses.dataclass(frozen=True)
class WindowConv:
    """A convolution whose kernel depends on the size of the image.

    Attributes:
        layer: the convolution; its kernel's size takes the place of `{}` in its name.
        whole: if given, its kernel is all of the image, or this where that is unknown.
        at_most: else its kernel is of this size, and of a smaller image all.
    """

    layer: Conv
    whole: int = 0
    at_most: int = 0

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns the outputs."""
        kernel = window(net, self.at_most)
        if self.whole:
            kernel = tuple(side or self.whole for side in net.shape.as_list()[1:3])
        name = self.layer.name.format("{}x{}".format(*kernel))
        layer = dataclasses.replace(self.layer, kernel=kernel, name=name)
        return layer.build(net, 1, 1, 1)

    def scaled_by(self, scale: Callable[[int], int]) -> WindowConv:
        """Returns the same of another depth."""
        return dataclasses.replace(self, layer=self.layer.scaled_by(scale))


@dataclasses.dataclass(frozen=True)
class Dense:
    """A dense layer, whose end point has its name."""

    name: str
    depth: int
    options: Options = ()

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns `[batch, depth]`."""
        net = layers.fully_connected(
            net, self.depth, scope=self.name, **dict(self.options)
        )
        return call.record(self.name, net)

    def scaled_by(self, scale: Callable[[int], int]) -> Dense:
        """Returns the same of another depth."""
        return dataclasses.replace(self, depth=scale(self.depth))


@dataclasses.dataclass(frozen=True)
class Flatten:
    """Rows of features; an end point of the name `key`, if it is given."""

    key: str = ""
    name: str | None = None

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns `[batch, features]`."""
        net = layers.flatten(net, scope=self.name)
        return call.record(self.key, net)


@dataclasses.dataclass(frozen=True)
class Kept:
    """Records what comes here under a key."""

    key: str

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns its input."""
        return call.record(self.key, net)


@dataclasses.dataclass(frozen=True)
class Logits:
    """The logits, by a 1x1 convolution or a dense layer.

    Attributes:
        name: of the scope; None for what the arg scopes say, or the layer's own.
        dense: whether it is a dense layer.
        options: further arguments of it.
        plain: whether it has neither norm nor activation, whatever the scopes say.
    """

    name: str | None
    dense: bool = False
    options: Options = ()
    plain: bool = True

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns `[batch, ..., num_classes]`."""
        options = dict(self.options)
        if self.name is not None:
            options["scope"] = self.name
        if self.plain:
            options = {"activation_fn": None, "normalizer_fn": None, **options}
        if self.dense:
            return layers.fully_connected(net, call.num_classes, **options)
        return layers.conv2d(net, call.num_classes, 1, **options)


@dataclasses.dataclass(frozen=True)
class Squeeze:
    """Leaves away the height and width of one position, unless told not to.

    Attributes:
        name: of the operation.
        key: of its end point; none if empty.
        pooled: whether it does so only behind a global pool.
        always: whether it does not ask.
    """

    name: str | None
    key: str = ""
    pooled: bool = False
    always: bool = False

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns `[batch, channels]`, or its input."""
        wanted = call.options["spatial_squeeze"] or self.always
        if not wanted or (self.pooled and not call.options["global_pool"]):
            return net
        net = tf.squeeze(net, [1, 2], name=self.name)
        return call.record(self.key, net)


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Predictions of the logits, which are recorded too.

    Attributes:
        key: of the predictions, and their scope.
        logits: key of the logits; none if empty.
        default: what makes them when the caller does not say; None for nothing.
        keyed: whether the predictions' key is relative to where the network was called.
        name: of the operation; the key if empty.
        outside: whether it is named outside of the network's scope.
    """

    key: str
    logits: str = ""
    default: Callable | None = layers.softmax
    keyed: bool = False
    name: str = ""
    outside: bool = False

    def build(self, net: tf.Tensor, call: Call) -> tf.Tensor:
        """Returns the logits."""
        call.record(self.logits, net)
        predict = call.options["prediction_fn"] or self.default
        if predict is None:
            return net
        with self._names(call):
            predictions = self._predicted(predict, net)
        if self.keyed:
            call.end_points[self.key] = predictions
        else:
            call.record(self.key, predictions)
        return net

    def _names(self, call: Call) -> contextlib.AbstractContextManager:
        if not self.outside:
            return contextlib.nullcontext()
        return tf.name_scope(call.outer_names and f"{call.outer_names}/")

    def _predicted(self, predict: Callable, net: tf.Tensor) -> tf.Tensor:
        name = self.name or self.key
        for argument in ("scope", "name"):
            if takes(predict, argument):
                return predict(net, **{argument: name})
        with tf.name_scope(name):
            return predict(net)


def window(net: tf.Tensor, size: int) -> tuple[int, int]:
    """Returns the height and width of a window of `size`, at most all of `net`.

    Where the height and width of `net` are not known, they are taken to be enough.
    """
    height, width = net.shape.as_list()[1:3]
    return min(height or size, size), min(width or size, size)
