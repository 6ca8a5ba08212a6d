"""Depthwise and separable convolutions, with TF-Slim's arguments and variable names.

Source: tf_slim/layers/layers.py (`separable_convolution2d`), here on `tf.nn`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, initializers, low_precision
from slimnets.layers.places import activations
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.separable_conv2d, "SeparableConv2d")
def separable_conv2d(
    inputs: tf.Tensor,
    num_outputs: int | None,
    kernel_size: int | Sequence[int],
    depth_multiplier: int = 1,
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    rate: int | Sequence[int] = 1,
    activation_fn: Callable | None = tf.nn.relu,
    normalizer_fn: Callable | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Callable = initializers.XAVIER,
    pointwise_initializer: Callable | None = None,
    weights_regularizer: Callable | None = None,
    biases_initializer: Callable | None = initializers.zeros,
    biases_regularizer: Callable | None = None,
    reuse: bool | None = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    weight_transform: building.WeightTransform = None,
) -> tf.Tensor:
    """Convolves each channel by itself, and mixes the results by a 1x1 convolution.

    Other arguments as of `conv2d`.

    Args:
        inputs: `[batch, height, width, channels]`, or channels second for `NCHW`.
        num_outputs: of the 1x1 convolution; None for the depthwise one alone.
        kernel_size: of the depthwise convolution: an int, or height and width.
        depth_multiplier: depthwise outputs of each channel.
        stride: of the depthwise convolution, the same in both directions.
        padding: `SAME` or `VALID`.
        data_format: `NHWC` or `NCHW`.
        rate: dilation of the depthwise kernel; with stride 1 only.
        weights_initializer: of `depthwise_weights`, `[height, width, channels,
            depth_multiplier]`.
        pointwise_initializer: of `pointwise_weights`, `[1, 1, channels *
            depth_multiplier, num_outputs]`; None for weights_initializer.
        weights_regularizer: gives a scalar loss of either of them.
        weight_transform: of both of the weights, as of `conv2d`.

    Returns:
        `[batch, height / stride, width / stride, outputs]`; equal to TF-Slim's.

    Raises:
        ValueError: if the inputs' rank or channels, or another argument, do not fit.
    """
    channels_first = building.is_channels_first(data_format)
    padding = building.padding_of(padding)
    kernel = building.tuple_of(kernel_size, 2, "kernel_size")
    strides = building.tuple_of(stride, 2, "stride")
    rates = building.tuple_of(rate, 2, "rate")
    if strides[0] != strides[1] or (max(rates) > 1 and strides[0] > 1):
        raise ValueError(
            f"stride={stride!r}, rate={rate!r}; a depthwise convolution has one "
            "stride for both directions, and 1 where its rate is more than 1."
        )
    with tf.compat.v1.variable_scope(
        scope, "SeparableConv2d", [inputs], reuse=reuse
    ) as sc:
        inputs = building.of_rank(inputs, 4, f"{sc.name}: a separable convolution")
        if num_outputs is not None:
            num_outputs = building.whole(num_outputs, "num_outputs")
        depth_multiplier = building.whole(depth_multiplier, "depth_multiplier")
        dtype = inputs.dtype.base_dtype
        channels = building.channels_of(inputs, 1 if channels_first else -1)
        weights = functools.partial(
            building.make_variable,
            dtype=dtype,
            regularizer=weights_regularizer,
            trainable=trainable,
            collections=_of_weights(variables_collections),
        )
        shape = (*kernel, channels, depth_multiplier)
        depthwise = weights("depthwise_weights", shape, initializer=weights_initializer)
        kernel = building.weights_of(depthwise, dtype, weight_transform, "depthwise")
        # TensorFlow has no depthwise kernel with channels second on CPUs.
        inputs = building.channels_last(inputs, channels_first)
        outputs = _depthwise(inputs, kernel, strides, rates, padding)
        depth = channels * depth_multiplier
        if num_outputs is not None:
            outputs = activations(outputs, scope="depthwise/outputs")
            pointwise = weights(
                "pointwise_weights",
                (1, 1, depth, num_outputs),
                initializer=pointwise_initializer or weights_initializer,
            )
            kernel = building.weights_of(pointwise, dtype, weight_transform)
            outputs = tf.nn.conv2d(outputs, kernel, 1, "VALID")
        if normalizer_fn is None and biases_initializer is not None:
            outputs = building.biased(
                outputs,
                num_outputs or depth,
                biases_initializer,
                biases_regularizer,
                trainable,
                variables_collections,
            )
        outputs = building.channels_second(outputs, channels_first)
        return building.finish(
            outputs,
            normalizer_fn,
            normalizer_params,
            activation_fn,
            outputs_collections,
            sc.name,
        )


def _of_weights(collections: Any) -> Any:
    """What a dict of collections by kind has for both of the weights."""
    return collections.get("weights") if isinstance(collections, dict) else collections


def _depthwise(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    strides: tuple[int, ...],
    rates: tuple[int, ...],
    padding: str,
) -> tf.Tensor:
    steps = [1, *strides, 1]
    outputs = low_precision.depthwise_conv2d(
        inputs, kernel, steps, padding, list(rates)
    )
    if padding == "SAME" and strides[0] == 1:
        # Dilated, TensorFlow forgets what it knew of the size.
        depth = math.prod(kernel.shape.as_list()[2:])
        outputs.set_shape([*inputs.shape.as_list()[:3], depth])
    return outputs
