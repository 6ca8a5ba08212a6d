"""What several layers share: sizes, channels, normalizer and activation."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import end_points, scopes, variables
from slimnets.layers import initializers, recomputing
from slimnets.layers.places import activations

# Activations that leave a value as it is, or at a limit.
_LIMITS = (tf.nn.relu, tf.nn.relu6)

WeightTransform = Callable | Sequence[Callable] | None


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


def of_rank(inputs: Any, rank: int, layer: str) -> tf.Tensor:
    """Returns `inputs` as a tensor, or raises ValueError if it has another rank."""
    inputs = tf.convert_to_tensor(inputs)
    if inputs.shape.rank != rank:
        raise ValueError(
            f"{layer} takes inputs of rank {rank}; got shape {inputs.shape}."
        )
    return inputs


def channels_last(values: Any, are_second: bool = True) -> tf.Tensor:
    """Moves the channels behind the spatial dimensions, if they are second."""
    values = tf.convert_to_tensor(values)
    if not are_second:
        return values
    return tf.transpose(values, [0, *range(2, values.shape.rank), 1])


def channels_second(values: tf.Tensor, wanted: bool = True) -> tf.Tensor:
    """Moves the channels from the end before the spatial dimensions, if wanted."""
    if not wanted:
        return values
    last = values.shape.rank - 1
    return tf.transpose(values, [0, last, *range(1, last)])


def whole(value: float, name: str) -> int:
    """Returns a whole number as an int: old code has `depth / 2`, which is a float, and
    dimensions of shapes.

    Raises:
        ValueError: if it is none.
    """
    number = isinstance(value, (numbers.Real, tf.compat.v1.Dimension))
    if number and value == int(value):
        return int(value)
    raise ValueError(f"{name}={value!r}; it is a whole number.")


def tuple_of(value: int | Sequence[int], length: int, name: str) -> tuple[int, ...]:
    """Returns an int, or a sequence of `length` ints, as such a tuple."""
    alone = isinstance(value, numbers.Real)
    values = (value,) * length if alone else tuple(value)
    if len(values) != length or any(int(v) != v or v < 1 for v in values):
        raise ValueError(
            f"{name}={value!r}; allowed is a positive integer or {length} of them."
        )
    return tuple(int(v) for v in values)


def padding_of(padding: str) -> str:
    """Returns `SAME` or `VALID`, in capitals. Raises ValueError for another."""
    if padding.upper() not in ("SAME", "VALID"):
        raise ValueError(
            f"padding={padding.upper()!r}; allowed are 'SAME' and 'VALID'."
        )
    return padding.upper()


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
    return variables.model_variable(
        name,
        tuple(shape),
        dtype,
        initializers.bind(initializer, end_points.full_name(name)),
        regularizer,
        trainable,
        collections,
        aggregation,
    )


def state_variable(
    name: str,
    shape: Sequence[int],
    dtype: tf.DType,
    initial: float | Callable,
    trainable: bool = False,
) -> tf.Variable:
    """Makes a variable that a layer changes itself, of a first value or initializer."""
    if not callable(initial):
        initial = tf.compat.v1.constant_initializer(initial)
    return make_variable(
        name,
        shape,
        dtype,
        initial,
        trainable=trainable,
        aggregation=(
            tf.VariableAggregation.ONLY_FIRST_REPLICA
            if dtype.is_integer
            else tf.VariableAggregation.MEAN
        ),
    )


def counted_step() -> tuple[tf.Variable, tf.Tensor]:
    """Makes the variable `step` of a layer that counts, and returns its value too."""
    # A whole number, of which training keeps no average.
    step = state_variable("step", (), tf.int64, 0)
    # Read once: a second read may run after the update that the first one leads to.
    return step, tf.convert_to_tensor(step)


def statistics_dtype(dtype: tf.DType) -> tf.DType:
    """The type in which statistics of activations of type `dtype` are kept."""
    return tf.float32 if dtype.size < 4 else dtype.base_dtype


def value_of(variable: tf.Variable, dtype: tf.DType) -> tf.Tensor:
    """Reads `variable` in the type that the layer computes in."""
    value = tf.convert_to_tensor(variable)
    return value if value.dtype == dtype else tf.cast(value, dtype)


def weights_of(
    variable: tf.Variable,
    dtype: tf.DType,
    transform: WeightTransform = None,
    kind: str = "",
) -> tf.Tensor:
    """What a layer computes with: its weights, transformed, in its own type.

    Args:
        variable: the weights.
        dtype: what the layer computes in.
        transform: a function of weights `[..., inputs, outputs]` that gives others of
            that shape, or several, one after the other; see `weight_transforms`.
        kind: `depthwise` for `[height, width, channels, multiplier]`, which it sees
            with one input and `channels * multiplier` outputs; `transposed` for
            `[..., outputs, inputs]`.
    """
    if transform is None:
        return value_of(variable, dtype)
    value = tf.convert_to_tensor(variable)
    shape = value.shape.as_list()
    swapped = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    if kind == "depthwise":
        value = tf.reshape(value, [*shape[:-2], 1, shape[-2] * shape[-1]])
    elif kind == "transposed":
        value = tf.transpose(value, swapped)
    for each in transform if isinstance(transform, (list, tuple)) else [transform]:
        value = each(value)
    if kind == "depthwise":
        value = tf.reshape(value, shape)
    elif kind == "transposed":
        value = tf.transpose(value, swapped)
    return value_of(value, dtype)


def biased(
    outputs: tf.Tensor,
    channels: int,
    initializer: Callable,
    regularizer: Callable | None,
    trainable: bool,
    collections: Any,
    channels_first: bool = False,
) -> tf.Tensor:
    """Adds biases, one for each of the outputs' channels, and makes their variable."""
    biases = make_variable(
        "biases",
        (channels,),
        outputs.dtype,
        initializer,
        regularizer,
        trainable,
        collections,
    )
    return tf.nn.bias_add(
        outputs,
        value_of(biases, outputs.dtype),
        data_format="NC.." if channels_first else None,
    )


def with_updates(
    outputs: tf.Tensor, updates: Sequence[Any], updates_collections: Any
) -> tf.Tensor:
    """Returns `outputs`, and has assignments run as `batch_norm` says."""
    if tf.executing_eagerly():
        return outputs
    updates = [update for update in updates if update is not None]
    if updates_collections is None:
        with tf.control_dependencies(updates):
            return tf.identity(outputs)
    for collection in end_points.as_collections(updates_collections):
        tf.compat.v1.get_collection_ref(collection).extend(updates)
    return outputs


def with_new_values(
    outputs: tf.Tensor,
    values: Sequence[tuple[tf.Variable, tf.Tensor]],
    is_training: bool | tf.Tensor,
    updates_collections: Any,
) -> tf.Tensor:
    """Has variables get their new values, in training and the first time only."""
    training = static_bool(is_training)
    if training is False or not recomputing.moves_averages():
        return outputs
    updates = []
    for variable, new in values:
        if training is None:
            new = tf.where(is_training, new, variable)
        updates.append(variable.assign(new, read_value=False))
    return with_updates(outputs, updates, updates_collections)


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
    outputs = activations(activated(outputs, activation_fn))
    return end_points.collect(outputs_collections, scope_name, outputs)


def activated(outputs: tf.Tensor, activation_fn: Callable | None) -> tf.Tensor:
    """Activates; what an activation that is no mere limit sees is a place itself."""
    if activation_fn is None:
        return outputs
    if activation_fn not in _LIMITS:
        outputs = activations(outputs, scope="linear")
    return activation_fn(outputs)


def is_channels_first(data_format: str, dimensions: int = 2) -> bool:
    """Whether channels come before the spatial dimensions, of which there are 1 to 3.

    Raises:
        ValueError: for neither `NHWC` nor `NCHW`; of three, `NDHWC` nor `NCDHW`.
    """
    space = "DHW"[-dimensions:]
    allowed = f"N{space}C", f"NC{space}"
    if data_format not in allowed:
        raise ValueError(
            f"data_format={data_format!r}; allowed are {allowed[0]!r} and "
            f"{allowed[1]!r}."
        )
    return data_format == allowed[1]


def norm_parameters(
    shape: Sequence[int],
    dtype: tf.DType,
    wanted: dict[str, bool],
    inits: dict[str, Callable] | None,
    trainable: bool,
    collections: Any,
) -> tuple[tf.Variable | None, ...]:
    """Makes a norm's variables, None for what is not wanted.

    Args:
        shape: of them.
        dtype: of them.
        wanted: whether there are `beta` and `gamma`, which are made in this order.
        inits: their initializers; zeros and ones by default.
        trainable: whether optimizers find them.
        collections: further collections for them.
    """
    first = {"beta": initializers.zeros, "gamma": initializers.ones, **(inits or {})}
    return tuple(
        make_variable(name, shape, dtype, first[name], None, trainable, collections)
        if there
        else None
        for name, there in wanted.items()
    )


def finish_norm(
    outputs: tf.Tensor,
    inputs: tf.Tensor,
    activation_fn: Callable | None,
    outputs_collections: Any,
    scope_name: str,
) -> tf.Tensor:
    """Activates and collects what a normalization has made of its inputs, as which it
    is of type and shape."""
    outputs = tf.cast(outputs, inputs.dtype)
    outputs.set_shape(inputs.shape)
    if activation_fn is not None:
        outputs = activation_fn(outputs)
    return end_points.collect(outputs_collections, scope_name, outputs)
