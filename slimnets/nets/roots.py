"""Roots: what comes before a residual network's blocks."""

from __future__ import annotations

import dataclasses
import functools
import math

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import conv2d_same, recomputed
from slimnets.end_points import EndPoints
from slimnets.scopes import add_arg_scope


@dataclasses.dataclass(frozen=True)
class Root:
    """Convolutions and perhaps a pool, as data.

    Attributes:
        convs: `(depth, kernel size, stride)` of each convolution.
        pool: what halves the size after them: `same`, a 3x3 max pool padded as the
            arg scope says (TF-Slim); `symmetric`, padded on every side by a pixel that
            never wins (torch); `zeros`, by a pixel of zeros (Keras); `conv`, a
            convolution; `blur`, a dense max pool and a blur pool; None for nothing.
        biases: whether convolutions that no norm follows have biases.
    """

    convs: tuple[tuple[int, int, int], ...] = ((64, 7, 2),)
    pool: str | None = "same"
    biases: bool = True

    @property
    def total_stride(self) -> int:
        strides = [stride for _, _, stride in self.convs]
        return math.prod(strides) * (2 if self.pool else 1)

    @property
    def conv_names(self) -> list[str]:
        if len(self.convs) == 1:
            return ["conv1"]
        return [f"conv1_{index}" for index in range(1, len(self.convs) + 1)]


@add_arg_scope
def build_root(
    net: tf.Tensor,
    root: Root,
    preactivation: bool,
    end_points: EndPoints,
    scope_name: str,
    recompute: bool = False,
) -> tf.Tensor:
    """Builds a root, and records its outputs and their strides.

    Args:
        net: `[batch, height, width, channels]`.
        root: the row.
        preactivation: whether units normalize and activate what the root gives.
        end_points: where its outputs are recorded.
        scope_name: full name of the network's scope.
        recompute: as of `stack_blocks`.

    Returns:
        `[batch, height / total stride, width / total stride, depth]`.
    """
    build = functools.partial(
        _build, root=root, preactivation=preactivation, end_points=end_points
    )
    net = recomputed(build, net) if recompute else build(net)
    if root.pool:
        end_points.add(f"{scope_name}/pool1", net)
        end_points.mark_stride(net, root.total_stride)
    return net


def _build(
    net: tf.Tensor, root: Root, preactivation: bool, end_points: EndPoints
) -> tf.Tensor:
    plain = {}
    if preactivation:
        plain = {"activation_fn": None, "normalizer_fn": None}
        if not root.biases:
            plain["biases_initializer"] = None
    total = 1
    for name, (depth, kernel_size, stride) in zip(
        root.conv_names, root.convs, strict=True
    ):
        net = conv2d_same(net, depth, kernel_size, stride, scope=name, **plain)
        total *= stride
        end_points.mark_stride(net, total)
    return _pool(net, root.pool) if root.pool else net


def _pool(net: tf.Tensor, pool: str) -> tf.Tensor:
    if pool == "same":
        return layers.max_pool2d(net, 3, stride=2, scope="pool1")
    if pool == "conv":
        return conv2d_same(net, net.shape[-1], 3, 2, scope="pool1")
    if pool == "blur":
        net = layers.max_pool2d(net, 3, stride=1, padding="SAME", scope="pool1")
        return layers.blur_pool2d(net, 2, scope="blur1")
    if pool not in ("symmetric", "zeros"):
        raise ValueError(
            f"pool={pool!r}; allowed are 'same', 'symmetric', 'zeros', 'conv', 'blur' "
            "and None."
        )
    outside = tf.constant(0 if pool == "zeros" else net.dtype.min, net.dtype)
    net = tf.pad(net, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=outside)
    return layers.max_pool2d(net, 3, stride=2, padding="VALID", scope="pool1")
