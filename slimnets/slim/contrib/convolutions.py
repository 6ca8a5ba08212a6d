"""The convolutions and pools of `tf.layers`.

Source: the public interface of tf.layers of TensorFlow 1.15.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from slimnets.layers.transposed import spread
from slimnets.slim.contrib.layer_base import Layer, Weighted, as_tuple


class _Conv(Weighted):
    rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str = "channels_last", dilation_rate: Any = 1, **options: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **options)
        self.filters, self.padding = int(filters), padding.lower()
        self.kernel_size = as_tuple(kernel_size, self.rank)
        self.strides = as_tuple(strides, self.rank)
        self.dilation_rate = as_tuple(dilation_rate, self.rank)

    def build(self, shape):
        self._make(
            [*self.kernel_size, self._channels(shape), self.filters], self.filters
        )

    def call(self, inputs):
        return self._finished(self._convolution_op(inputs, self.kernel))

    def _convolution_op(self, inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
        return tf.nn.convolution(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding.upper(),
            data_format=self._format(inputs.shape.rank),
            dilations=self.dilation_rate,
        )


class Conv1D(_Conv):
    """A convolution over time: `[batch, steps, channels]`."""

    rank, base_name = 1, "conv1d"


class Conv2D(_Conv):
    """A convolution of images: `[batch, height, width, channels]`."""

    rank, base_name = 2, "conv2d"


class Conv3D(_Conv):
    """A convolution of volumes: `[batch, depth, height, width, channels]`."""

    rank, base_name = 3, "conv3d"


class Conv2DTranspose(_Conv):
    """The transpose of `Conv2D`, which makes images larger."""

    base_name = "conv2d_transpose"

    def build(self, shape):
        self._make(
            [*self.kernel_size, self.filters, self._channels(shape)], self.filters
        )

    def call(self, inputs):
        if self._first:  # Which has no kernel on a CPU.
            inputs = tf.transpose(inputs, [0, 2, 3, 1])
        net = spread(inputs, self.kernel, self.strides, self.padding.upper())
        return self._finished(tf.transpose(net, [0, 3, 1, 2]) if self._first else net)


class SeparableConv2D(_Conv):
    """A depthwise convolution and one of 1x1 after it."""

    base_name = "separable_conv2d"

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid",
        data_format="channels_last", dilation_rate=1, depth_multiplier=1,
        depthwise_initializer=None, pointwise_initializer=None,
        depthwise_regularizer=None, pointwise_regularizer=None, **options: Any,
    ):  # fmt: skip
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            **options,
        )
        self._multiplier = depth_multiplier
        self._depthwise = depthwise_initializer, depthwise_regularizer
        self._pointwise = pointwise_initializer, pointwise_regularizer

    def build(self, shape):
        channels = self._channels(shape)
        multiplier = self._multiplier
        for name, size, (initializer, regularizer) in (
            ("depthwise", [*self.kernel_size, channels, multiplier], self._depthwise),
            ("pointwise", [1, 1, channels * multiplier, self.filters], self._pointwise),
        ):
            kernel = self.add_weight(
                f"{name}_kernel", size, initializer, regularizer=regularizer
            )
            setattr(self, f"{name}_kernel", kernel)
        if self.use_bias:
            self.bias = self.add_weight("bias", [self.filters], **self._bias)

    def call(self, inputs):
        steps = [1, 1, *self.strides] if self._first else [1, *self.strides, 1]
        net = tf.nn.separable_conv2d(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            steps,
            self.padding.upper(),
            self._format(4),
            list(self.dilation_rate),
        )
        return self._finished(net)


class _Pool(Layer):
    def __init__(
        self, pool_size: Any, strides: Any, padding: str = "valid",
        data_format: str = "channels_last", name: str | None = None, **layer: Any,
    ):  # fmt: skip
        super().__init__(name=name, **layer)
        kind, self._rank = type(self).base_name.partition("_")[0], self.rank
        self._pool = functools.partial(
            tf.nn.pool,
            window_shape=as_tuple(pool_size, self.rank),
            pooling_type={"max": "MAX", "average": "AVG"}[kind],
            strides=as_tuple(strides, self.rank),
            padding=padding.upper(),
        )
        letters = ("W", "HW", "DHW")[self.rank - 1]
        first = data_format == "channels_first"
        self._letters = f"NC{letters}" if first else f"N{letters}C"

    def call(self, inputs):
        return self._pool(inputs, data_format=self._letters)


class MaxPooling1D(_Pool):
    """The greatest value of each window over time."""

    rank, base_name = 1, "max_pooling1d"


class MaxPooling2D(_Pool):
    """The greatest value of each window of images."""

    rank, base_name = 2, "max_pooling2d"


class MaxPooling3D(_Pool):
    """The greatest value of each window of volumes."""

    rank, base_name = 3, "max_pooling3d"


class AveragePooling1D(_Pool):
    """The mean of each window over time."""

    rank, base_name = 1, "average_pooling1d"


class AveragePooling2D(_Pool):
    """The mean of each window of images."""

    rank, base_name = 2, "average_pooling2d"


class AveragePooling3D(_Pool):
    """The mean of each window of volumes."""

    rank, base_name = 3, "average_pooling3d"


LAYERS = (
    Conv1D, Conv2D, Conv3D, Conv2DTranspose, SeparableConv2D, MaxPooling1D,
    MaxPooling2D, MaxPooling3D, AveragePooling1D, AveragePooling2D, AveragePooling3D,
)  # fmt: skip
