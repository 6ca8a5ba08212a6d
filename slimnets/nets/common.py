"""What every family's generator does around its layers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.end_points import EndPoints, as_collections
from slimnets.scopes import arg_scope, current_arg_scope


def relative_name(name: str, outer: str) -> str:
    """Returns the scope `name` as seen from the scope `outer`, '' being the root."""
    return name[len(outer) + 1 :] if outer else name


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


def training(is_training: bool | tf.Tensor | None) -> contextlib.AbstractContextManager:
    """The scope of `is_training`; None leaves to the caller's scopes what they say."""
    if is_training is None:
        return contextlib.nullcontext()
    return arg_scope(
        [layers.batch_norm, layers.dropout, layers.drop_path], is_training=is_training
    )


def check_num_classes(num_classes: Any) -> None:
    """Raises ValueError for a negative number of classes, or one that is not whole."""
    whole = hasattr(num_classes, "__index__")
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
