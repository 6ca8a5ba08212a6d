"""What TensorFlow computes slowly in bfloat16 on a processor, in float32.

Each function is TensorFlow's own in any other precision. In bfloat16 the results are
those of its kernels, which add up in float32 and round in the end, up to that rounding.
How long each kernel takes: `python -m tests.benchmarks.operation_time`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# Of channels in other numbers, norms take two to ten times as long as in float32.
_FAST_CHANNELS = 16
# Of kernels with more weights, the weights' gradient takes two to five times as long.
_FAST_SIDE = 3


def depthwise_conv2d(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int],
    padding: str | Sequence,
    dilations: Sequence[int],
) -> tf.Tensor:
    """`tf.nn.depthwise_conv2d`, channels last.

    With a stride, the inputs' gradient takes 8 to 41 times as long as in float32.
    """
    fast, slow = tf.bfloat16, tf.float32
    of_inputs = slow if max(strides) > 1 else fast
    of_kernel = slow if max(kernel.shape[:2]) > _FAST_SIDE else fast
    is_fast = of_inputs == of_kernel == fast
    if inputs.dtype != tf.bfloat16 or max(dilations) > 1 or is_fast:
        return tf.nn.depthwise_conv2d(
            inputs, kernel, strides, padding, dilations=dilations
        )

    @tf.custom_gradient
    def convolved(inputs, kernel):
        def gradients(upstream):
            to_inputs = tf.nn.depthwise_conv2d_backprop_input(
                tf.shape(inputs),
                tf.cast(kernel, of_inputs),
                tf.cast(upstream, of_inputs),
                strides,
                padding,
            )
            to_kernel = tf.nn.depthwise_conv2d_backprop_filter(
                tf.cast(inputs, of_kernel),
                kernel.shape,
                tf.cast(upstream, of_kernel),
                strides,
                padding,
            )
            return tf.cast(to_inputs, fast), tf.cast(to_kernel, fast)

        return tf.nn.depthwise_conv2d(inputs, kernel, strides, padding), gradients

    return convolved(inputs, kernel)


def fused_batch_norm(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, **options: Any
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`tf.compat.v1.nn.fused_batch_norm`."""
    dtype = inputs.dtype
    if dtype == tf.bfloat16 and scale.shape[0] % _FAST_CHANNELS:
        inputs = tf.cast(inputs, tf.float32)
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs, scale, offset, **options
    )
    return tf.cast(outputs, dtype), mean, variance
