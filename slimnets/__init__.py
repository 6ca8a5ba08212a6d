"""slimnets: a functional network factory with arg scopes for TensorFlow."""

from slimnets import layers, nets
from slimnets.blocks import Block, conv2d_same, stack_blocks, subsample
from slimnets.checkpoints import load_weights, save_weights
from slimnets.end_points import EndPoints
from slimnets.factory import (
    build,
    get_network_fn,
    list_networks,
    network_info,
    register_network,
)
from slimnets.model import Model
from slimnets.scopes import add_arg_scope, arg_scope, current_arg_scope

__all__ = [
    "Block",
    "EndPoints",
    "Model",
    "add_arg_scope",
    "arg_scope",
    "build",
    "conv2d_same",
    "current_arg_scope",
    "get_network_fn",
    "layers",
    "list_networks",
    "load_weights",
    "nets",
    "network_info",
    "register_network",
    "save_weights",
    "stack_blocks",
    "subsample",
]
