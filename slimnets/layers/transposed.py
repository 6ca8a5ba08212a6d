"""Transposed convolution: the gradient of a convolution as a layer.

Source: tf_slim/layers/layers.py (`convolution2d_transpose`), here on `tf.nn`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, initializers
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.conv2d_transpose, "Conv2d_transpose")
def conv2d_transpose(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str = "NHWC",
    activation_fn: Callable | None = tf.nn.relu,
    normalizer_fn: Callable | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Callable = initializers.XAVIER,
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
    """Spreads each value over a kernel, `stride` apart; then as `conv2d`.

    Other arguments as of that.

    Args:
        inputs: `[batch, height, width, channels]`, or channels second for `NCHW`.
        num_outputs: number of output channels.
        kernel_size: height and width, or an int for both.
        stride: ratio of the outputs' size to the inputs'.
        padding: `SAME`, or `VALID` to keep what lies outside of that ratio.
        data_format: `NHWC` or `NCHW`.
        weights_initializer: of `weights`, `[height, width, num_outputs, channels]`.

    Returns:
        `[batch, height * stride, width * stride, num_outputs]`, with what a kernel
        larger than the stride adds to it for `VALID`.

    Raises:
        ValueError: if the inputs' rank or channels, or another argument, do not fit.
    """
    channels_first = building.is_channels_first(data_format)
    padding = building.padding_of(padding)
    name = "Conv2d_transpose"
    with tf.compat.v1.variable_scope(scope, name, [inputs], reuse=reuse) as sc:
        inputs = building.of_rank(inputs, 4, f"{sc.name}: a transposed convolution")
        num_outputs = building.whole(num_outputs, "num_outputs")
        # With channels second there is no kernel on a CPU.
        inputs = building.channels_last(inputs, channels_first)
        size = building.tuple_of(kernel_size, 2, "kernel_size")
        steps = building.tuple_of(stride, 2, "stride")
        dtype = inputs.dtype.base_dtype
        weights = building.make_variable(
            "weights",
            (*size, num_outputs, building.channels_of(inputs)),
            dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            variables_collections,
        )
        kernel = building.weights_of(weights, dtype, weight_transform, "transposed")
        outputs = spread(inputs, kernel, steps, padding)
        if normalizer_fn is None and biases_initializer is not None:
            outputs = building.biased(
                outputs,
                num_outputs,
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


def spread(
    inputs: tf.Tensor, weights: tf.Tensor, steps: Sequence[int], padding: str
) -> tf.Tensor:
    """The transposed convolution, of the size that it has in TF-Slim and tf.layers.

    Args:
        inputs: `[batch, height, width, channels]`.
        weights: `[height, width, num_outputs, channels]`.
        steps: vertical and horizontal strides.
        padding: `SAME` or `VALID`.
    """
    *kernel, num_outputs, _ = weights.shape.as_list()
    extra = [0, 0]
    if padding == "VALID":
        extra = [max(k - s, 0) for k, s in zip(kernel, steps, strict=True)]
    known, size = inputs.shape.as_list(), tf.shape(inputs)
    sides = [size[1 + i] * steps[i] + extra[i] for i in (0, 1)]
    outputs = tf.nn.conv2d_transpose(
        inputs, weights, tf.stack([size[0], *sides, num_outputs]), steps, padding
    )
    static = [
        None if known[1 + i] is None else known[1 + i] * steps[i] + extra[i]
        for i in (0, 1)
    ]
    outputs.set_shape([known[0], *static, num_outputs])
    return outputs
