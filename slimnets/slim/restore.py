"""Assigning variables from a checkpoint: `slim.assign_from_checkpoint`.

TF-Slim's own takes its share of a partitioned variable out of the whole by an index
that NumPy has given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_slim

v1 = tf.compat.v1


def assign_from_checkpoint(
    model_path: str,
    var_list: Sequence[tf.Variable] | Mapping[str, Any],
    ignore_missing_vars: bool = False,
) -> tuple[tf.Operation, dict[tf.Tensor, np.ndarray]]:
    """Makes an operation that assigns variables what a checkpoint has for them.

    Args:
        model_path: the checkpoint's prefix.
        var_list: variables, found by their full names; or `{name in the checkpoint:
            variable}`, where the parts of a partitioned variable are a list.
        ignore_missing_vars: whether to warn of names that the checkpoint has not, and
            go on.

    Returns:
        The operation, and the feed dict it runs with.

    Raises:
        ValueError: for a name that the checkpoint has not, or a shape that differs.
    """
    if not isinstance(var_list, Mapping):
        by_name: dict[str, list] = {}
        for variable in var_list:
            name = tf_slim.get_variable_full_name(variable)
            by_name.setdefault(name, []).append(variable)
        var_list = by_name
    reader = v1.train.NewCheckpointReader(model_path)
    feed_dict, assignments = {}, []
    for name, variables in var_list.items():
        if not reader.has_tensor(name):
            message = f"Checkpoint is missing variable [{name}]"
            if not ignore_missing_vars:
                raise ValueError(message)
            v1.logging.warning(message)
            continue
        whole = reader.get_tensor(name)
        for part in variables if isinstance(variables, (list, tuple)) else [variables]:
            value = _share(whole, part)
            if part.shape != value.shape:
                raise ValueError(
                    f"Total size of new array must be unchanged for {name} "
                    f"lh_shape: [{value.shape}], rh_shape: [{part.shape}]"
                )
            fed = v1.placeholder(
                part.dtype.base_dtype, part.shape, f"placeholder/{part.op.name}"
            )
            assignments.append(part.assign(fed))
            feed_dict[fed] = value
    return tf.group(*assignments), feed_dict


def _share(whole: np.ndarray, variable: tf.Variable) -> np.ndarray:
    """The part of a checkpoint's value that is this variable's."""
    definition = variable.to_proto()
    if not definition.HasField("save_slice_info_def"):
        return whole
    info = definition.save_slice_info_def
    return whole[
        tuple(
            slice(start, start + size)
            for start, size in zip(info.var_offset, info.var_shape, strict=True)
        )
    ]
