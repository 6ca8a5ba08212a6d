"""One way to make a variable, in graph code and in TF2.

Every variable of every layer comes from `model_variable`, by
`tf.compat.v1.get_variable`: graph code has it in TF-Slim's collections, and a
`slimnets.Model` hands out its own through the variable scope's custom getter.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

_MODEL_COLLECTIONS = (
    tf.compat.v1.GraphKeys.GLOBAL_VARIABLES,
    tf.compat.v1.GraphKeys.MODEL_VARIABLES,
)

_local = threading.local()


def model_variable(
    name: str,
    shape: tuple[int, ...],
    dtype: tf.DType,
    initializer: Callable,
    regularizer: Callable | None = None,
    trainable: bool = True,
    collections: Any = None,
    aggregation: tf.VariableAggregation = tf.VariableAggregation.NONE,
) -> tf.Variable:
    """Returns the variable `name` of the open variable scope, made if need be.

    Args:
        name: the variable's own name, `weights` for example.
        shape: its shape.
        dtype: its type.
        initializer: a function of shape and dtype, or a constant initializer.
        regularizer: gives a scalar loss of the variable, or None. In graph code
            the loss goes to REGULARIZATION_LOSSES.
        trainable: whether optimizers find it.
        collections: a list of further graph collections, or a dict from `name` to
            such a list.
        aggregation: how the replicas of a `tf.distribute` strategy agree on an
            assigned value.

    Raises:
        RuntimeError: when called eagerly outside a `slimnets.Model`.
        ValueError: when the scope already has the variable and reuse is off, or
            lacks it and reuse is on.
    """
    scope = tf.compat.v1.get_variable_scope()
    if scope.custom_getter is None and tf.executing_eagerly():
        raise RuntimeError(
            f"The variable {scope.name}/{name} would be lost: a network or layer "
            "called eagerly has nowhere to keep variables. Wrap it: "
            "model = slimnets.Model(network, num_classes=...); model(images)."
        )
    if isinstance(collections, dict):
        collections = collections.get(name)
    # TensorFlow calls a regularizer twice and drops one result; a custom getter that
    # keeps regularizers, as a Model's does, is given it all the same.
    own_regularizer = regularizer if scope.custom_getter is None else None
    known = tf.compat.v1.get_collection_ref(tf.compat.v1.GraphKeys.MODEL_VARIABLES)
    count = len(known)
    try:
        variable = tf.compat.v1.get_variable(
            name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            regularizer=None if own_regularizer else regularizer,
            trainable=trainable,
            collections=[*_MODEL_COLLECTIONS],
            use_resource=True,
            aggregation=aggregation,
        )
    except ValueError as error:
        raise _explained(error, f"{scope.name}/{name}", scope) from None
    if own_regularizer and len(known) > count:
        _regularize(variable, own_regularizer)
    if collections and not tf.executing_eagerly():
        for collection in collections:
            if not any(
                v is variable for v in tf.compat.v1.get_collection_ref(collection)
            ):
                tf.compat.v1.add_to_collection(collection, variable)
    return variable


def add_regularization_loss(loss: tf.Tensor) -> None:
    """Adds a scalar loss of activations to what training adds to its loss.

    In graph code it goes to REGULARIZATION_LOSSES, beside the variables' losses; in a
    `slimnets.Model` to its `regularization_loss()`.
    """
    losses = getattr(_local, "losses", None)
    if losses is not None:
        losses.append(loss)
    elif not tf.executing_eagerly():
        tf.compat.v1.add_to_collection(
            tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES, loss
        )


@contextlib.contextmanager
def collecting_losses() -> Iterator[list[tf.Tensor]]:
    """Yields a list that gets what this thread adds by `add_regularization_loss`."""
    outer = getattr(_local, "losses", None)
    _local.losses = []
    try:
        yield _local.losses
    finally:
        _local.losses = outer


def _regularize(variable: tf.Variable, regularizer: Callable) -> None:
    """Adds a new variable's loss to the graph, in the scope TF-Slim gives it."""
    with tf.name_scope(variable.op.name + "/Regularizer/"):
        loss = regularizer(variable)
    if loss is not None:
        tf.compat.v1.add_to_collection(
            tf.compat.v1.GraphKeys.REGULARIZATION_LOSSES, loss
        )


def _explained(error: ValueError, name: str, scope) -> ValueError:
    """Puts what TensorFlow says of reuse, with its stack trace, into a sentence."""
    message = str(error)
    if "already exists" in message:
        return ValueError(
            f"The variable {name} already exists: another network or layer was built "
            f"in the scope {scope.name!r}. Pass reuse=True to share its variables, or "
            "another scope to have new ones."
        )
    if "does not exist" in message:
        return ValueError(
            f"The variable {name} does not exist, and reuse=True makes no new ones. "
            "Build the network first without reuse, or pass "
            "reuse=tf.compat.v1.AUTO_REUSE."
        )
    return error
