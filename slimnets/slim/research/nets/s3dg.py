"""S3D-G, a network of videos, as research/slim has it.

Source: Xie et al., Rethinking Spatiotemporal Feature Learning For Video Understanding,
arXiv:1712.04851; names and layout of research/slim's nets/s3dg.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import Scope, arg_scope
from slimnets.slim.research.nets.i3d_utils import (
    conv3d_spatiotemporal,
    inception_block_v1_3d,
    reduced_kernel_size_3d,
)

__all__ = ["s3dg", "s3dg_arg_scope", "s3dg_base", "self_gating"]

# Behind the first convolution, in order: kernel and stride of a pool, depth and kernel
# of a convolution, or the depths of a block's convolutions.
_LAYERS: dict[str, tuple[Any, ...]] = {
    "MaxPool_2a_3x3": ([1, 3, 3], [1, 2, 2]),
    "Conv2d_2b_1x1": (64, 1),
    "Conv2d_2c_3x3": (192, 3),
    "MaxPool_3a_3x3": ([1, 3, 3], [1, 2, 2]),
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool_4a_3x3": ([3, 3, 3], [2, 2, 2]),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool_5a_2x2": ([2, 2, 2], [2, 2, 2]),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def s3dg_arg_scope(
    weight_decay: float = 1e-7,
    batch_norm_decay: float = 0.999,
    batch_norm_epsilon: float = 0.001,
) -> Scope:
    """Returns S3D-G's arg scope, on top of what is open: kernels are separable in it.

    Args:
        weight_decay: of the weights, as an L2 loss.
        batch_norm_decay: of the moving averages, which are in `moving_vars` too.
        batch_norm_epsilon: added to the variances.
    """
    norm = {"decay": batch_norm_decay, "epsilon": batch_norm_epsilon}
    return video_arg_scope(weight_decay, norm, separable=True)


def video_arg_scope(weight_decay: float, norm: dict[str, Any], separable: bool):
    """Returns the arg scope of S3D-G and I3D.

    Args:
        weight_decay: of the weights, as an L2 loss.
        norm: arguments of the batch norms.
        separable: whether kernels of several frames are separable.
    """
    moving = {key: ["moving_vars"] for key in ("moving_mean", "moving_variance")}
    collections = {"beta": None, "gamma": None, **moving}
    params = {**norm, "fused": False, "variables_collections": collections}
    with (
        arg_scope(
            [layers.conv3d, conv3d_spatiotemporal],
            weights_regularizer=layers.l2_regularizer(weight_decay),
            activation_fn=tf.nn.relu,
            normalizer_fn=layers.batch_norm,
            normalizer_params=params,
        ),
        arg_scope([conv3d_spatiotemporal], separable=separable) as scope,
    ):
        return scope


def self_gating(
    input_tensor: tf.Tensor, scope: str, data_format: str = "NDHWC"
) -> tf.Tensor:
    """Scales channels by what all frames and positions have of them on average.

    Args:
        input_tensor: `[batch, frames, height, width, channels]` of known sizes, or
            channels second for `NCDHW`.
        scope: of the layer, in which the gate's is `self_gating`.
        data_format: `NDHWC` or `NCDHW`.
    """
    shape = input_tensor.shape.as_list()
    sizes = [shape[data_format.index(axis)] for axis in "DHW"]
    means = layers.avg_pool3d(
        input_tensor,
        sizes,
        stride=1,
        data_format=data_format,
        scope=f"{scope}/self_gating/avg_pool3d",
    )
    weights = layers.conv3d(
        means,
        shape[data_format.index("C")],
        1,
        activation_fn=None,
        normalizer_fn=None,
        biases_initializer=None,
        data_format=data_format,
        weights_initializer=tf.compat.v1.truncated_normal_initializer(0.0, 0.01),
        scope=f"{scope}/self_gating/transformer_W",
    )
    return tf.multiply(tf.sigmoid(weights), input_tensor)


def s3dg_base(
    inputs: tf.Tensor,
    first_temporal_kernel_size: int = 3,
    temporal_conv_startat: str | None = "Conv2d_2c_3x3",
    gating_startat: str | None = "Conv2d_2c_3x3",
    final_endpoint: str = "Mixed_5c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    data_format: str = "NDHWC",
    scope: Any = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds S3D-G, or I3D, without its head.

    Args:
        inputs: `[batch, frames, height, width, channels]`, or channels second for
            `NCDHW`.
        first_temporal_kernel_size: frames of the first kernel: 1, 3, 5 or 7.
        temporal_conv_startat: the end point from which on 3x3 kernels are of three
            frames, and not of one.
        gating_startat: the end point from which on layers are self-gated.
        final_endpoint: the last one.
        min_depth: a depth is never scaled below this.
        depth_multiplier: scales the depths.
        data_format: `NDHWC` or `NCDHW`.
        scope: name of the variable scope, or an open one.

    Returns:
        `(net, end_points)`.

    Raises:
        ValueError: for an argument that is not one of these.
    """
    if data_format not in ("NDHWC", "NCDHW"):
        raise ValueError(
            f"data_format={data_format!r}; allowed are 'NDHWC' and 'NCDHW'."
        )
    first = "Conv2d_1a_7x7"
    if final_endpoint not in (first, *_LAYERS):
        raise ValueError(
            f"Unknown final endpoint {final_endpoint}; allowed are "
            f"{', '.join((first, *_LAYERS))}."
        )
    if depth_multiplier <= 0:
        raise ValueError(
            f"depth_multiplier={depth_multiplier}; allowed is more than 0."
        )
    if first_temporal_kernel_size not in (1, 3, 5, 7):
        raise ValueError(
            f"first_temporal_kernel_size={first_temporal_kernel_size}; allowed are 1, "
            "3, 5 and 7."
        )

    def depth(value: int) -> int:
        return max(int(value * depth_multiplier), min_depth)

    wide = tf.compat.v1.truncated_normal_initializer(0.0, 0.01)
    with (
        tf.compat.v1.variable_scope(scope, "InceptionV1", [inputs]),
        arg_scope([layers.conv3d], weights_initializer=wide),
        arg_scope(
            [layers.conv3d, layers.max_pool3d, conv3d_spatiotemporal],
            stride=1,
            data_format=data_format,
            padding="SAME",
        ),
    ):
        kernel = [first_temporal_kernel_size, 7, 7]
        net = conv3d_spatiotemporal(
            inputs, depth(64), kernel, stride=2, separable=False, scope=first
        )
        end_points, frames, gate = {first: net}, 1, None
        for name, row in _LAYERS.items():
            if final_endpoint in end_points:
                break
            frames = 3 if temporal_conv_startat == name else frames
            if gating_startat == name:
                gate = functools.partial(self_gating, data_format=data_format)
            net = _layer(net, name, row, depth, frames, gate, data_format)
            end_points[name] = net
    return net, end_points


def _layer(
    net: tf.Tensor,
    name: str,
    row: tuple[Any, ...],
    depth: Callable[[int], int],
    frames: int,
    gate: Callable[..., tf.Tensor] | None,
    data_format: str,
) -> tf.Tensor:
    if name.startswith("MaxPool"):
        return layers.max_pool3d(net, *row, scope=name)
    if name.startswith("Mixed"):
        return inception_block_v1_3d(
            net,
            *map(depth, row),
            temporal_kernel_size=frames,
            self_gating_fn=gate,
            data_format=data_format,
            scope=name,
        )
    outputs, kernel = depth(row[0]), row[1]
    if kernel == 1:
        return layers.conv3d(net, outputs, 1, scope=name)
    net = conv3d_spatiotemporal(net, outputs, [frames, kernel, kernel], scope=name)
    return net if gate is None else gate(net, scope=name)


def s3dg(
    inputs: tf.Tensor,
    num_classes: int = 1000,
    first_temporal_kernel_size: int = 3,
    temporal_conv_startat: str | None = "Conv2d_2c_3x3",
    gating_startat: str | None = "Conv2d_2c_3x3",
    final_endpoint: str = "Mixed_5c",
    min_depth: int = 16,
    depth_multiplier: float = 1.0,
    dropout_keep_prob: float = 0.8,
    is_training: bool | tf.Tensor = True,
    prediction_fn: Callable[..., tf.Tensor] = layers.softmax,
    spatial_squeeze: bool = True,
    reuse: bool | None = None,
    data_format: str = "NDHWC",
    scope: Any = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds S3D-G: Inception v1 over frames, separable and gated.

    Args:
        num_classes: number of classes.
        dropout_keep_prob: of the features before the logits.
        is_training: whether batch norms use the batch's statistics, and dropout drops.
        prediction_fn: makes predictions of logits.
        spatial_squeeze: whether logits are `[batch, num_classes]`, and not
            `[batch, rows, columns, num_classes]`.
        reuse: as in `tf.compat.v1.variable_scope`.
        inputs, first_temporal_kernel_size, temporal_conv_startat, gating_startat,
            final_endpoint, min_depth, depth_multiplier, data_format, scope: as of
            `s3dg_base`.

    Returns:
        `(logits, end_points)`: the means over frames.

    Raises:
        ValueError: as `s3dg_base`.
    """
    with (
        tf.compat.v1.variable_scope(scope, "InceptionV1", [inputs], reuse=reuse) as sc,
        arg_scope([layers.batch_norm, layers.dropout], is_training=is_training),
    ):
        net, end_points = s3dg_base(
            inputs,
            first_temporal_kernel_size,
            temporal_conv_startat,
            gating_startat,
            final_endpoint,
            min_depth,
            depth_multiplier,
            data_format,
            sc,
        )
        if data_format == "NCDHW":
            net = tf.transpose(net, [0, 2, 3, 4, 1])
        with tf.compat.v1.variable_scope("Logits"):
            logits = _logits(net, num_classes, dropout_keep_prob, spatial_squeeze)
            end_points["Logits"] = logits
            end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points


s3dg.default_image_size = 224


def _logits(
    net: tf.Tensor, num_classes: int, dropout_keep_prob: float, spatial_squeeze: bool
) -> tf.Tensor:
    kernel = reduced_kernel_size_3d(net, [2, 7, 7])
    net = layers.avg_pool3d(net, kernel, stride=1, scope="AvgPool_0a_7x7")
    net = layers.dropout(net, dropout_keep_prob, scope="Dropout_0b")
    plain = {"activation_fn": None, "normalizer_fn": None}
    logits = layers.conv3d(net, num_classes, 1, scope="Conv2d_0c_1x1", **plain)
    logits = tf.reduce_mean(logits, 1)
    if spatial_squeeze:
        logits = tf.squeeze(logits, [1, 2], name="SpatialSqueeze")
    return logits
