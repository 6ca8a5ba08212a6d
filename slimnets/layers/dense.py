"""Fully connected layers, flatten and softmax. Source: tf_slim/layers/layers.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import end_points
from slimnets.layers import building, initializers
from slimnets.scopes import shares_arg_scope


@shares_arg_scope(tf_slim.fully_connected, "fully_connected")
def fully_connected(
    inputs: tf.Tensor,
    num_outputs: int,
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
    """Multiplies the last dimension by `weights`. Arguments as of `conv2d`.

    Args:
        inputs: `[batch, ..., channels]`, rank 2 or more.

    Returns:
        `[batch, ..., num_outputs]`; equal to TF-Slim's.

    Raises:
        ValueError: for inputs of rank below 2 or unknown channels.
    """
    with tf.compat.v1.variable_scope(
        scope, "fully_connected", [inputs], reuse=reuse
    ) as sc:
        inputs = tf.convert_to_tensor(inputs)
        if inputs.shape.rank is None or inputs.shape.rank < 2:
            raise ValueError(
                f"{sc.name}: fully_connected takes inputs of rank 2 or more; got shape "
                f"{inputs.shape}."
            )
        num_outputs = building.whole(num_outputs, "num_outputs")
        channels = building.channels_of(inputs)
        weights = building.make_variable(
            "weights",
            (channels, num_outputs),
            inputs.dtype.base_dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            variables_collections,
        )
        kernel = building.weights_of(weights, inputs.dtype, weight_transform)
        if inputs.shape.rank == 2:
            outputs = tf.linalg.matmul(inputs, kernel)
        else:
            outputs = tf.tensordot(inputs, kernel, 1)
            outputs.set_shape([*inputs.shape[:-1], num_outputs])
        if normalizer_fn is None and biases_initializer is not None:
            outputs = building.biased(
                outputs,
                num_outputs,
                biases_initializer,
                biases_regularizer,
                trainable,
                variables_collections,
            )
        return building.finish(
            outputs,
            normalizer_fn,
            normalizer_params,
            activation_fn,
            outputs_collections,
            sc.name,
        )


@shares_arg_scope(tf_slim.flatten, "Flatten")
def flatten(
    inputs: tf.Tensor, outputs_collections: Any = None, scope: str | None = None
) -> tf.Tensor:
    """Returns `[batch, everything else]`. Raises ValueError for a scalar."""
    with tf.name_scope(scope or "Flatten") as name:
        inputs = tf.convert_to_tensor(inputs)
        if not inputs.shape.rank:
            raise ValueError(f"flatten takes inputs of rank 1 or more; got {inputs}.")
        size = inputs.shape[1:].num_elements()
        batch = inputs.shape.as_list()[0]
        with tf.name_scope("flatten"):  # TF-Slim's, in the names of operations.
            if batch is not None:
                outputs = tf.reshape(inputs, [batch, -1 if size is None else size])
            elif size is not None:
                outputs = tf.reshape(inputs, [-1, size])
            else:
                outputs = tf.reshape(inputs, [tf.shape(inputs)[0], -1])
        return end_points.collect(outputs_collections, name, outputs)


@shares_arg_scope(tf_slim.softmax, "softmax")
def softmax(logits: tf.Tensor, scope: str | None = None) -> tf.Tensor:
    """Softmax over the last dimension, computed in float32 or wider."""
    with tf.name_scope(scope or "softmax"):
        # The output has the name that TF-Slim gave it: old programs fetch it by that.
        return tf.identity(tf.nn.softmax(logits), "Reshape_1")
