"""What TF-Slim's Inceptions share: branches, heads, auxiliary logits and their row."""

from __future__ import annotations

import string
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.head_layers import (
    AuxiliaryPool,
    Dropout,
    Flatten,
    GlobalPool,
    Kept,
    Logits,
    Predictions,
    Squeeze,
    WindowConv,
    WindowPool,
)
from slimnets.rows.heads import Auxiliary, Head
from slimnets.rows.row import Row
from slimnets.units import Conv, Mixed, Pool
from slimnets.units.traits import Kernel

ACTIVATION_FREE = (("activation_fn", None),)


def conv(
    place: str,
    depth: int,
    kernel: Kernel = 3,
    stride: int = 1,
    padding: str = "SAME",
    **fields: Any,
) -> Conv:
    """Returns `Conv2d_0a_1x1` and its like, at a place such as `0a`."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    name = f"Conv2d_{place}_{height}x{width}"
    return Conv(name, depth, kernel, stride, padding, **fields)


def chain(*convs: tuple[int, Kernel], **fields: Any) -> tuple[Conv, ...]:
    """Returns convolutions of such depths and kernels at the places `0a`, `0b` ..."""
    places = zip(string.ascii_lowercase, convs, strict=False)
    return tuple(conv(f"0{letter}", *each, **fields) for letter, each in places)


def strided(depth: int) -> Conv:
    """Returns the convolution that a branch with a stride ends in."""
    return conv("1a", depth, 3, 2, "VALID")


def max_pooled(name: str = "MaxPool_1a_3x3") -> tuple[Pool, ...]:
    """Returns the branch of a max pool with a stride."""
    return (Pool(name, padding="VALID"),)


def pooled(depth: int) -> tuple[Any, ...]:
    """Returns the branch of an average pool and a 1x1 convolution."""
    pool = Pool("AvgPool_0a_3x3", stride=1, kind="avg")
    return (pool, conv("0b", depth, 1))


def mixed(name: str, *branches: tuple[Any, ...]) -> Mixed:
    """Returns branches side by side."""
    return Mixed(name, branches)


def initial(stddev: float) -> tuple[tuple[str, Any], ...]:
    """Returns the options of a convolution with such initial weights."""
    return (("weights_initializer", layers.truncated_normal_initializer(stddev)),)


# Of Inception v3 and Inception-ResNet v2.
ROOT = (
    conv("1a", 32, 3, 2, "VALID"),
    conv("2a", 32, 3, 1, "VALID"),
    conv("2b", 64),
    Pool("MaxPool_3a_3x3", padding="VALID"),
    conv("3b", 80, 1, 1, "VALID"),
    conv("4a", 192, 3, 1, "VALID"),
    Pool("MaxPool_5a_3x3", padding="VALID"),
)


def inception_row(name: str, **fields: Any) -> Row:
    """Returns the row of a network of that name; `fields` are of `Row`."""
    own: dict[str, Any] = {
        "scope": name.title().replace("_", ""),
        "arg_scope": inception_arg_scope,
        "bare_keys": True,
        "reopens": True,
        "preprocessing": "inception",
        "weights": "tf-slim",
    }
    return Row(name, **(own | fields))


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


def dense_auxiliary(after: str, pool: str, second: str, dense: str) -> Auxiliary:
    """Returns auxiliary logits by a dense layer.

    Args:
        after: the end point that they are made of.
        pool, second, dense: names of the pool, the second convolution and the last
            layer.
    """
    return Auxiliary(
        after,
        (
            AuxiliaryPool(pool),
            conv("1b", 128, 1),
            WindowConv(Conv(second, 768, padding="VALID"), whole=5),
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
