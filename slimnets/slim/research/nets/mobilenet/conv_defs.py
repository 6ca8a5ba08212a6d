"""The lists of operations of MobileNets v2 and v3, and networks that take such lists.

A network without a list is slimnets' row; with one it is built operation by operation.

Source: names and layout of research/slim's nets/mobilenet/mobilenet_v2.py and
mobilenet_v3.py; the numbers are those of slimnets' rows.
"""

from __future__ import annotations

import copy
import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.nets import mobilenet_v2, mobilenet_v3
from slimnets.scopes import add_arg_scope, arg_scope, current_arg_scope
from slimnets.slim.research.nets.mobilenet import conv_blocks, mobilenet
from slimnets.slim.research.nets.mobilenet.mobilenet import op
from slimnets.units.inverted import hard_gate, hard_swish

ConvDefs = dict[str, Any]

expand_input = conv_blocks.expand_input_by_factor
_WEIGHTED = (layers.conv2d, layers.fully_connected, layers.separable_conv2d)


def _defaults(activation_fn: Callable, norm: Callable, **options: Any) -> ConvDefs:
    own = (
        {"groups": 8} if norm is layers.group_norm else {"center": True, "scale": True}
    )
    return {
        (norm,): own,
        _WEIGHTED: {"normalizer_fn": norm, "activation_fn": activation_fn},
        (conv_blocks.expanded_conv,): {
            "normalizer_fn": norm, "residual": True, **options,
        },
        (layers.conv2d, layers.separable_conv2d): {"padding": "SAME"},
    }  # fmt: skip


def _v2(norm: Callable) -> ConvDefs:
    spec = [op(layers.conv2d, stride=2, num_outputs=32, kernel_size=[3, 3])]
    for expansion, depth, count, stride in mobilenet_v2.UNITS:
        own = {} if expansion == 6 else {"expansion_size": expand_input(expansion, 1)}
        for step in (stride, *[1] * (count - 1)):
            spec.append(
                op(conv_blocks.expanded_conv, stride=step, num_outputs=depth, **own)
            )
    spec.append(op(layers.conv2d, stride=1, kernel_size=[1, 1], num_outputs=1280))
    options = {"expansion_size": expand_input(6), "split_expansion": 1}
    return {"defaults": _defaults(tf.nn.relu6, norm, **options), "spec": spec}


def mbv3_op(
    ef: float,
    n: int,
    k: int,
    s: int = 1,
    act: Callable = tf.nn.relu,
    se: Callable | None = None,
    **kwargs: Any,
) -> Any:
    """Returns an inverted residual as an operation of a list.

    Args:
        ef: inner channels for one of the inputs.
        n: channels of the output.
        k: height and width of the kernel.
        s: stride.
        act: activation of the inner layers.
        se: squeeze-and-excitation, applied to the inner layers.
        **kwargs: further arguments of `conv_blocks.expanded_conv`.
    """
    return op(
        conv_blocks.expanded_conv,
        expansion_size=expand_input(ef),
        kernel_size=(k, k),
        stride=s,
        num_outputs=n,
        inner_activation_fn=act,
        expansion_transform=se,
        **kwargs,
    )


def mbv3_fused(ef: float, n: int, k: int, s: int = 1, **kwargs: Any) -> Any:
    """Returns an inverted residual whose expansion is the convolution of the kernel.

    Arguments as of `mbv3_op`.
    """
    expansion_fn = functools.partial(layers.conv2d, kernel_size=k, stride=s)
    fused = {"depthwise_location": None, "expansion_fn": expansion_fn}
    return mbv3_op(ef, n, 1, s, **fused, **kwargs)


def _squeezed(expansion_tensor: tf.Tensor, input_tensor: tf.Tensor) -> tf.Tensor:
    del input_tensor
    return conv_blocks.squeeze_excite(
        expansion_tensor, squeeze_factor=4, gating_fn=hard_gate
    )


mbv3_op_se = functools.partial(mbv3_op, se=_squeezed)


def reduce_to_1x1(
    input_tensor: tf.Tensor, default_size: int = 7, **kwargs: Any
) -> tf.Tensor:
    """The mean of all of a square image, or of windows of `default_size`."""
    height, width = input_tensor.shape.as_list()[1:3]
    size = height if height is not None and height == width else default_size
    return layers.avg_pool2d(input_tensor, kernel_size=[size, size], **kwargs)


def _v3(kind: str) -> ConvDefs:
    own = {} if kind.endswith("minimalistic") else {"activation_fn": hard_swish}
    spec = [op(layers.conv2d, stride=2, num_outputs=16, kernel_size=(3, 3), **own)]
    for expansion, depth, kernel, stride, squeeze, swish in mobilenet_v3.UNITS[kind]:
        make = mbv3_op_se if squeeze else mbv3_op
        act = hard_swish if swish else tf.nn.relu
        spec.append(make(expansion, depth, kernel, stride, act=act))
    before, behind = mobilenet_v3.LAST[kind.partition("_")[0]]
    one = {"stride": 1, "kernel_size": [1, 1], **own}
    spec += [
        op(layers.conv2d, num_outputs=before, **one),
        op(reduce_to_1x1, default_size=7, stride=1, padding="VALID"),
        op(layers.conv2d, num_outputs=behind, normalizer_fn=None, **one),
    ]
    return {"defaults": _defaults(tf.nn.relu, layers.batch_norm), "spec": spec}


def _edge_tpu() -> ConvDefs:
    spec = [op(layers.conv2d, stride=2, num_outputs=32, kernel_size=(3, 3))]
    for expansion, depth, kernel, stride, fused, residual in mobilenet_v3.EDGETPU_UNITS:
        make = mbv3_fused if fused else mbv3_op
        own = {} if residual else {"residual": False}
        spec.append(make(ef=expansion, n=depth, k=kernel, s=stride, **own))
    spec.append(op(layers.conv2d, stride=1, num_outputs=1280, kernel_size=(1, 1)))
    return {"defaults": _defaults(tf.nn.relu, layers.batch_norm), "spec": spec}


def _halved(defs: ConvDefs, first: int, last: int) -> ConvDefs:
    """The same with half the channels in some operations, for detection."""
    defs = copy.deepcopy(defs)
    for made in defs["spec"][first : last + 1]:
        made.params["num_outputs"] = round(made.params["num_outputs"] / 2)
    return defs


V2_DEF, V2_DEF_GROUP_NORM = _v2(layers.batch_norm), _v2(layers.group_norm)
V3_LARGE, V3_SMALL = _v3("large"), _v3("small")
# What research/slim's modules have beside their networks.
NAMES: dict[str, dict[str, Any]] = {
    "mobilenet_v2": {
        "op": op,
        "expand_input": expand_input,
        "V2_DEF": V2_DEF,
        "V2_DEF_GROUP_NORM": V2_DEF_GROUP_NORM,
    },
    "mobilenet_v3": {
        "op": op,
        "expand_input": expand_input,
        "mbv3_op": mbv3_op,
        "mbv3_op_se": mbv3_op_se,
        "mbv3_fused": mbv3_fused,
        "reduce_to_1x1": reduce_to_1x1,
        "V3_LARGE": V3_LARGE,
        "V3_SMALL": V3_SMALL,
        "V3_LARGE_MINIMALISTIC": _v3("large_minimalistic"),
        "V3_SMALL_MINIMALISTIC": _v3("small_minimalistic"),
        "V3_LARGE_DETECTION": _halved(V3_LARGE, 13, 16),
        "V3_SMALL_DETECTION": _halved(V3_SMALL, 9, 12),
        "V3_EDGETPU": _edge_tpu(),
    },
}


def complete(module: types.ModuleType, version: str) -> None:
    """Gives a module of networks these names, and its networks lists of operations.

    Args:
        module: of rows.
        version: `mobilenet_v2` or `mobilenet_v3`.
    """
    made: dict[int, Callable] = {}
    for name in module.__all__:
        value = getattr(module, name)
        if hasattr(value, "row") and callable(value):
            made.setdefault(id(value), taking_lists(value))
            setattr(module, name, made[id(value)])
    vars(module).update(NAMES[version], training_scope=mobilenet.training_scope)
    base = functools.partial(module.mobilenet, base_only=True)
    module.mobilenet_base = _base(base, "mobilenet_base")
    if version == "mobilenet_v2":
        grouped = functools.partial(base, conv_defs=V2_DEF_GROUP_NORM)
        module.mobilenet_base_group_norm = _base(grouped, "mobilenet_base_group_norm")
    module.__all__ = sorted({*module.__all__, *NAMES[version]})


def _base(network: Callable, name: str) -> Callable:
    @add_arg_scope
    def base(input_tensor: tf.Tensor, depth_multiplier: float = 1.0, **kwargs: Any):
        """Builds the network without its pool and its logits."""
        return network(input_tensor, depth_multiplier=depth_multiplier, **kwargs)

    base.__name__ = base.__qualname__ = name
    return base


def taking_lists(network: Callable) -> Callable:
    """Returns a network whose argument `conv_defs` is a list of operations.

    An arg scope of `mobilenet.depth_multiplier` holds for rows too.
    """
    signature = inspect.signature(network)
    # Told to pad, TF-Slim's units of v3 pad twice, which no row does.
    own_list = network.row.name.removeprefix("mobilenet_").upper()
    padded = NAMES["mobilenet_v3"].get(own_list)

    @add_arg_scope
    @functools.wraps(network)
    def with_lists(*args: Any, **kwargs: Any):
        given = signature.bind(*args, **kwargs).arguments
        if given.get("use_explicit_padding") and given.get("conv_defs") is None:
            given["conv_defs"] = padded
        if given.get("conv_defs") is not None:
            scope = signature.parameters["scope"].default
            return _listed(**{"scope": scope, **given})
        key = mobilenet.depth_multiplier._key_op
        scoped = current_arg_scope().get(key, {})
        known = {n: scoped[n] for n in ("min_depth", "divisible_by") if n in scoped}
        return network(**{**known, **given})

    return with_lists


def _listed(
    input_tensor: tf.Tensor,
    conv_defs: Mapping[str, Any],
    depth_multiplier: float = 1.0,
    finegrain_classification_mode: bool = False,
    min_depth: int | None = None,
    divisible_by: int | None = None,
    activation_fn: Callable | None = None,
    use_groupnorm: bool = False,
    groups: int = 8,
    **arguments: Any,
):
    defs = {**conv_defs, "spec": list(conv_defs["spec"])}
    last = defs["spec"][-1]
    if finegrain_classification_mode and depth_multiplier < 1:
        defs["spec"][-1] = last._replace(multiplier_func=lambda params, _: params)
    if use_groupnorm:
        defs["defaults"] = _defaults(tf.nn.relu, layers.group_norm)
        defs["defaults"][(layers.group_norm,)] = {"groups": groups}
    if activation_fn:
        defs["defaults"] = copy.deepcopy(dict(defs["defaults"]))
        defs["defaults"][_WEIGHTED]["activation_fn"] = activation_fn
    depths = {"min_depth": min_depth, "divisible_by": divisible_by}
    depths = {name: value for name, value in depths.items() if value is not None}
    with arg_scope([mobilenet.depth_multiplier], **depths):
        return mobilenet.mobilenet(
            input_tensor,
            conv_defs=defs,
            multiplier=depth_multiplier,
            **arguments,
        )
