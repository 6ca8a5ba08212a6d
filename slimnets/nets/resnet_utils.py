"""Blocks and helpers under the module name research/slim gives them."""

from slimnets.blocks import (
    Block,
    conv2d_same,
    stack_blocks,
    stack_blocks_dense,
    subsample,
)
from slimnets.rows.arg_scopes import resnet_arg_scope

__all__ = [
    "Block",
    "conv2d_same",
    "resnet_arg_scope",
    "stack_blocks",
    "stack_blocks_dense",
    "subsample",
]
