"""What several layers share: sizes, channels, normalizer and activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import end_points, scopes, variables
from slimnets.layers import initializers


def channels_of(inputs: tf.Tensor, channel_axis: int = -1) -> int:
    """Returns the static number of channels of `inputs`, or raises ValueError."""
    # as_list(): what [] gives after disable_v2_behavior() is no number.
    channels = inputs.shape.as_list()[channel_axis] if inputs.shape.rank else None
    if channels is None:
        raise ValueError(
            f"The number of channels must be known to make weights; it is undefined in "
            f"inputs of shape {inputs.shape}."
        )
    return channels


def tuple_of(value: int | Sequence[int], length: int, name: str) -> tuple[int, ...]:
    """Returns an int, or a sequence of `length` ints, as such a tuple."""
    values = (value,) * length if isinstance(value, int) else tuple(value)
    if len(values) != length or any(int(v) != v or v < 1 for v in values):
        raise ValueError(
            f"{name}={value!r}; allowed is a positive integer or {length} of them."
        )
    return tuple(int(v) for v in values)


def static_bool(value: bool | tf.Tensor | None) -> bool | None:
    """Returns a bool if `value` is known while building, else None."""
    if tf.is_tensor(value):
        value = tf.get_static_value(value)
        return None if value is None else bool(value)
    return bool(value)


def make_variable(
    name: str,
    shape: Sequence[int],
    dtype: tf.DType,
    initializer: Callable,
    regularizer: Callable | None = None,
    trainable: bool = True,
    collections: Any = None,
    aggregation: tf.VariableAggregation = tf.VariableAggregation.NONE,
) -> tf.Variable:
    """`variables.model_variable` with an initializer that knows the variable's name."""
    scope = tf.compat.v1.get_variable_scope().name
    full_name = f"{scope}/{name}" if scope else name
    return variables.model_variable(
        name,
        tuple(shape),
        dtype,
        initializers.bind(initializer, full_name),
        regularizer,
        trainable,
        collections,
        aggregation,
    )


def statistics_dtype(dtype: tf.DType) -> tf.DType:
    """The type in which statistics of activations of type `dtype` are kept."""
    return tf.float32 if dtype.size < 4 else dtype.base_dtype


def value_of(variable: tf.Variable, dtype: tf.DType) -> tf.Tensor:
    """Reads `variable` in the type that the layer computes in."""
    value = tf.convert_to_tensor(variable)
    return value if value.dtype == dtype else tf.cast(value, dtype)


def finish(
    outputs: tf.Tensor,
    normalizer_fn: Callable | None,
    normalizer_params: dict[str, Any] | None,
    activation_fn: Callable | None,
    outputs_collections: Any,
    scope_name: str,
) -> tf.Tensor:
    """Normalizes, activates and collects what a weight layer has computed."""
    normalizer_fn = scopes.counterpart(normalizer_fn)
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    if activation_fn is not None:
        outputs = activation_fn(outputs)
    return end_points.collect(outputs_collections, scope_name, outputs)
