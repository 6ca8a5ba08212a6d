"""Units of single layers, as data: convolutions, pools, norms.

Each builds itself in the scope of its name, and knows without being built what it does
to stride, channels and receptive field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import end_points, layers
from slimnets.blocks import Block, conv2d_same, subsample
from slimnets.blocks.same import even_sides
from slimnets.scopes import add_arg_scope
from slimnets.units.normalized import normalized
from slimnets.units.traits import Kernel, Traits, describes

Options = tuple[tuple[str, Any], ...]
Scale = Callable[[int], int]


def _largest(kernel: Kernel) -> int:
    return kernel if isinstance(kernel, int) else max(kernel)


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution; a separable one if `multiplier` is given.

    Attributes:
        name: of its scope.
        depth: number of outputs; None for the depthwise part of a separable one alone.
        kernel: an int, or height and width.
        stride: of the convolution.
        padding: `SAME`, `VALID`, None for what the arg scopes say, or `EVEN` for
            `conv2d_same`, which pads both sides alike.
        options: further arguments of the layer.
        multiplier: gives the depthwise outputs of each channel of a separable one, of
            its depth.
        key: of its end point; the name if empty.
        before: applied to the inputs first, a normalization without variables.
        scaled: whether the depth is scaled with the others; "up" for never down.
        further: whether walking end points leaves it out.
    """

    name: str
    depth: int | None
    kernel: Kernel = 3
    stride: int = 1
    padding: str | None = "SAME"
    options: Options = ()
    multiplier: Callable[[int | None], int] | None = None
    key: str = ""
    before: Callable[[tf.Tensor], tf.Tensor] | None = None
    scaled: bool | str = True
    further: bool = False

    def build(self, net: tf.Tensor, stride: int, rate: int, next_rate: int):
        """Returns the outputs for `net`."""
        net = self.before(net) if self.before else net
        options = dict(self.options)
        rate = rate if _largest(self.kernel) > 1 else 1
        padding = self.padding
        if padding == "EVEN" and (self.multiplier is None or stride > 1):
            if not isinstance(self.kernel, int):
                raise ValueError(
                    f"{self.name}: padding='EVEN' is for square kernels, given as one "
                    f"number; got kernel={self.kernel}."
                )
            if self.multiplier is None and self.depth is not None:
                return conv2d_same(
                    net, self.depth, self.kernel, stride, rate, self.name, **options
                )
            sides = even_sides(self.kernel, rate)
            net, padding = tf.pad(net, [[0, 0], sides, sides, [0, 0]]), "VALID"
        if padding is not None:
            options["padding"] = "SAME" if padding == "EVEN" else padding
        # What is both strided and atrous is subsampled afterwards.
        after, stride = (stride, 1) if rate > 1 else (1, stride)
        if rate > 1:
            options["rate"] = rate
        conv = layers.conv2d
        if self.multiplier is not None:
            conv = layers.separable_conv2d
            options["depth_multiplier"] = self.multiplier(self.depth)
        net = conv(
            net, self.depth, self.kernel, stride=stride, scope=self.name, **options
        )
        return subsample(net, after)

    def traits(self, channels: int, stride: int, rate: int, next_rate: int) -> Traits:
        """Returns what it does."""
        options = dict(self.options)
        multiplier = self.multiplier(self.depth) if self.multiplier else 1
        return Traits(
            channels * multiplier if self.depth is None else self.depth,
            (((self.kernel, stride, rate),),),
            normalized=options.get("normalizer_fn", True) is not None,
            activated=options.get("activation_fn", True) is not None,
            exact=self.padding != "VALID" or _largest(self.kernel) <= stride,
            key=self.key or self.name,
        )

    def scaled_by(self, scale: Scale) -> Conv:
        """Returns the same convolution of another depth."""
        if self.depth is None or not self.scaled:
            return self
        depth = scale(self.depth)
        if self.scaled == "up":
            depth = max(depth, self.depth)
        return dataclasses.replace(self, depth=depth)


@dataclasses.dataclass(frozen=True)
class Pool:
    """A pool. Attributes as of `Conv`, and:

    Attributes:
        kind: `max` or `avg`.
        padding: also `lowest` or `zeros`, for one pixel on each side that never wins,
            as torch has it, or that is zero, as Keras.
        scoped_padding: what the family's arg scope says where padding is None.
    """

    name: str
    kernel: int = 3
    stride: int = 2
    padding: str | None = "SAME"
    kind: str = "max"
    key: str = ""
    before: Callable[[tf.Tensor], tf.Tensor] | None = None
    scoped_padding: str = "VALID"

    def build(self, net: tf.Tensor, stride: int, rate: int, next_rate: int):
        """Returns the outputs for `net`."""
        net = self.before(net) if self.before else net
        padding = self.padding
        if padding in ("lowest", "zeros"):
            outside = tf.constant(0 if padding == "zeros" else net.dtype.min, net.dtype)
            sides = [[0, 0], [rate, rate], [rate, rate], [0, 0]]
            net, padding = tf.pad(net, sides, constant_values=outside), "VALID"
        if rate > 1:
            return self._atrous(net, padding or self.scoped_padding, stride, rate)
        pool = {"max": layers.max_pool2d, "avg": layers.avg_pool2d}[self.kind]
        options = {} if padding is None else {"padding": padding}
        return pool(net, self.kernel, stride=stride, scope=self.name, **options)

    def _atrous(self, net: tf.Tensor, padding: str, stride: int, rate: int):
        """Values `rate` apart, as the pool sees them where the stride was kept."""
        with tf.name_scope(self.name or self.kind):
            if self.kind == "max":
                net = self._dilated(net, "MAX", padding, rate, net.dtype.min)
            else:
                # Padding is left out of the mean, as it is by an average pool.
                inside = self._dilated(tf.ones_like(net), "AVG", padding, rate, 0)
                net = self._dilated(net, "AVG", padding, rate, 0) / inside
        return subsample(net, stride)

    def _dilated(self, net, kind: str, padding: str, rate: int, outside) -> tf.Tensor:
        shape, sides = net.shape.as_list(), [rate * n for n in even_sides(self.kernel)]
        lost = 0 if padding == "SAME" else sum(sides)
        if padding == "SAME":  # Not implemented by TensorFlow.
            outside = tf.constant(outside, net.dtype)
            paddings = [[0, 0], sides, sides, [0, 0]]
            net = tf.pad(net, paddings, constant_values=outside)
        window, rates = [self.kernel] * 2, [rate] * 2
        net = tf.nn.pool(net, window, kind, [1, 1], "VALID", "NHWC", rates)
        # TensorFlow forgets what it knew of the size.
        sides = [side and side - lost for side in shape[1:3]]
        net.set_shape([shape[0], *sides, shape[3]])
        return net

    def traits(self, channels: int, stride: int, rate: int, next_rate: int) -> Traits:
        """Returns what it does."""
        return Traits(
            channels,
            (((self.kernel, stride, rate),),),
            exact=(self.padding or self.scoped_padding) != "VALID"
            or self.kernel <= stride,
            key=self.key or self.name,
        )


@dataclasses.dataclass(frozen=True)
class BlurPool:
    """A dense 3x3 max pool and a blur pool of stride 2 [1].

    [1] Zhang, arXiv:1904.11486.
    """

    name: str
    stride: int = 2

    def build(self, net: tf.Tensor, stride: int, rate: int, next_rate: int):
        """Returns the outputs for `net`."""
        net = layers.max_pool2d(net, 3, stride=1, padding="SAME", scope=self.name)
        return layers.blur_pool2d(net, stride, rate, scope="blur1")

    def traits(self, channels: int, stride: int, rate: int, next_rate: int) -> Traits:
        """Returns what it does."""
        return Traits(channels, (((3, 1, rate), (3, stride, rate)),), key=self.name)


@dataclasses.dataclass(frozen=True)
class Norm:
    """A norm by itself, with its activation if it has one. Attributes as of `Conv`."""

    name: str
    activation_fn: Callable | None = None
    key: str = ""
    further: bool = False
    stride = 1

    def build(self, net: tf.Tensor, stride: int, rate: int, next_rate: int):
        """Returns the outputs for `net`."""
        return normalized(net, activation_fn=self.activation_fn, scope=self.name)

    def traits(self, channels: int, stride: int, rate: int, next_rate: int) -> Traits:
        """Returns what it does."""
        activated = self.activation_fn is not None
        return Traits(channels, activated=activated, key=self.key or self.name)


def scaled(value: Any, scale: Scale) -> Any:
    """Returns a layer, or layers in tuples, with other depths if they have any."""
    if isinstance(value, tuple):
        return tuple(scaled(part, scale) for part in value)
    return value.scaled_by(scale) if hasattr(value, "scaled_by") else value


@describes(lambda channels, layer, **step: layer.traits(channels, **step))
@add_arg_scope
def layer_unit(
    inputs: tf.Tensor,
    layer: Any,
    stride: int = 1,
    rate: int = 1,
    outputs_collections: Any = None,
    *,
    next_rate: int | None = None,
) -> tf.Tensor:
    """One layer as a unit, in the scope of its own name.

    Args:
        inputs: `[batch, height, width, channels]`.
        layer: a `Conv`, `Pool`, `Mixed` or another of that kind.
        stride: its own, or 1.
        rate: of atrous convolution, up to the stride.
        outputs_collections: collections for the output.
        next_rate: of atrous convolution, after the stride; as `rate` by default.
    """
    outputs = layer.build(inputs, stride, rate, next_rate or rate)
    name = end_points.full_name(getattr(layer, "key", "") or layer.name)
    further = getattr(layer, "further", False)
    return end_points.collect(outputs_collections, name, outputs, further)


vars(layer_unit)["is_layer"] = True


def layers_block(parts: tuple[Any, ...]) -> Block:
    """Returns layers, one after the other, as a block without a scope."""
    units = [{"layer": layer, "stride": layer.stride} for layer in parts]
    return Block("", layer_unit, units)
