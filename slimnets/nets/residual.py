"""The generator behind every residual network: root, blocks, head.

Families differ in rows: their root, their blocks, their arg scope (nets/rows.py).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import Block, check_output_stride, stack_blocks
from slimnets.end_points import EndPoints
from slimnets.nets import common
from slimnets.nets.freezing import check_norm, freeze_blocks, frozen_if
from slimnets.nets.roots import Root, build_root
from slimnets.scopes import Scope, arg_scope, current_arg_scope, default_arg_scope


def residual_network(
    inputs: tf.Tensor,
    blocks: Sequence[Block],
    *,
    scope: Any,
    default_name: str,
    default_scope: Scope,
    root: Root | None,
    preactivation: bool,
    num_classes: int | None = None,
    is_training: bool | tf.Tensor | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    spatial_squeeze: bool = True,
    store_non_strided_activations: bool = False,
    reuse: Any = None,
    norm: str = "batch",
    activation_fn: Callable | None = None,
    prediction_fn: Callable | None = None,
    dropout_keep_prob: float = 1.0,
    zero_init_residual: bool = False,
    multi_grid: Sequence[int] | None = None,
    freeze_at: int = 0,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a residual network. Other parameters as of `resnet_v2` and `network_of`.

    Args:
        default_name: the scope's name when `scope` is None.
        default_scope: the family's arg scope, which lies under the caller's.
        root: what comes before the blocks; None for nothing.
        preactivation: whether normalization comes first in units, so that the root
            ends without and the blocks end with one (`postnorm`).
    """
    outer = tf.compat.v1.get_variable_scope().name
    check_images(inputs, scope or default_name)
    root_stride = root.total_stride if root else 1
    check_output_stride(output_stride, blocks, root_stride)
    common.check_num_classes(num_classes)
    frozen_blocks = freeze_blocks(blocks, freeze_at)
    unit_fns = list(dict.fromkeys(block.unit_fn for block in blocks))
    with (
        tf.compat.v1.variable_scope(scope, default_name, [inputs], reuse=reuse) as sc,
        default_arg_scope(default_scope),
        _options(unit_fns, norm, activation_fn, zero_init_residual),
        common.training(is_training),
        _frozen(norm),
    ):
        end_points = EndPoints(
            scope=common.relative_name(sc.name, outer), outer_scope=outer
        )
        with common.collecting(end_points, [layers.conv2d, stack_blocks, *unit_fns]):
            net = inputs
            if root:
                with frozen_if(freeze_at):
                    net = build_root(net, root, preactivation, end_points, sc.name)
            net = stack_blocks(
                net,
                frozen_blocks,
                output_stride and output_stride // root_stride,
                store_non_strided_activations,
                root_stride=root_stride,
                multi_grid=multi_grid,
            )
            if preactivation:
                # v2 units end un-normalized, so the network's last norm lives here.
                with frozen_if(freeze_at > len(blocks)):
                    raw, net = net, _like_units(unit_fns[-1])(net, scope="postnorm")
                end_points.mark_normalized(raw, f"{sc.name}/postnorm", net)
            net = build_head(
                net,
                num_classes,
                end_points,
                sc.name,
                global_pool,
                spatial_squeeze,
                prediction_fn,
                dropout_keep_prob,
            )
    return net, end_points


def check_images(inputs: tf.Tensor, name: str) -> None:
    """Raises ValueError unless `inputs` are images of known channels."""
    shape = tf.TensorShape(getattr(inputs, "shape", None))
    if shape.rank != 4 or shape.as_list()[-1] is None:
        raise ValueError(
            f"{getattr(name, 'name', name)} takes images [batch, height, width, "
            f"channels] with known channels; got inputs of shape {shape}."
        )


def _options(
    unit_fns: list[Callable],
    norm: str,
    activation_fn: Callable | None,
    zero_init_residual: bool,
) -> contextlib.ExitStack:
    """The arg scopes that a network function's options stand for."""
    check_norm(norm)
    stack = contextlib.ExitStack()

    def set_for(functions, **kwargs):
        stack.enter_context(arg_scope(functions, **kwargs))

    if norm == "sync":
        set_for([layers.batch_norm], sync=True)
    elif norm == "frozen":
        set_for([layers.batch_norm], trainable=False)
    elif norm == "group":
        set_for([layers.conv2d], normalizer_fn=layers.group_norm)
        set_for(_accepting(unit_fns, "normalizer_fn"), normalizer_fn=layers.group_norm)
    if activation_fn is not None:
        set_for([layers.conv2d], activation_fn=activation_fn)
        set_for(_accepting(unit_fns, "activation_fn"), activation_fn=activation_fn)
    if zero_init_residual:
        units = _accepting(unit_fns, "zero_init_residual")
        if not units:
            raise ValueError(
                "zero_init_residual needs units that end in a norm; these are "
                f"{', '.join(unit.__name__ for unit in unit_fns)}."
            )
        set_for(units, zero_init_residual=True)
    return stack


def _accepting(functions: list[Callable], keyword: str) -> list[Callable]:
    return [f for f in functions if keyword in inspect.signature(f).parameters]


def _frozen(norm: str) -> contextlib.AbstractContextManager:
    """The scope in which statistics stay as they are, whatever is_training says."""
    if norm == "frozen":
        return arg_scope([layers.batch_norm], is_training=False)
    return contextlib.nullcontext()


def _like_units(unit_fn: Callable) -> Callable:
    """The normalization and activation that pre-activation units begin with."""
    scoped = current_arg_scope().get(getattr(unit_fn, "_key_op", None), {})
    normalizer_fn = scoped.get("normalizer_fn", layers.batch_norm)
    activation_fn = scoped.get("activation_fn", tf.nn.relu)
    return lambda net, scope: normalizer_fn(
        net, activation_fn=activation_fn, scope=scope
    )


def build_head(
    net: tf.Tensor,
    num_classes: int | None,
    end_points: EndPoints,
    scope_name: str,
    global_pool: bool = True,
    spatial_squeeze: bool = True,
    prediction_fn: Callable | None = None,
    dropout_keep_prob: float = 1.0,
) -> tf.Tensor:
    """Pools, makes logits by a 1x1 convolution, and predictions; all recorded.

    Args:
        net: `[batch, height, width, channels]`.
        num_classes: None or 0 for no logits.
        end_points: where everything is recorded.
        scope_name: full name of the network's scope.
        global_pool: whether to average over height and width.
        spatial_squeeze: whether pooled logits are `[batch, num_classes]`.
        prediction_fn: makes predictions of logits; softmax by default.
        dropout_keep_prob: of the features before the logits.

    Returns:
        The logits, or the features.
    """
    common.check_global_pool(global_pool)
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="pool5")
        end_points["global_pool"] = net
    if not num_classes:
        return net
    if dropout_keep_prob < 1.0:
        net = layers.dropout(net, dropout_keep_prob, scope="dropout")
    # The logits are a plain linear map, whatever the units' convolutions are.
    net = layers.conv2d(
        net,
        num_classes,
        1,
        activation_fn=None,
        normalizer_fn=None,
        standardize_epsilon=None,
        scope="logits",
    )
    if spatial_squeeze and global_pool:
        net = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
        end_points.add(f"{scope_name}/spatial_squeeze", net)
    if prediction_fn is None:
        end_points["predictions"] = layers.softmax(net, scope="predictions")
    else:
        with tf.name_scope("predictions"):
            end_points["predictions"] = prediction_fn(net)
    return net
