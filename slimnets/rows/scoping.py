"""What the builder does around layers: checks, names, and what arguments stand for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import takes
from slimnets.end_points import EndPoints, as_collections
from slimnets.scopes import arg_scope, current_arg_scope
from slimnets.units.normalized import normalized

# What the networks' argument `norm` may be, beside a function.
NORMS = ("batch", "frozen", "sync", "group")
_WEIGHTED = (
    layers.conv2d, layers.conv1d, layers.separable_conv2d, layers.fully_connected,
)  # fmt: skip
_OTHER_NORMS = (layers.group_norm, layers.layer_norm, layers.global_response_norm)


def collecting(
    end_points: EndPoints, functions: Iterable[Callable]
) -> contextlib.ExitStack:
    """A scope in which `functions` leave their outputs in `end_points` too.

    Collections that the caller has named for them stay.
    """
    stack = contextlib.ExitStack()
    scope = current_arg_scope()
    for function in functions:
        key = getattr(function, "_key_op", None)
        if key is None:
            continue  # A plain unit function of the caller's collects nothing.
        named = scope.get(key, {}).get("outputs_collections")
        collections = [end_points, *as_collections(named)]
        stack.enter_context(arg_scope([function], outputs_collections=collections))
    return stack


# What rules add to layers, and behaves otherwise in training.
TRANSFORMS = (
    layers.spectral_norm,
    layers.magnitude_mask,
    layers.fake_quantized,
    layers.fake_quantized_activations,
)


def training(is_training: bool | tf.Tensor | None) -> contextlib.AbstractContextManager:
    """The scope of `is_training`; None leaves to the caller's scopes what they say."""
    if is_training is None:
        return contextlib.nullcontext()
    own = [layers.batch_norm, layers.dropout, layers.drop_path]
    return arg_scope([*own, *TRANSFORMS], is_training=is_training)


def check_num_classes(num_classes: Any) -> None:
    """Raises ValueError for a negative number of classes, or one that is not whole."""
    whole = hasattr(num_classes, "__index__")
    whole = whole or (isinstance(num_classes, float) and num_classes.is_integer())
    if num_classes is not None and not (whole and int(num_classes) >= 0):
        raise ValueError(
            f"num_classes={num_classes!r}; allowed is None or 0 for features, or more."
        )


def check_global_pool(global_pool: Any) -> None:
    """Raises ValueError for the name of a pool, which would be taken for True."""
    if isinstance(global_pool, str):
        raise ValueError(
            f"global_pool={global_pool!r}; allowed are True, to average over height "
            "and width, and False."
        )


def check_images(inputs: tf.Tensor, name: str) -> None:
    """Raises ValueError unless `inputs` are images of known channels."""
    shape = tf.TensorShape(getattr(inputs, "shape", None))
    if shape.rank != 4 or shape.as_list()[-1] is None:
        raise ValueError(
            f"{name} takes images [batch, height, width, channels] with known "
            f"channels; got inputs of shape {shape}."
        )


def check_norm(norm: Any) -> None:
    """Raises ValueError for a norm that the networks do not have."""
    if norm not in NORMS and not callable(norm):
        raise ValueError(
            f"norm={norm!r}; allowed are {', '.join(NORMS)}, and a function."
        )


def end_points_of(name: str, outer: str, bare: bool) -> EndPoints:
    """Returns the empty end points of a network.

    Args:
        name: full name of its scope.
        outer: of the scope where it is called.
        bare: whether keys leave its scope away.
    """
    if name == outer or not name.startswith(f"{outer}/" if outer else ""):
        outer = name.rpartition("/")[0]  # The scope was open already.
    scope = name[len(outer) + 1 :] if outer else name
    return EndPoints(scope=scope, outer_scope=outer, bare=bare)


def network_options(
    unit_fns: list[Callable], options: dict[str, Any]
) -> contextlib.ExitStack:
    """The arg scopes that norm, activation_fn and zero_init_residual stand for.

    Args:
        unit_fns: the functions of the network's units.
        options: its arguments.

    Raises:
        ValueError: for a norm, or an option that the units do not have.
    """
    norm, activation_fn = options["norm"], options["activation_fn"]
    check_norm(norm)
    stack = contextlib.ExitStack()

    def set_for(functions, **kwargs):
        stack.enter_context(arg_scope(list(functions), **kwargs))

    def own(function, keyword, default):
        """What a layer has as things are."""
        scoped = current_arg_scope().get(function._key_op, {})
        return scoped.get(keyword, default)

    scoped_units = [*(f for f in unit_fns if hasattr(f, "_key_op")), normalized]
    if norm == "sync":
        set_for([layers.batch_norm], sync=True)
    elif norm == "frozen":
        set_for([layers.batch_norm, *_OTHER_NORMS], trainable=False)
    elif norm != "batch":
        function = layers.group_norm if norm == "group" else norm
        if norm == "group":
            set_for([layers.group_norm], groups=None)
        with_norms = [f for f in _WEIGHTED if own(f, "normalizer_fn", None)]
        with_norms += [f for f in scoped_units if takes(f, "normalizer_fn")]
        set_for(with_norms, normalizer_fn=function)
    if activation_fn is not None:
        active = [f for f in _WEIGHTED if own(f, "activation_fn", True)]
        units = [f for f in scoped_units if takes(f, "activation_fn")]
        units = [f for f in units if f is not normalized]
        set_for([*active, *units, layers.squeeze_excite], activation_fn=activation_fn)
    if options["zero_init_residual"]:
        ending = [f for f in scoped_units if takes(f, "zero_init_residual")]
        if not ending:
            raise ValueError(
                "zero_init_residual needs units that end in a norm; these are "
                f"{', '.join(unit.__name__ for unit in unit_fns)}."
            )
        set_for(ending, zero_init_residual=True)
    return stack


def frozen_statistics(norm: Any) -> contextlib.AbstractContextManager:
    """The scope in which statistics stay as they are, whatever is_training says."""
    if norm == "frozen":
        return arg_scope([layers.batch_norm], is_training=False)
    return contextlib.nullcontext()


def like_units(unit_fn: Callable) -> Callable:
    """The normalization and activation that pre-activation units begin with."""
    scoped = current_arg_scope().get(getattr(unit_fn, "_key_op", None), {})
    normalizer_fn = scoped.get("normalizer_fn", layers.batch_norm)
    activation_fn = scoped.get("activation_fn", tf.nn.relu)
    return lambda net, scope: normalizer_fn(
        net, activation_fn=activation_fn, scope=scope
    )
