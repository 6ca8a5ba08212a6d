"""`tf.layers` of TensorFlow 1, which Keras 3 no longer carries, on public operations.

Variables (`kernel`, `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance`), scopes,
losses and update operations are those of TensorFlow 1, so that its checkpoints load.

Source: the public interface of tf.layers of TensorFlow 1.15.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets.slim.contrib import convolutions
from slimnets.slim.contrib.layer_base import Layer, Weighted

v1 = tf.compat.v1


class Dense(Weighted):
    """`activation(inputs * kernel + bias)` on the last dimension."""

    base_name = "dense"

    def __init__(self, units: int, activation=None, use_bias=True, **options: Any):
        super().__init__(activation=activation, use_bias=use_bias, **options)
        self.units = int(units)

    def build(self, shape):
        self._make([self._channels(shape), self.units], self.units)

    def call(self, inputs):
        if inputs.shape.rank > 2:
            return self._finished(tf.tensordot(inputs, self.kernel, 1))
        return self._finished(inputs @ self.kernel)


class BatchNormalization(Layer):
    """Batch normalization; in training, moving averages are in UPDATE_OPS."""

    base_name = "batch_normalization"

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3,
        center: bool = True, scale: bool = True, beta_initializer=None,
        gamma_initializer=None, moving_mean_initializer=None,
        moving_variance_initializer=None, beta_regularizer=None,
        gamma_regularizer=None, beta_constraint=None, gamma_constraint=None,
        renorm: bool = False, renorm_clipping=None, renorm_momentum: float = 0.99,
        fused: bool | None = None, trainable: bool = True, name: str | None = None,
        **layer: Any,
    ):  # fmt: skip
        super().__init__(trainable=trainable, name=name, **layer)
        if renorm:
            raise NotImplementedError("tf.layers' renorm=True is not stood in for.")
        self._axis, self._momentum, self._epsilon = axis, momentum, epsilon
        self._fused = fused is None or fused
        zeros, ones = v1.zeros_initializer(), v1.ones_initializer()
        beta = beta_initializer or zeros, beta_regularizer, beta_constraint
        gamma = gamma_initializer or ones, gamma_regularizer, gamma_constraint
        self._parameters = [("gamma", gamma)] * scale + [("beta", beta)] * center
        self._averages = (
            ("moving_mean", moving_mean_initializer or zeros),
            ("moving_variance", moving_variance_initializer or ones),
        )

    def build(self, shape):
        axis = self._axis[0] if isinstance(self._axis, (list, tuple)) else self._axis
        self._at = axis % shape.rank
        size = [shape[self._at]]
        self.gamma = self.beta = None
        for name, (initializer, regularizer, constraint) in self._parameters:
            parameter = self.add_weight(
                name, size, initializer, regularizer=regularizer, constraint=constraint
            )
            setattr(self, name, parameter)
        for name, initializer in self._averages:
            setattr(self, name, self.add_weight(name, size, initializer, False))

    def call(self, inputs, training=False):
        axes = [i for i in range(inputs.shape.rank) if i != self._at]
        averages = self.moving_mean, self.moving_variance
        known = training
        if isinstance(training, (tf.Tensor, tf.Variable)):
            known = tf.get_static_value(training)
        if known is None:
            of_batch = functools.partial(tf.nn.moments, inputs, axes)
            mean, variance = v1.cond(
                training, of_batch, lambda: tuple(map(tf.identity, averages))
            )
        else:
            mean, variance = tf.nn.moments(inputs, axes) if known else averages
        if known is None or known:
            rest, kept = 1.0 - self._momentum, variance
            if self._fused and len(axes) == 3:  # The fused operation's, of a sample.
                count = tf.cast(tf.size(inputs) // inputs.shape[self._at], kept.dtype)
                sample = kept * (count / tf.maximum(count - 1.0, 1.0))
                in_training = tf.cast(training, tf.bool)
                kept = sample if known else tf.where(in_training, sample, kept)
            for average, new in zip(averages, (mean, kept), strict=True):
                update = v1.assign_sub(average, (average - new) * rest)
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
        shape = [1] * inputs.shape.rank
        shape[self._at] = -1
        parts = [
            None if part is None else tf.reshape(part, shape)
            for part in (mean, variance, self.beta, self.gamma)
        ]
        return tf.nn.batch_normalization(inputs, *parts, self._epsilon)


class Dropout(Layer):
    """Sets a part `rate` of the inputs to 0 in training, and scales the rest."""

    base_name = "dropout"

    def __init__(self, rate=0.5, noise_shape=None, seed=None, name=None, **layer: Any):
        super().__init__(name=name, **layer)
        self._drop = functools.partial(
            tf.nn.dropout, rate=rate, noise_shape=noise_shape, seed=seed
        )

    def call(self, inputs, training=False):
        if isinstance(training, (tf.Tensor, tf.Variable)):
            return v1.cond(
                training, lambda: self._drop(inputs), lambda: tf.identity(inputs)
            )
        return self._drop(inputs) if training else tf.identity(inputs)


class Flatten(Layer):
    """`[batch, ...]` to `[batch, all the rest]`."""

    base_name = "flatten"

    def __init__(self, data_format="channels_last", name=None, **layer: Any):
        super().__init__(name=name, **layer)
        self._first = data_format == "channels_first"

    def call(self, inputs):
        if self._first and inputs.shape.rank > 2:
            order = [0, *range(2, inputs.shape.rank), 1]
            inputs = tf.transpose(inputs, order)
        rest = inputs.shape[1:].num_elements()
        if rest is None:
            return tf.reshape(inputs, [tf.shape(inputs)[0], -1])
        batch = inputs.shape[0]
        return tf.reshape(inputs, [-1 if batch is None else batch, rest])


def _function(layer: type[Layer]) -> Callable:
    """The function that makes the layer and calls it: `conv2d(inputs, ...)`."""

    def function(inputs, *args, reuse=None, **kwargs):
        called = {"training": kwargs.pop("training")} if "training" in kwargs else {}
        return layer(*args, _reuse=reuse, **kwargs)(inputs, **called)

    function.__name__ = function.__qualname__ = layer.base_name
    function.__doc__ = f"Makes a `{layer.__name__}` of the arguments and calls it."
    return function


_LAYERS = (Dense, BatchNormalization, Dropout, Flatten, *convolutions.LAYERS)
for _layer in _LAYERS:
    globals()[_layer.__name__] = _layer
    globals()[_layer.base_name] = _function(_layer)
separable_convolution2d = globals()["separable_conv2d"]
