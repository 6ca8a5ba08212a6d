"""Rare branches of a graph: kept apart, they take no time where they are not run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def apart(
    function: Callable[..., Any], signature: Sequence[tf.TensorSpec] | None = None
) -> Callable[..., Any]:
    """The same function, which in graphs is called and no part of them.

    Args:
        function: of tensors or, without a signature, of whatever is the same each time.
        signature: of the tensors, with which it is traced once for all graphs.
    """
    traced = tf.function(
        function,
        input_signature=signature,
        autograph=False,
        experimental_attributes={"_noinline": True},
    )

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return (function if tf.executing_eagerly() else traced)(*arguments)

    return call
