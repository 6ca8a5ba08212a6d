"""Rows: a named residual network as data, and the function that it stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import Block
from slimnets.end_points import EndPoints
from slimnets.nets.arg_scopes import resnet_arg_scope, with_unit
from slimnets.nets.residual import residual_network
from slimnets.nets.roots import Root
from slimnets.scopes import Scope
from slimnets.units import basic_v1, basic_v2

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
_BASIC = (basic_v1, basic_v2)


@dataclasses.dataclass(frozen=True)
class Row:
    """A named residual network, as data.

    Attributes:
        name: of the network, and of its scope by default.
        stages: `(base depth, number of units, stride)` of each block.
        unit_fn: the blocks' unit function.
        preactivation: whether normalization comes first in units.
        stride_in: whether a block's stride sits in its `last` or its `first` unit.
        groups: of the 3x3 convolutions of bottleneck units.
        base_width: 64ths of the base depth that each group of these is wide.
        unit_options: further arguments of the unit function.
        root: what comes before the blocks.
        arg_scope: gives the family's arg scope.
        image_size: the side of the images it is made for, in pixels.
        depth_multiple: of which a base depth that is scaled down stays a multiple.
        summary: one line of help.
        weights: whose weights load into it.
        preprocessing: how its authors made images of pictures, by the name in
            `data.preprocessing_names()`.
    """

    name: str
    stages: tuple[tuple[int, int, int], ...]
    unit_fn: Callable
    preactivation: bool
    stride_in: str = "first"
    groups: int = 1
    base_width: int = 64
    unit_options: tuple[tuple[str, Any], ...] = ()
    root: Root = dataclasses.field(default_factory=Root)
    arg_scope: Callable[[], Scope] = resnet_arg_scope
    image_size: int = 224
    depth_multiple: int = 1
    summary: str = ""
    weights: str = ""
    preprocessing: str = ""

    def blocks(
        self,
        depth_multiplier: float = 1.0,
        min_base_depth: int = 8,
        drop_path_rate: float = 0.0,
    ) -> list[Block]:
        """Returns the blocks.

        Args:
            depth_multiplier: scales every base depth.
            min_base_depth: a base depth is never scaled below this.
            drop_path_rate: of the last unit; it rises from 0 at the first unit.
        """
        blocks = [
            Block(
                f"block{index}",
                self.unit_fn,
                self._units(
                    self._scaled(base_depth, depth_multiplier, min_base_depth),
                    num_units,
                    stride,
                ),
            )
            for index, (base_depth, num_units, stride) in enumerate(
                self.stages, start=1
            )
        ]
        return _with_drop_path(blocks, drop_path_rate) if drop_path_rate else blocks

    @property
    def dense_is_exact(self) -> bool:
        """Whether a denser output, subsampled, equals the nominal one.

        It is not where layers take statistics over the whole image, as group norm and
        squeeze-and-excitation do: with more pixels these are others.
        """
        options = dict(self.unit_options)
        grouped = options.get("normalizer_fn") is layers.group_norm
        return not grouped and options.get("squeeze_ratio") is None

    def _scaled(self, base_depth: int, multiplier: float, least: int) -> int:
        scaled = max(int(base_depth * multiplier), min(least, base_depth))
        return max(scaled // self.depth_multiple, 1) * self.depth_multiple

    def _units(self, base_depth: int, num_units: int, stride: int) -> list[dict]:
        unit = {"depth": base_depth}
        if self.unit_fn not in _BASIC:
            width = max(1, base_depth * self.base_width // 64) * self.groups
            unit = {"depth": 4 * base_depth, "depth_bottleneck": width}
        units = [{**unit, "stride": 1} for _ in range(num_units)]
        units[0 if self.stride_in == "first" else -1]["stride"] = stride
        return units

    def scope(self) -> Scope:
        """Returns the family's arg scope with this row's options of its units."""
        options = dict(self.unit_options)
        if self.groups > 1:
            options["groups"] = self.groups
        return with_unit(self.arg_scope(), self.unit_fn, **options)

    def thin(self) -> Row:
        """Returns a row of the same kinds of layers with at most two units a block."""
        stages = tuple((base, min(n, 2), stride) for base, n, stride in self.stages)
        return dataclasses.replace(self, stages=stages)


def stages(
    depth: int,
    strides: Sequence[int] = (1, 2, 2, 2),
    width: int = 1,
) -> tuple[tuple[int, int, int], ...]:
    """Returns a row's stages for an ImageNet ResNet of that many layers."""
    return tuple(
        (width * base, units, stride)
        for base, units, stride in zip(BASE_DEPTHS, UNITS[depth], strides, strict=True)
    )


# TF-Slim's strides, which sit in a block's last unit.
SLIM_STRIDES = (2, 2, 2, 1)


def _with_drop_path(blocks: list[Block], rate: float) -> list[Block]:
    if not 0 <= rate < 1:
        raise ValueError(f"drop_path_rate={rate!r}; allowed is 0 <= rate < 1.")
    last = max(sum(len(block.units) for block in blocks) - 1, 1)
    counter = iter(range(last + 1))
    return [
        block._replace(
            units=[
                {**unit, "drop_path_rate": rate * next(counter) / last}
                for unit in block.unit_kwargs()
            ]
        )
        for block in blocks
    ]


def network_of(row: Row) -> Callable:
    """Returns the network function that a row stands for."""

    def network(
        inputs: tf.Tensor,
        num_classes: int | None = None,
        is_training: bool | tf.Tensor | None = True,
        global_pool: bool = True,
        output_stride: int | None = None,
        spatial_squeeze: bool = True,
        reuse: Any = None,
        scope: Any = row.name,
        *,
        store_non_strided_activations: bool = False,
        depth_multiplier: float = 1.0,
        min_base_depth: int = 8,
        drop_path_rate: float = 0.0,
        norm: str = "batch",
        activation_fn: Callable | None = None,
        prediction_fn: Callable | None = None,
        dropout_keep_prob: float = 1.0,
        zero_init_residual: bool = False,
        multi_grid: Sequence[int] | None = None,
        freeze_at: int = 0,
    ) -> tuple[tf.Tensor, EndPoints]:
        return residual_network(
            inputs,
            row.blocks(depth_multiplier, min_base_depth, drop_path_rate),
            scope=scope,
            default_name=row.name,
            default_scope=row.scope(),
            root=row.root,
            preactivation=row.preactivation,
            num_classes=num_classes,
            is_training=is_training,
            global_pool=global_pool,
            output_stride=output_stride,
            spatial_squeeze=spatial_squeeze,
            store_non_strided_activations=store_non_strided_activations,
            reuse=reuse,
            norm=norm,
            activation_fn=activation_fn,
            prediction_fn=prediction_fn,
            dropout_keep_prob=dropout_keep_prob,
            zero_init_residual=zero_init_residual,
            multi_grid=multi_grid,
            freeze_at=freeze_at,
        )

    network.__name__ = network.__qualname__ = row.name
    network.__doc__ = f"{row.summary}\n\n{_ARGUMENTS}"
    if not row.dense_is_exact:
        network.__doc__ += _NOT_EXACT
    network.default_image_size = row.image_size
    network.preprocessing = row.preprocessing
    network.row = row
    return network


_ARGUMENTS = """Arguments and result as of `resnet_v2.resnet_v2`, and:

    Args:
        depth_multiplier: scales the units' base depths.
        min_base_depth: a base depth is never scaled below this.
        drop_path_rate: probability of dropping the last unit's residual branch in
            training; it rises evenly from 0 at the first unit.
        norm: `batch`; `frozen`, a batch norm whose statistics and parameters stay as
            they are; `sync`, one whose statistics are of all replicas' batches; or
            `group`. An arg scope may name any other normalizer_fn.
        activation_fn: of the whole network, instead of the family's.
        prediction_fn: makes predictions of logits; softmax by default.
        dropout_keep_prob: of the features before the logits.
        zero_init_residual: whether the last gamma of each unit begins at 0.
        multi_grid: factors of the rates of the last block's units; see
            `stack_blocks`.
        freeze_at: how many stages are frozen: their variables do not train and their
            statistics stay as they are. 1 is the root, 2 the first block too.
"""

_NOT_EXACT = """
    At a smaller output stride the outputs are not exactly the nominal ones: this
    network's layers take statistics over the image, which has more pixels then.
"""
