"""Networks of a list of operations, as research/slim makes its MobileNets.

slimnets' own MobileNets are rows; this is for programs that bring their own list.

Source: names and layout of research/slim's nets/mobilenet/mobilenet.py.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import layers
from slimnets.blocks.plan import Stride
from slimnets.rows.mobilenet import training_scope as row_training_scope
from slimnets.scopes import Scope, add_arg_scope, arg_scope
from slimnets.slim.research.nets.mobilenet.conv_blocks import fixed_padding
from slimnets.units.inverted import divisible

__all__ = [
    "NoOpScope",
    "apply_activation",
    "depth_multiplier",
    "global_pool",
    "mobilenet",
    "mobilenet_base",
    "op",
    "safe_arg_scope",
    "training_scope",
]
v1 = tf.compat.v1


@add_arg_scope
def apply_activation(
    x: tf.Tensor, name: str | None = None, activation_fn: Callable | None = None
) -> tf.Tensor:
    """Applies an activation, if there is one."""
    return activation_fn(x, name=name) if activation_fn else x


@add_arg_scope
def depth_multiplier(
    output_params: dict[str, Any],
    multiplier: float,
    divisible_by: int = 8,
    min_depth: int = 8,
    **unused_kwargs: Any,
) -> None:
    """Scales `num_outputs` in the arguments of an operation, where it is."""
    if "num_outputs" in output_params:
        depth = output_params["num_outputs"] * multiplier
        output_params["num_outputs"] = int(divisible(depth, divisible_by, min_depth))


class _Op(NamedTuple):
    """An operation of a list: the function, its arguments, and what scales them."""

    op: Callable[..., tf.Tensor]
    params: dict[str, Any]
    multiplier_func: Callable[..., Any]


def op(
    opfunc: Callable[..., tf.Tensor],
    multiplier_func: Callable[..., Any] = depth_multiplier,
    **params: Any,
) -> _Op:
    """Returns an operation for `conv_defs["spec"]`."""
    multiplier_func = params.pop("multiplier_transform", multiplier_func)
    return _Op(opfunc, params, multiplier_func)


class NoOpScope:
    """A scope that changes nothing."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, exc_type, exc_value, traceback) -> bool:
        return False


def safe_arg_scope(funcs: Sequence[Callable], **kwargs: Any) -> Any:
    """`arg_scope` without those arguments that are None."""
    given = {name: value for name, value in kwargs.items() if value is not None}
    return arg_scope(funcs, **given) if given else NoOpScope()


@add_arg_scope
def mobilenet_base(
    inputs: tf.Tensor,
    conv_defs: Mapping[str, Any],
    multiplier: float = 1.0,
    final_endpoint: str | None = None,
    output_stride: int | None = None,
    use_explicit_padding: bool = False,
    scope: Any = None,
    is_training: bool | tf.Tensor | None = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the operations of a list, one after the other.

    Args:
        inputs: `[batch, height, width, channels]`.
        conv_defs: `spec`, a list of `op(...)`, and `defaults` and `overrides`, each
            `{functions: arguments}` as arg scopes.
        multiplier: scales the depths.
        final_endpoint: the last one, `layer_7` for example.
        output_stride: ratio of the inputs' size to the outputs', from which on
            convolutions are atrous.
        use_explicit_padding: whether both sides of images are padded alike.
        scope: name of the variable scope, or an open one.
        is_training: of the batch norms; None leaves it to the arg scopes.

    Returns:
        `(net, end_points)`: `layer_1` ..., and in each what is named `...output`.

    Raises:
        ValueError: for a multiplier that is not positive, or an odd output stride.
    """
    if multiplier <= 0:
        raise ValueError("multiplier is not greater than zero.")
    if output_stride is not None and (
        output_stride == 0 or (output_stride > 1 and output_stride % 2)
    ):
        raise ValueError("Output stride must be None, 1 or a multiple of 2.")
    overrides = dict(conv_defs.get("overrides", {}))
    if use_explicit_padding:
        overrides[(layers.conv2d, layers.separable_conv2d)] = {"padding": "VALID"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_scope_all(scope, "Mobilenet"))
        stack.enter_context(
            safe_arg_scope([layers.batch_norm], is_training=is_training)
        )
        for defaults in (conv_defs.get("defaults", {}), overrides):
            for functions, arguments in dict(defaults).items():
                stack.enter_context(arg_scope(functions, **arguments))
        return _stacked(
            inputs,
            conv_defs["spec"],
            multiplier,
            final_endpoint,
            output_stride,
            use_explicit_padding,
        )


def _stacked(net, spec, multiplier, final_endpoint, output_stride, pads):
    state = Stride(output_stride)
    end_points, scopes = {}, {}
    for i, definition in enumerate(spec, start=1):
        params = dict(definition.params)
        definition.multiplier_func(params, multiplier)
        params["stride"], layer_rate = state.advance(params.get("stride", 1))
        if layer_rate > 1 and tuple(params.get("kernel_size", ())) != (1, 1):
            params["rate"] = layer_rate
        if pads and "kernel_size" in params:
            net = fixed_padding(net, params["kernel_size"], layer_rate)
        elif pads:
            params["use_explicit_padding"] = True
        net = definition.op(net, **params)
        end_points[f"layer_{i}"] = net
        scopes[os.path.dirname(net.name)] = f"layer_{i}"
        if final_endpoint == f"layer_{i}":
            break
    for node in net.graph.get_operations():
        scope, _, name = node.name.rpartition("/")
        if scope in scopes and node.name.endswith("output"):
            end_points[f"{scopes[scope]}/{name}"] = node.outputs[0]
    return net, end_points


@contextlib.contextmanager
def _scope_all(scope: Any, default_scope: str) -> Iterator[Any]:
    with (
        v1.variable_scope(scope, default_name=default_scope) as sc,
        v1.name_scope(sc.original_name_scope),
    ):
        yield sc


@add_arg_scope
def mobilenet(
    inputs: tf.Tensor,
    num_classes: int | None = 1001,
    prediction_fn: Callable[..., tf.Tensor] | None = layers.softmax,
    reuse: bool | None = None,
    scope: Any = "Mobilenet",
    base_only: bool = False,
    use_reduce_mean_for_pooling: bool = False,
    **mobilenet_args: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the operations of a list, and a classifier on them.

    Args:
        inputs: `[batch, height, width, channels]`.
        num_classes: number of classes; None or 0 gives the features.
        prediction_fn: makes predictions of logits; None for none.
        reuse: as in `tf.compat.v1.variable_scope`.
        scope: name of the variable scope.
        base_only: whether to leave the classifier away.
        use_reduce_mean_for_pooling: see `global_pool`.
        **mobilenet_args: of `mobilenet_base`.

    Returns:
        `(net, end_points)`.

    Raises:
        ValueError: for inputs of another rank, or as `mobilenet_base`.
    """
    is_training = mobilenet_args.get("is_training", False)
    if inputs.shape.rank != 4:
        raise ValueError(f"Expected rank 4 input, was: {inputs.shape.rank}")
    with v1.variable_scope(scope, "Mobilenet", reuse=reuse) as sc:
        inputs = tf.identity(inputs, "input")
        net, end_points = mobilenet_base(inputs, scope=sc, **mobilenet_args)
        if base_only:
            return net, end_points
        net = tf.identity(net, name="embedding")
        with v1.variable_scope("Logits"):
            net = global_pool(net, use_reduce_mean_for_pooling)
            end_points["global_pool"] = net
            if not num_classes:
                return net, end_points
            net = layers.dropout(net, scope="Dropout", is_training=is_training)
            logits = layers.conv2d(
                net,
                num_classes,
                [1, 1],
                activation_fn=None,
                normalizer_fn=None,
                biases_initializer=v1.zeros_initializer(),
                scope="Conv2d_1c_1x1",
            )
            logits = tf.identity(tf.squeeze(logits, [1, 2]), name="output")
        end_points["Logits"] = logits
        if prediction_fn:
            end_points["Predictions"] = prediction_fn(logits, "Predictions")
    return logits, end_points


def global_pool(
    input_tensor: tf.Tensor,
    use_reduce_mean_for_pooling: bool = False,
    pool_op: Callable[..., tf.Tensor] = v1.nn.avg_pool2d,
) -> tf.Tensor:
    """Returns the means over height and width, `[batch, 1, 1, channels]`.

    Args:
        input_tensor: `[batch, height, width, channels]`.
        use_reduce_mean_for_pooling: whether by a reduction, and not by a pool.
        pool_op: the pool; where sizes are not known the mean is a reduction always.
    """
    if use_reduce_mean_for_pooling:
        return tf.reduce_mean(input_tensor, [1, 2], keepdims=True, name="ReduceMean")
    size = input_tensor.shape.as_list()[1:3]
    if None in size:
        # The pools of today's TensorFlow take no size that is a tensor.
        return tf.reduce_mean(input_tensor, [1, 2], keepdims=True, name="AvgPool")
    return pool_op(
        input_tensor, ksize=[1, *size, 1], strides=[1, 1, 1, 1], padding="VALID"
    )


def training_scope(
    is_training: bool | tf.Tensor | None = True,
    weight_decay: float = 0.00004,
    stddev: float = 0.09,
    dropout_keep_prob: float | None = 0.8,
    bn_decay: float | None = 0.997,
) -> Scope:
    """Returns the arg scope of MobileNets, those of this module included.

    Arguments as of slimnets' own; None leaves one away.
    """
    known = {"dropout_keep_prob": dropout_keep_prob, "bn_decay": bn_decay}
    known = {name: value for name, value in known.items() if value is not None}
    with (
        arg_scope(row_training_scope(is_training, weight_decay, stddev, **known)),
        arg_scope([mobilenet_base, mobilenet], is_training=is_training) as scope,
    ):
        return scope
