"""What the layers of `tf.layers` have in common: variables, scopes, kernel and bias.

Source: the public interface of tf.layers of TensorFlow 1.15.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1


class _Kind(type):
    """Takes what Keras has beside a layer of `tf.layers` for the latter's own.

    `class Mine(tf.keras.layers.Conv2D, tf.layers.Layer)` was `tf.layers.Conv2D` itself.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], own: dict[str, Any]) -> type:
        return super().__new__(cls, name, tuple(dict.fromkeys(map(_own, bases))), own)


def _own(base: type) -> type:
    if not base.__module__.startswith("keras."):
        return base
    layers = importlib.import_module("slimnets.slim.contrib.layers")
    return getattr(layers, base.__name__, base)


class Layer(metaclass=_Kind):
    """A layer with variables in a scope of its own, made at its first call.

    A sub-class has `build(shape)`, which calls `add_weight`, and `call(inputs)`.
    """

    base_name = "layer"

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None,
        _reuse: Any = None, _scope: Any = None,
    ):  # fmt: skip
        self.trainable, self._name, self._reuse = trainable, name, _reuse
        self.built, self.weights, self._scope = False, [], _scope
        self.dtype = dtype
        self._activity_regularizer: Callable | None = None

    def build(self, shape: tf.TensorShape) -> None:
        """Makes the variables."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Computes the output."""
        return inputs

    def __call__(self, inputs: Any, *args, **kwargs) -> Any:
        scope = self._scope or self._name
        if not self.built:
            inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
            self.dtype = self.dtype or tf.nest.flatten(inputs)[0].dtype
        with v1.variable_scope(
            scope, None if scope else self.base_name, [inputs], reuse=self._reuse
        ) as opened:
            self._scope = opened
            if not self.built:
                self.build(tf.nest.flatten(inputs)[0].shape)
                self.built = True
            outputs = self.call(inputs, *args, **kwargs)
            if self._activity_regularizer is not None:
                loss = self._activity_regularizer(outputs)
                v1.add_to_collection(v1.GraphKeys.REGULARIZATION_LOSSES, loss)
        return outputs

    apply = __call__

    def add_weight(
        self, name: str, shape: Any, initializer: Any = None, trainable: bool = True,
        **options: Any,
    ) -> tf.Variable:  # fmt: skip
        """Makes a variable in the layer's scope: `tf.get_variable`."""
        trainable = trainable and self.trainable
        options = {"initializer": initializer, "dtype": self.dtype, **options}
        weight = v1.get_variable(name, shape, trainable=trainable, **options)
        self.weights.append(weight)
        return weight

    add_variable = add_weight

    @property
    def name(self) -> str | None:
        return (
            self._scope.original_name_scope.rstrip("/") if self._scope else self._name
        )

    @property
    def scope_name(self) -> str:
        return self._scope.name

    @property
    def variables(self) -> list[tf.Variable]:
        return list(self.weights)

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        return [w for w in self.weights if w in v1.trainable_variables()]

    trainable_weights = trainable_variables


class Weighted(Layer):
    """What layers with a kernel and a bias have in common."""

    def __init__(
        self, *, activation=None, use_bias=True, kernel_initializer=None,
        bias_initializer=None, kernel_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None,
        data_format="channels_last", **layer: Any,
    ):  # fmt: skip
        super().__init__(**layer)
        self.activation, self.use_bias = activation, use_bias
        self.data_format = data_format
        self._activity_regularizer = activity_regularizer
        self._kernel = {
            "initializer": kernel_initializer,
            "regularizer": kernel_regularizer,
            "constraint": kernel_constraint,
        }
        self._bias = {
            "initializer": bias_initializer or v1.zeros_initializer(),
            "regularizer": bias_regularizer,
            "constraint": bias_constraint,
        }
        self._first = data_format == "channels_first"

    def _channels(self, shape: tf.TensorShape) -> int:
        channels = shape[1] if self._first else shape[-1]
        if channels is None:
            raise ValueError(
                f"{type(self).__name__} needs the channels of its inputs; got {shape}."
            )
        return channels

    def _make(self, shape: Sequence[int], filters: int) -> None:
        self.kernel = self.add_weight("kernel", shape, **self._kernel)
        if self.use_bias:
            self.bias = self.add_weight("bias", [filters], **self._bias)

    def _format(self, rank: int) -> str:
        letters = "WHD"[: rank - 2][::-1] if rank < 5 else "DHW"
        return f"NC{letters}" if self._first else f"N{letters}C"

    def _finished(self, net: tf.Tensor) -> tf.Tensor:
        if self.use_bias:
            bias = self.bias
            if self._first and net.shape.rank > 2:
                bias = tf.reshape(bias, [-1] + [1] * (net.shape.rank - 2))
            net = net + bias
        return net if self.activation is None else self.activation(net)


def as_tuple(value: Any, rank: int) -> tuple[int, ...]:
    """A number for each of `rank` dimensions, from one number or from as many."""
    return (int(value),) * rank if not hasattr(value, "__len__") else tuple(value)
