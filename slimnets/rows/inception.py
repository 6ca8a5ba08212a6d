"""What TF-Slim's Inceptions share: heads, auxiliary logits and fixed arguments."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.head_layers import (
    AuxiliaryPool,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Kept,
    Logits,
    Predictions,
    Squeeze,
    WindowPool,
)
from slimnets.rows.heads import Auxiliary, Head
from slimnets.units.single import Conv as PlainConv

ACTIVATION_FREE = (("activation_fn", None),)


def convolved_head(
    size: int,
    pool: str,
    dropout: str,
    conv: str,
    pre_logits: bool = False,
    inside: bool = False,
    whole: str = "global_pool",
) -> Head:
    """Returns a pool, dropout, and logits by a 1x1 convolution.

    Args:
        size: of the pool's windows.
        pool, dropout, conv: their names; see `WindowPool`.
        pre_logits: whether what the logits are made of is an end point.
        inside: whether predictions are in the scope of the logits.
        whole: name of the pool where it is of all of the image.
    """
    kept = (Kept("PreLogits"),) if pre_logits else ()
    end = (Predictions("Predictions", "Logits", default=None),)
    inner = (Dropout(dropout), *kept, Logits(conv), Squeeze("SpatialSqueeze"))
    return Head(
        features=(WindowPool(size, pool, whole=whole),),
        logits=(*inner, *end) if inside else inner,
        end=() if inside else end,
        scope="Logits",
    )


def dense_head(pool: str, dropout: str, *, flat: bool = False) -> Head:
    """Returns the mean of the image, dropout, and logits by a dense layer.

    Args:
        pool, dropout: their names.
        flat: whether dropout is of rows, and not of images of one position.
    """
    before = (Dropout(dropout), Flatten("PreLogitsFlatten", "PreLogitsFlatten"))
    if flat:
        before = (Flatten(), Dropout(dropout, "PreLogitsFlatten"))
    return Head(
        features=(GlobalPool(f"{pool}/AvgPool"),),
        logits=(
            *before,
            Logits("Logits", dense=True, options=ACTIVATION_FREE, plain=False),
            Predictions("Predictions", "Logits", tf.nn.softmax),
        ),
        scope="Logits",
    )


def dense_auxiliary(after: str, pool: str, conv: str, dense: str) -> Auxiliary:
    """Returns auxiliary logits by a dense layer.

    Args:
        after: the end point that they are made of.
        pool, conv, dense: names of the pool, the second convolution and the last layer.
    """
    return Auxiliary(
        after,
        (
            AuxiliaryPool(pool),
            Conv(PlainConv("Conv2d_1b_1x1", 128, 1)),
            Conv(PlainConv(conv, 768, padding="VALID"), whole=5),
            Squeeze(None, always=True),
            Logits(dense, dense=True, options=ACTIVATION_FREE, plain=False),
        ),
    )


def arguments(num_classes: int, scope: str, *own: tuple[str, Any]) -> tuple:
    """Returns the fixed arguments of Inception v1 to v3.

    Args:
        num_classes: by default.
        scope: by default.
        *own: those of one version alone: `min_depth` ..., and what comes behind `reuse`
            among them.
    """
    before = [pair for pair in own if pair[0] != "create_aux_logits"]
    behind = [pair for pair in own if pair[0] == "create_aux_logits"]
    return (
        *(("inputs", None), ("num_classes", num_classes), ("is_training", True)),
        *(("dropout_keep_prob", 0.8), *before, ("prediction_fn", layers.softmax)),
        *(("spatial_squeeze", True), ("reuse", None), *behind, ("scope", scope)),
        ("global_pool", False),
    )
