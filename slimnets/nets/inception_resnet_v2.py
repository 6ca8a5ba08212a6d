"""Inception-ResNet v2, as TF-Slim builds it.

Source: [1] Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv:1602.07261, figures 15 to 19; names and layout of
research/slim's nets/inception_resnet_v2.py. Keras Applications' network is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.builder import base_of, network_of
from slimnets.rows.inception import (
    ROOT,
    chain,
    conv,
    dense_auxiliary,
    dense_head,
    inception_row,
    max_pooled,
    mixed,
    pooled,
    strided,
)
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths, Stage
from slimnets.scopes import Scope, arg_scope
from slimnets.units import Conv, mixed_residual
from slimnets.units.mixed_residual import mixed_sum


def inception_resnet_v2_arg_scope(
    weight_decay: float = 0.00004,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    activation_fn: Callable | None = tf.nn.relu,
    batch_norm_updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
    batch_norm_scale: bool = False,
) -> Scope:
    """Returns TF-Slim's arg scope for Inception-ResNet; biases decay in it too.

    Arguments as of `inception_arg_scope`.
    """
    scope = inception_arg_scope(
        weight_decay,
        True,
        batch_norm_decay,
        batch_norm_epsilon,
        activation_fn,
        batch_norm_updates_collections,
        batch_norm_scale,
    )
    with (
        arg_scope(scope),
        arg_scope(
            [layers.conv2d, layers.fully_connected],
            biases_regularizer=layers.l2_regularizer(weight_decay),
        ),
        arg_scope(
            [layers.conv2d], weights_initializer=layers.xavier_initializer()
        ) as scope,
    ):
        return scope


# Figures 16, 17 and 19 of [1].
_BLOCK35 = (
    (Conv("Conv2d_1x1", 32, 1),),
    chain((32, 1), (32, 3)),
    chain((32, 1), (48, 3), (64, 3)),
)
_BLOCK17 = (
    (Conv("Conv2d_1x1", 192, 1),),
    chain((128, 1), (160, (1, 7)), (192, (7, 1))),
)
_BLOCK8 = (
    (Conv("Conv2d_1x1", 192, 1),),
    chain((192, 1), (224, (1, 3)), (256, (3, 1))),
)
_MIXED_5B = mixed(
    "Mixed_5b",
    (Conv("Conv2d_1x1", 96, 1),),
    chain((48, 1), (64, 5)),
    chain((64, 1), (96, 3), (96, 3)),
    pooled(64),
)
_MIXED_6A = mixed(
    "Mixed_6a",
    (strided(384),),
    (*chain((256, 1), (256, 3)), strided(384)),
    max_pooled(),
)
_MIXED_7A = mixed(
    "Mixed_7a",
    (*chain((256, 1)), strided(384)),
    (*chain((256, 1)), strided(288)),
    (*chain((256, 1), (288, 3)), strided(320)),
    max_pooled(),
)


def _residuals(scope, block, branches, scale, count, key="") -> Stage:
    """Blocks in scopes of their numbers; the last one's key, if there is one."""
    each = [(("scope", f"{scope}/{block}_{i}"),) for i in range(1, count + 1)]
    each[-1] += (("key", key),)
    options = (("branches", branches), ("scale", scale))
    return Stage("", mixed_residual, count, options=options, each=tuple(each))


def _stages(repeats: tuple[int, int, int]) -> tuple[Stage | tuple, ...]:
    last = (("branches", _BLOCK8), ("scale", 1.0), ("activation_fn", None))
    return (
        (_MIXED_5B,),
        _residuals("Repeat", "block35", _BLOCK35, 0.17, repeats[0]),
        (_MIXED_6A,),
        _residuals("Repeat_1", "block17", _BLOCK17, 0.10, repeats[1], "PreAuxLogits"),
        (_MIXED_7A,),
        _residuals("Repeat_2", "block8", _BLOCK8, 0.20, repeats[2]),
        Stage("", mixed_residual, options=last, each=((("scope", "Block8"),),)),
        (conv("7b", 1536, 1),),
    )


def _vary(row: Row, options: dict[str, Any], repeats: tuple[int, int, int]) -> Row:
    return _activated(dataclasses.replace(row, stages=_stages(repeats)), options)


def _activated(row: Row, options: dict[str, Any]) -> Row:
    """TF-Slim's `activation_fn` is that of the blocks' sums alone."""
    if not row.exact:
        return row
    own = (("activation_fn", options["activation_fn"]),)
    options["activation_fn"] = row.default("activation_fn")
    return dataclasses.replace(row, unit_options=own)


ROW = inception_row(
    "inception_resnet_v2",
    root=ROOT,
    stages=_stages((10, 20, 9)),
    head=dense_head("AvgPool_1a_8x8", "Dropout", flat=True),
    auxiliary=dense_auxiliary(
        "PreAuxLogits", "Conv2d_1a_3x3", "Conv2d_2a_5x5", "Logits"
    ),
    arg_scope=inception_resnet_v2_arg_scope,
    arguments=(
        *(("inputs", None), ("num_classes", 1001), ("is_training", True)),
        *(("dropout_keep_prob", 0.8), ("reuse", None), ("scope", "InceptionResnetV2")),
        *(("create_aux_logits", True), ("activation_fn", tf.nn.relu)),
        *(("depth_multiplier", 1.0), ("repeats", (10, 20, 9))),
    ),
    texts=(("repeats", "number of blocks of each of the three kinds."),),
    vary=_vary,
    depths=Depths(least=1),
    image_size=299,
    summary="Inception-ResNet v2 of TF-Slim and Keras.",
    names=(("keras", ("keras_inception_resnet_v2",)),),
)


def _vary_base(row: Row, options: dict[str, Any], align_feature_maps: bool) -> Row:
    if options["output_stride"] not in (8, 16):
        raise ValueError(
            f"output_stride={options['output_stride']!r}; allowed: 8 and 16."
        )
    row = _activated(row, options)
    if align_feature_maps:
        options["padding"] = "SAME"
    # Of `PreAuxLogits`, behind which layers go on with their own strides.
    if options["output_stride"] == 16:
        options["output_stride"] = None
        return row
    return dataclasses.replace(row, stages=row.stages[:4])


NETWORKS = (inception_resnet_v2,) = (network_of(ROW),)
inception_resnet_v2_base = base_of(
    dataclasses.replace(
        ROW,
        vary=_vary_base,
        texts=(
            ("output_stride", "of `PreAuxLogits`, 16 or 8; 8 is by atrous convolution, "
             "and no layers can come behind it then."),
            ("align_feature_maps", "whether all layers pad (`SAME`), so that "
             "activations lie over the pixels that they are of."),
        ),
    ),
    *(("final_endpoint", "Conv2d_7b_1x1"), ("output_stride", 16)),
    *(("align_feature_maps", False), ("scope", None), ("activation_fn", tf.nn.relu)),
)  # fmt: skip


def _block(name: str, branches: tuple[tuple[Any, ...], ...]) -> Callable:
    """Returns the function of one block, by research/slim's name."""

    def block(
        net: tf.Tensor,
        scale: float = 1.0,
        activation_fn: Callable | None = tf.nn.relu,
        scope: str | None = None,
        reuse: bool | None = None,
    ) -> tf.Tensor:
        """Builds one block of Inception-ResNet; see `units.mixed_residual`."""
        with tf.compat.v1.variable_scope(scope, name, [net], reuse=reuse):
            return mixed_sum(net, branches, scale, activation_fn=activation_fn)

    block.__name__ = block.__qualname__ = name.lower()
    return block


block35 = _block("Block35", _BLOCK35)
block17 = _block("Block17", _BLOCK17)
block8 = _block("Block8", _BLOCK8)
