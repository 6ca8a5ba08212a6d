"""What residual families share: stages, roots, head, and TF-Slim's generators.

Source: He et al., arXiv:1512.03385, table 1; tf_slim/nets/resnet_v1.py and
resnet_v2.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from slimnets.blocks import Block
from slimnets.rows.arg_scopes import resnet_arg_scope
from slimnets.rows.arguments import NO_DEFAULT
from slimnets.rows.builder import network_of
from slimnets.rows.head_layers import Dropout, GlobalPool, Logits, Predictions, Squeeze
from slimnets.rows.heads import Head
from slimnets.rows.row import Row
from slimnets.rows.stage import Bottleneck, Depths, Stage, as_depth
from slimnets.units import BlurPool, Conv, Pool, basic_v1, basic_v2

# Units of each of the four blocks, by depth: table 1 of arXiv:1512.03385; 200 from
# arXiv:1603.05027; 270 to 420 from arXiv:2103.07579.
UNITS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    270: (4, 29, 53, 4),
    350: (4, 36, 72, 4),
    420: (4, 44, 87, 4),
}
BASE_DEPTHS = (64, 128, 256, 512)
# TF-Slim's strides, which sit in a block's last unit.
SLIM_STRIDES = (2, 2, 2, 1)
HEAD = Head(
    features=(GlobalPool("pool5"),),
    logits=(
        Dropout("dropout", optional=True),
        # A plain linear map, whatever the units' convolutions are.
        Logits("logits", options=(("weight_transform", None),)),
        Squeeze("SpatialSqueeze", "spatial_squeeze", pooled=True),
    ),
    end=(Predictions("predictions", keyed=True),),
)
ARGUMENTS = (
    ("inputs", None),
    ("num_classes", None),
    ("is_training", True),
    ("global_pool", True),
    ("output_stride", None),
    ("spatial_squeeze", True),
    ("reuse", None),
)
KEYWORDS = (
    ("store_non_strided_activations", False),
    ("depth_multiplier", 1.0),
    ("min_base_depth", 8),
)


def stages(
    layers: int,
    unit_fn: Callable,
    strides: Sequence[int] = (1, 2, 2, 2),
    stride_in: str = "first",
    width: int = 1,
    **widths: int,
) -> tuple[Stage, ...]:
    """Returns the stages of an ImageNet ResNet of that many layers.

    Args:
        layers: a key of `UNITS`.
        unit_fn: of all units.
        strides: of the blocks.
        stride_in: which unit has a block's stride.
        width: multiplies the base depths.
        **widths: of `Bottleneck`.
    """
    table = zip(BASE_DEPTHS, UNITS[layers], strides, strict=True)
    return blocks_of(
        [(width * base, units, stride) for base, units, stride in table],
        unit_fn,
        stride_in,
        **widths,
    )


def blocks_of(
    table: Sequence[tuple[int, int, int]],
    unit_fn: Callable,
    stride_in: str = "first",
    **widths: int,
) -> tuple[Stage, ...]:
    """Returns the stages `block1`, `block2` ... of (base depth, units, stride)."""
    made = as_depth if unit_fn in (basic_v1, basic_v2) else Bottleneck(**widths)
    return tuple(
        Stage(f"block{i}", unit_fn, units, stride, base, stride_in, made)
        for i, (base, units, stride) in enumerate(table, start=1)
    )


def root(
    *convs: tuple[int, int, int],
    pool: str | None = "same",
    preactivation: bool = False,
    biases: bool = True,
) -> tuple[Any, ...]:
    """Returns the layers before the blocks.

    Args:
        *convs: depth, kernel size and stride of each convolution; a 7x7 one by default.
        pool: what halves the size after them: `same`, a 3x3 max pool padded as the arg
            scope says (TF-Slim); `lowest`, padded on every side by a pixel that never
            wins (torch); `zeros`, by a pixel of zeros (Keras); `conv`, a convolution;
            `blur`, a dense max pool and a blur pool; None for nothing.
        preactivation: whether units normalize and activate what the root gives.
        biases: whether convolutions that no norm follows have biases.
    """
    convs = convs or ((64, 7, 2),)
    plain: tuple[tuple[str, Any], ...] = ()
    if preactivation:
        plain = (("activation_fn", None), ("normalizer_fn", None))
        plain += () if biases else (("biases_initializer", None),)
    names = [f"conv1_{i}" for i in range(1, len(convs) + 1)]
    names = names if len(convs) > 1 else ["conv1"]
    made = [
        Conv(name, depth, kernel, stride, "EVEN", plain, scaled=False)
        for name, (depth, kernel, stride) in zip(names, convs, strict=True)
    ]
    pools = {
        None: (),
        "same": (Pool("pool1", padding=None, scoped_padding="SAME"),),
        "lowest": (Pool("pool1", padding="lowest"),),
        "zeros": (Pool("pool1", padding="zeros"),),
        "conv": (Conv("pool1", convs[-1][0], 3, 2, "EVEN", scaled=False),),
        "blur": (BlurPool("pool1"),),
    }
    return (*made, *pools[pool])


def residual_row(
    name: str, layers: tuple[Stage, ...], summary: str, **fields: Any
) -> Row:
    """Returns the row of a residual network.

    Args:
        name: of the network.
        layers: its stages.
        summary: one line of help.
        **fields: of `Row`, where they are not what most have.
    """
    depths = Depths(least=8, multiple=fields.pop("depth_multiple", 1), capped=True)
    return Row(
        name,
        layers,
        summary=summary,
        **{
            "head": HEAD,
            "arguments": (*ARGUMENTS, ("scope", name)),
            "keywords": KEYWORDS,
            "depths": depths,
            "collects_layers": True,
            **fields,
        },
    )


def generator(name: str, *, preactivation: bool) -> Callable:
    """Returns `resnet_v1` or `resnet_v2`, which build the caller's own blocks.

    Args:
        name: of the function, and of its scope by default.
        preactivation: whether its units begin with their normalization.
    """
    return network_of(
        residual_row(
            name,
            (),
            "Builds a ResNet from the caller's blocks.",
            root=root(preactivation=preactivation),
            preactivation=preactivation,
            arguments=(
                *(("inputs", None), ("blocks", NO_DEFAULT), ("num_classes", None)),
                *(("is_training", True), ("global_pool", True)),
                *(("output_stride", None), ("include_root_block", True)),
                *(("spatial_squeeze", True), ("store_non_strided_activations", False)),
                *(("reuse", None), ("scope", None)),
            ),
            keywords=(),
            texts=(
                ("blocks", "the blocks."),
                ("include_root_block", "whether to begin with the 7x7 convolution and "
                 "the pool; if not, `inputs` should come from a convolution without "
                 "activation."),
            ),
            vary=_of_blocks,
        )
    )  # fmt: skip


def _of_blocks(
    row: Row, options: dict[str, Any], blocks: Sequence[Block], include_root_block: bool
) -> Row:
    root = row.root if include_root_block else ()
    return dataclasses.replace(row, root=root, stages=tuple(blocks))


def block_maker(name: str, unit_fn: Callable) -> Callable[[str, int, int, int], Block]:
    """Returns `resnet_v1_block` or `resnet_v2_block`."""

    def block(scope: str, base_depth: int, num_units: int, stride: int) -> Block:
        """Returns a block of bottleneck units with the stride in the last one.

        Args:
            scope: the block's name.
            base_depth: channels inside a unit; its output has four times as many.
            num_units: number of units.
            stride: of the last unit; the others have 1.
        """
        depth = 4 * base_depth
        strides = [1] * (num_units - 1) + [stride]
        return Block(scope, unit_fn, [(depth, base_depth, step) for step in strides])

    block.__name__ = block.__qualname__ = name
    return block


def slim_networks(
    prefix: str, basic: Callable, bottleneck: Callable, *, preactivation: bool
) -> tuple[Callable, ...]:
    """Returns the networks of 18, 34, 50, 101, 152 and 200 layers."""
    return tuple(
        network_of(
            residual_row(
                f"{prefix}_{layers}",
                stages(
                    layers, basic if layers < 50 else bottleneck, SLIM_STRIDES, "last"
                ),
                f"{prefix} of {layers} layers in TF-Slim's manner.",
                root=root(preactivation=preactivation),
                preactivation=preactivation,
                arg_scope=resnet_arg_scope,
                weights="tf-slim" if layers >= 50 else "",
                # As TF-Slim evaluated the weights that it published.
                preprocessing="inception" if preactivation else "vgg",
            )
        )
        for layers in (18, 34, 50, 101, 152, 200)
    )
