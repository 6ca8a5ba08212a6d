"""What a Model is called with: a network's arguments, shapes, inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.end_points import EndPoints
from slimnets.listing import did_you_mean
from slimnets.rows.scoping import TRANSFORMS
from slimnets.scopes import arg_scope

# What Keras Applications and timm call what is done in another way here.
_OF_OTHERS = {
    "pretrained": " weights='best', or a name of slimnets.weights.list_weights(), "
    "gives trained ones.",
    "include_top": " A network without classes is made by num_classes=None.",
    "features_only": " model.features(images, levels) gives the features.",
    "in_chans": " The images of the first call say how many channels there are.",
    "input_shape": " The images of the first call, or model.build(shape), say it.",
}


def named(network: str | Callable) -> tuple[str, Callable]:
    """Returns the name and the function of a network given as either.

    Raises:
        ValueError: for an unknown name.
        TypeError: for what is neither a name nor a function.
    """
    if isinstance(network, str):
        info = factory.network_info(network)
        return info.name, info.network
    if callable(network):
        return getattr(network, "__name__", "network"), network
    raise TypeError(f"network is a registered name or a function; got {network!r}.")


def bound(
    function: Callable, name: str, num_classes: int | None, kwargs: dict[str, Any]
) -> Callable[[Any, Any], Any]:
    """Returns `network(images, training)` with all other arguments checked and set."""
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    # None asks a network of slimnets for features, whatever its own default.
    if num_classes is not None or hasattr(function, "row"):
        kwargs = {"num_classes": num_classes, **kwargs}
    for keyword in kwargs:
        if keyword not in parameters and not takes_any:
            hint = did_you_mean(keyword, parameters)
            hint = _OF_OTHERS.get(keyword, hint)
            raise TypeError(
                f"The network {name!r} does not take {keyword!r}.{hint} "
                f"It takes: {', '.join(parameters)}."
            )
    takes_training = "is_training" in parameters or takes_any

    def network(images, training):
        given = {"is_training": training, **kwargs} if takes_training else kwargs
        if hasattr(function, "row"):
            return function(images, **given)
        # A network of the caller's own knows nothing of what rules add to its layers.
        with arg_scope(TRANSFORMS, is_training=training):
            return function(images, **given)

    return network


def outputs_of(result: Any, scope: str = "") -> tuple[Any, EndPoints | None]:
    """The outputs and the end points of what a network function has returned.

    Args:
        result: outputs, or `(outputs, end points)`, which may be any dict.
        scope: of a dict's end points.

    Returns:
        Both; None for the end points of a function that gives none.
    """
    outputs, found = result if isinstance(result, tuple) else (result, None)
    if found is None or isinstance(found, EndPoints):
        return outputs, found
    return outputs, EndPoints(found, scope=scope)


def specs(input_shape: Any) -> Any:
    """Returns one tf.TensorSpec of float32, or the given structure of them.

    Args:
        input_shape: as of `Model.build`.
    """
    return tf.nest.map_structure(
        lambda shape: tf.TensorSpec(shape, tf.float32), _shapes(input_shape)
    )


def _shapes(input_shape: Any) -> Any:
    """Returns one tf.TensorShape, or the given structure of them."""
    if isinstance(input_shape, tf.TensorShape):
        return input_shape
    if all(size is None or isinstance(size, int) for size in input_shape):
        return tf.TensorShape(input_shape)
    if isinstance(input_shape, dict):
        return {key: _shapes(shape) for key, shape in input_shape.items()}
    return type(input_shape)(_shapes(shape) for shape in input_shape)


def runs_inline() -> bool:
    """Whether to run in the caller's function rather than the Model's own.

    Updates of moving averages agree between replicas by a merge call, which cannot
    stand in a function inside a replica.
    """
    if tf.inside_function() or not tf.executing_eagerly():
        return True
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1
