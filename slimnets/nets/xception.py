"""Xception as DeepLab has it, under its names; timm's state dicts load too.

Source: [1] Chen et al., Encoder-Decoder with Atrous Separable Convolution,
arXiv:1802.02611, figure 4; research/deeplab's core/xception.py; timm's
xception_aligned.py (Apache 2.0).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import depthwise_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.head_layers import Dropout, GlobalPool, Logits, Predictions, Squeeze
from slimnets.rows.heads import Head
from slimnets.rows.residual import ARGUMENTS, KEYWORDS, residual_row
from slimnets.rows.row import Row
from slimnets.rows.stage import Separable, Stage
from slimnets.scopes import Scope, arg_scope
from slimnets.units import Conv, xception_module

# Depth and stride of the units of the entry flow, each a block of its own, and the
# number of those of the middle flow: figure 4 of [1], and core/xception.py.
_ENTRY = ((128, 2), (256, 2), (728, 2))
_LONG_ENTRY = ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))
_FLOWS = {41: (_ENTRY, 8), 65: (_ENTRY, 16), 71: (_LONG_ENTRY, 16)}
HEAD = Head(
    features=(GlobalPool("global_pool"),),
    logits=(
        Dropout("prelogits_dropout"),
        Logits("logits"),
        Squeeze("SpatialSqueeze", "spatial_squeeze", pooled=True),
    ),
    end=(Predictions("predictions", keyed=True),),
)


def xception_arg_scope(
    weight_decay: float = 0.00004,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    batch_norm_scale: bool = True,
    weights_initializer_stddev: float = 0.09,
    regularize_depthwise: bool = False,
    use_batch_norm: bool = True,
    use_bounded_activation: bool = False,
) -> Scope:
    """Returns DeepLab's arg scope.

    Args:
        weight_decay: of the weights, as an L2 loss.
        batch_norm_decay: of the moving averages.
        batch_norm_epsilon: added to the variances.
        batch_norm_scale: whether batch norms have a `gamma`.
        weights_initializer_stddev: of the initial weights.
        regularize_depthwise: whether depthwise weights decay too.
        use_batch_norm: whether convolutions are normalized rather than biased.
        use_bounded_activation: whether values stay between -6 and 6, which quantize
            well; strided convolutions pad as `SAME` then.
    """
    decays = layers.l2_regularizer(weight_decay) if regularize_depthwise else None
    with (
        arg_scope(
            depthwise_arg_scope(
                weight_decay,
                batch_norm_decay,
                tf.nn.relu6 if use_bounded_activation else tf.nn.relu,
                layers.truncated_normal_initializer(weights_initializer_stddev),
            )
        ),
        arg_scope(
            [layers.conv2d, layers.separable_conv2d],
            normalizer_fn=layers.batch_norm if use_batch_norm else None,
        ),
        arg_scope(
            [layers.batch_norm], epsilon=batch_norm_epsilon, scale=batch_norm_scale
        ),
        arg_scope([layers.separable_conv2d], weights_regularizer=decays),
        arg_scope([xception_module], bounded=use_bounded_activation) as scope,
    ):
        return scope


def _stages(count: int, *options: tuple[str, Any], **last: Any) -> tuple[Stage, ...]:
    """Returns the stages; further options of all units, and of the last one's."""
    entry, middle = _FLOWS[count]
    # Name, depth, number of units, stride, depths of the first two convolutions for
    # the last one's, shortcut, and whether activations lie within.
    table = (
        *(
            (f"entry_flow/block{i}", depth, 1, stride, (1, 1), "conv", False)
            for i, (depth, stride) in enumerate(entry, start=1)
        ),
        ("middle_flow/block1", 728, middle, 1, (1, 1), "sum", False),
        ("exit_flow/block1", 1024, 1, 2, (728 / 1024, 1), "conv", False),
        ("exit_flow/block2", 2048, 1, 1, (0.75, 0.75), "none", True),
    )
    stages = [
        Stage(
            *(name, xception_module, units, stride, depth, "first"),
            Separable(parts),
            (("shortcut", shortcut), ("activate_within", within), *options),
        )
        for name, depth, units, stride, parts, shortcut, within in table
    ]
    end = stages[-1]
    own = tuple(last.items())
    return (*stages[:-1], dataclasses.replace(end, options=(*end.options, *own)))


def _row(name: str, count: int, summary: str, **fields: Any) -> Row:
    return residual_row(
        name,
        _stages(count),
        summary,
        **{
            "root": (
                Conv("entry_flow/conv1_1", 32, 3, 2, "EVEN"),
                Conv("entry_flow/conv1_2", 64, 3, 1, "EVEN"),
            ),
            "scope": f"xception_{count}",
            "arg_scope": xception_arg_scope,
            "image_size": 299,
            "weights": "tf-slim",
            "preprocessing": "inception",
            **fields,
        },
    )


def _deeplab(count: int) -> Row:
    def vary(
        row: Row,
        options: dict[str, Any],
        regularize_depthwise: bool,
    ) -> Row:
        grid: Sequence[int] | None = options["multi_grid"]
        if grid is not None and len(grid) != 3:
            raise ValueError(
                f"multi_grid={grid!r}; allowed is one rate for each of the three "
                "convolutions of the last unit."
            )
        options["multi_grid"] = None
        whole = ("whole", regularize_depthwise)
        stages = _stages(count, whole, unit_rates=tuple(grid or (1, 1, 1)))
        return dataclasses.replace(row, stages=stages)

    scope = f"xception_{count}"
    return _row(
        scope,
        count,
        f"Xception-{count} of DeepLab.",
        head=HEAD,
        arguments=(*ARGUMENTS, ("scope", scope)),
        keywords=(
            *KEYWORDS,
            *(("dropout_keep_prob", 0.5), ("regularize_depthwise", False)),
        ),
        vary=vary,
        texts=(
            (
                "regularize_depthwise",
                "whether each separable convolution is a layer of its own, without a "
                "norm between its parts; its depthwise weights decay where the arg "
                "scope says so.",
            ),
            ("multi_grid", "rates of the last unit's three convolutions."),
        ),
    )


NETWORKS = (xception65, xception_41, xception_65, xception_71) = tuple(
    map(
        network_of,
        (
            _row(
                "xception65",
                65,
                "Xception-65 of DeepLab and timm.",
                arguments=(*ARGUMENTS, ("scope", "xception_65")),
                names=(("torch", ("torch_xception",)),),
            ),
            *map(_deeplab, _FLOWS),
        ),
    )
)
