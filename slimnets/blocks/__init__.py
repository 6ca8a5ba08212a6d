"""Blocks of units, and the one place that keeps account of stride and rate.

`Block(name, unit_fn, units)` says what a block is made of; `stack_blocks` builds it.
Once the requested output stride is reached, further strides become rates of atrous
convolution [1], so that the activations equal those of the strided network where both
exist.

Source: tf_slim/nets/resnet_utils.py; [1] Chen et al., DeepLab, arXiv:1606.00915.
"""

from slimnets.blocks.block import Block, Unit
from slimnets.blocks.plan import (
    PlannedBlock,
    PlannedUnit,
    check_output_stride,
    plan_blocks,
    reachable_strides,
)
from slimnets.blocks.same import conv2d_same, subsample
from slimnets.blocks.stacking import Built, stack_blocks, stack_blocks_dense, takes

__all__ = [
    "Block",
    "Built",
    "PlannedBlock",
    "PlannedUnit",
    "Unit",
    "check_output_stride",
    "conv2d_same",
    "plan_blocks",
    "reachable_strides",
    "stack_blocks",
    "stack_blocks_dense",
    "subsample",
    "takes",
]
