"""Frozen stages and norms: variables that do not train, statistics that stay fixed.

The stages are the root and the blocks, in this order; Detectron's `FREEZE_AT` counts
them in the same way.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

from slimnets import layers
from slimnets.blocks import Block
from slimnets.scopes import arg_scope

_WITH_VARIABLES = (
    layers.conv1d,
    layers.conv2d,
    layers.separable_conv2d,
    layers.fully_connected,
    layers.batch_norm,
    layers.group_norm,
    layers.layer_norm,
    layers.global_response_norm,
    layers.layer_scale,
    layers.weight_norm,
    layers.lora,
)


@contextlib.contextmanager
def frozen_layers():
    """A scope in which layers are not trained, and what they have counted stays."""
    with (
        arg_scope(_WITH_VARIABLES, trainable=False),
        arg_scope(
            [layers.batch_norm, layers.spectral_norm, layers.magnitude_mask],
            is_training=False,
        ),
    ):
        yield


def frozen_if(condition: int | bool) -> contextlib.AbstractContextManager:
    """`frozen_layers()`, or nothing."""
    return frozen_layers() if condition else contextlib.nullcontext()


def freeze_blocks(blocks: Sequence[Block], freeze_at: int) -> list[Block]:
    """Returns the blocks, those before stage `freeze_at` with frozen layers.

    Args:
        blocks: the network's blocks.
        freeze_at: number of frozen stages: 1 is the root, 2 the first block too.

    Raises:
        ValueError: for a number of stages that the network does not have.
    """
    stages = len(blocks) + 1
    if not isinstance(freeze_at, int) or not 0 <= freeze_at <= stages:
        raise ValueError(
            f"freeze_at={freeze_at!r}; allowed is 0 for nothing, 1 for the root, and "
            f"up to {stages} for the root and all {len(blocks)} blocks."
        )
    return [
        block._replace(unit_fn=_frozen(block.unit_fn)) if stage < freeze_at else block
        for stage, block in enumerate(blocks, start=1)
    ]


def _frozen(unit_fn: Callable) -> Callable:
    @functools.wraps(unit_fn)
    def frozen_unit(*args, **kwargs):
        with frozen_layers():
            return unit_fn(*args, **kwargs)

    return frozen_unit
