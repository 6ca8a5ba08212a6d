"""What MobileNet v2 and v3 share: the head, the arg scope and fixed arguments.

Source: names and layout of research/slim's nets/mobilenet.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import extended
from slimnets.rows.changes import explicitly_padded
from slimnets.rows.head_layers import Dropout, GlobalPool, Logits, Predictions, Squeeze
from slimnets.rows.heads import Head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths, Stage
from slimnets.scopes import Scope, add_arg_scope, arg_scope
from slimnets.units import inverted_residual

HEAD = Head(
    features=(GlobalPool("AvgPool"),),
    logits=(
        Dropout("Dropout"),
        Logits(
            "Conv2d_1c_1x1",
            options=(("biases_initializer", tf.compat.v1.zeros_initializer()),),
        ),
        Squeeze("output", pooled=True),
    ),
    end=(Predictions("Predictions", "Logits", default=None),),
    scope="Logits",
)
TEXTS = (
    ("finegrain_classification_mode", "whether the last layer is not scaled down."),
    ("divisible_by", "scaled depths are multiples of this; None for 8."),
    ("conv_defs", "the layers of a network of this family: `mobilenet_v2.V2_DEF`, "
     "`mobilenet_v3.V3_LARGE` or another; None for its own."),
    ("use_explicit_padding", "whether to pad both sides of images alike before "
     "strides, as most frameworks but TensorFlow do."),
    ("use_reduce_mean_for_pooling", "whether the global pool is named `ReduceMean`."),
    ("use_groupnorm", "whether norms are group norms,"),
    ("groups", "namely of that many groups."),
)  # fmt: skip
_OWN = (
    *(("conv_defs", None), ("use_explicit_padding", False)),
    *(("use_reduce_mean_for_pooling", False), ("use_groupnorm", False), ("groups", 8)),
)
_CONVOLUTIONS = [layers.conv2d, layers.fully_connected, layers.separable_conv2d]


@dataclasses.dataclass(frozen=True)
class ConvDefs:
    """The layers of a MobileNet v2 or v3, for its argument `conv_defs`.

    Attributes:
        row: a network that has them.
    """

    row: Row


def _default_scope(activation_fn: Callable) -> Scope:
    scope = training_scope(is_training=None)
    return extended(scope, _CONVOLUTIONS, activation_fn=activation_fn)


def _inner_scope(activation_fn: Callable) -> Scope:
    """The arg scope that TF-Slim's MobileNets v2 and v3 set for themselves."""
    with (
        arg_scope(
            _CONVOLUTIONS, normalizer_fn=layers.batch_norm, activation_fn=activation_fn
        ),
        arg_scope([layers.batch_norm], center=True, scale=True),
        arg_scope([inverted_residual], named_outputs=True) as scope,
    ):
        return scope


def _vary(
    row: Row,
    options: dict[str, Any],
    conv_defs: ConvDefs | None,
    use_explicit_padding: bool,
    use_reduce_mean_for_pooling: bool,
    use_groupnorm: bool,
    groups: int,
    finegrain_classification_mode: bool,
    divisible_by: int | None,
    *,
    of: Callable[[bool], dict[str, Any]],
) -> Row:
    if conv_defs is not None:
        if not isinstance(conv_defs, ConvDefs):
            raise TypeError(
                f"conv_defs={conv_defs!r}; allowed are None, mobilenet_v2.V2_DEF, "
                "mobilenet_v3.V3_LARGE and others that are named like these."
            )
        other = conv_defs.row
        row = dataclasses.replace(row, root=other.root, head=other.head)
        of = other.vary.keywords["of"]
    depths = dataclasses.replace(row.depths, divisor=divisible_by or row.depths.divisor)
    own = of(finegrain_classification_mode)
    row = dataclasses.replace(row, depths=depths, **own)
    if use_reduce_mean_for_pooling:
        head = dataclasses.replace(row.head, features=(GlobalPool("ReduceMean"),))
        row = dataclasses.replace(row, head=head)
    if use_groupnorm:
        options["norm"] = functools.partial(layers.group_norm, groups=groups)
    return explicitly_padded(row) if use_explicit_padding else row


@add_arg_scope
def default_training(is_training: bool | tf.Tensor = False) -> bool | tf.Tensor:
    """is_training where a network is not told: what an open `training_scope` says."""
    return is_training


def training_scope(
    is_training: bool | tf.Tensor | None = True,
    weight_decay: float = 0.00004,
    stddev: float = 0.09,
    dropout_keep_prob: float = 0.8,
    bn_decay: float = 0.997,
) -> Scope:
    """Returns TF-Slim's arg scope for MobileNet v2 and v3, on top of what is open.

    Args:
        is_training: of the networks, unless they are told otherwise; None leaves it.
        weight_decay: of the weights of all but depthwise convolutions, as an L2 loss.
        stddev: of the initial weights; below 0 for Glorot's.
        dropout_keep_prob: of the features before the logits.
        bn_decay: of the moving averages.
    """
    initializer = layers.xavier_initializer()
    if stddev >= 0:
        initializer = layers.truncated_normal_initializer(stddev)
    training = {} if is_training is None else {"is_training": is_training}
    with (
        arg_scope(
            _CONVOLUTIONS,
            weights_initializer=initializer,
            normalizer_fn=layers.batch_norm,
        ),
        arg_scope([default_training], **training),
        arg_scope([layers.batch_norm], decay=bn_decay, scale=True, **training),
        arg_scope([layers.dropout], keep_prob=dropout_keep_prob, **training),
        arg_scope(
            [layers.conv2d], weights_regularizer=layers.l2_regularizer(weight_decay)
        ),
        arg_scope([layers.separable_conv2d], weights_regularizer=None) as scope,
    ):
        return scope


def inverted_stage(
    number: int, depth: int, stride: int, units: list[dict[str, Any]]
) -> Stage:
    """Returns a stage of units from `expanded_conv_number` on."""
    each = []
    for i, own in enumerate(units, start=number):
        scope = f"expanded_conv_{i}" if i else "expanded_conv"
        each.append((("scope", scope), ("key", f"layer_{i + 2}"), *own.items()))
    return Stage("", inverted_residual, len(units), stride, depth, each=tuple(each))


def width_suffix(depth_multiplier: float) -> str:
    """Returns what a name ends in for a width: `_050` for a half."""
    return "" if depth_multiplier == 1 else f"_{round(100 * depth_multiplier):03}"


def width_text(depth_multiplier: float) -> str:
    """Returns what a summary ends in for a width."""
    return "" if depth_multiplier == 1 else f", {depth_multiplier} as wide"


def mobilenet_row(
    name: str,
    of: Callable[[bool], dict[str, Any]],
    depth_multiplier: float = 1.0,
    activation_fn: Callable = tf.nn.relu,
    further: tuple[tuple[str, Any], ...] = (),
    **fields: Any,
) -> Row:
    """Returns a row.

    Args:
        name: of the network.
        of: gives the stages, and perhaps the head, told whether the last layer is not
            scaled down, as it is not by default in networks that are thinner.
        depth_multiplier: its default.
        activation_fn: of the convolutions.
        further: arguments behind `divisible_by`: names and defaults.
        **fields: of `Row`.
    """
    scope = fields.pop("scope", f"MobilenetV{name[len('mobilenet_v')]}")
    thin = depth_multiplier < 1
    return Row(
        name,
        **{"head": HEAD, **of(thin)},
        scope=scope,
        arg_scope=training_scope,
        default_scope=functools.partial(_default_scope, activation_fn),
        inner_scope=functools.partial(_inner_scope, activation_fn),
        arguments=(
            *(("input_tensor", None), ("num_classes", 1001)),
            *(("depth_multiplier", depth_multiplier), ("scope", scope)),
            *(("finegrain_classification_mode", thin), ("min_depth", 8)),
            *(("divisible_by", 8), *further, ("is_training", None)),
            *(("prediction_fn", layers.softmax), ("reuse", None), ("base_only", False)),
            *(("final_endpoint", None), ("output_stride", None)),
        ),
        keywords=_OWN,
        texts=TEXTS,
        vary=functools.partial(_vary, of=of),
        depths=Depths(least=8, divisor=8),
        bare_keys=True,
        unit_keys="layer_",
        default_training=default_training,
        preprocessing="inception",
        weights="tf-slim",
        **fields,
    )
