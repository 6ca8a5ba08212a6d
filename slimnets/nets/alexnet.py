"""AlexNet, as TF-Slim builds it: dense layers as convolutions.

Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks,
arXiv:1404.5997 (AlexNet version 2); names and layout of tf_slim/nets/alexnet.py and
research/slim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import biased_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.convolved_dense import convolved_dense_head
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths
from slimnets.units import Conv, Pool

_WEIGHTS = ("weights_initializer", layers.truncated_normal_initializer(0.005))
_TENTHS = ("biases_initializer", tf.compat.v1.constant_initializer(0.1))
_ZEROS = ("biases_initializer", tf.compat.v1.zeros_initializer())


def alexnet_v2_arg_scope(weight_decay: float = 0.0005):
    """Returns TF-Slim's arg scope for AlexNet, on top of what is open."""
    return biased_arg_scope(weight_decay, tf.compat.v1.constant_initializer(0.1))


def row_of(
    name: str,
    arg_scope: Callable,
    root: tuple[Any, ...],
    stages: tuple[tuple[Any, ...], ...],
    depths: tuple[int, int],
    kernel: int,
    **fields: Any,
) -> Row:
    """Returns the row of a network whose convolutions are followed by dense layers."""
    options = (_WEIGHTS, _TENTHS), (_WEIGHTS, _ZEROS)
    return Row(
        name,
        root=root,
        stages=stages,
        head=convolved_dense_head(depths, kernel, "VALID", *options),
        arg_scope=arg_scope,
        arguments=(
            *(("inputs", None), ("num_classes", 1000), ("is_training", True)),
            *(("dropout_keep_prob", 0.5), ("spatial_squeeze", True), ("scope", name)),
            *(("global_pool", False), ("reuse", None)),
        ),
        depths=Depths(least=8),
        normalized=False,
        preprocessing="vgg",
        weights="tf-slim",
        **fields,
    )


NETWORKS = (alexnet_v2,) = (
    network_of(
        row_of(
            "alexnet_v2",
            alexnet_v2_arg_scope,
            (Conv("conv1", 64, 11, 4, "VALID"),),
            (
                (Pool("pool1", padding=None), Conv("conv2", 192, 5, padding=None)),
                (
                    Pool("pool2", padding=None),
                    Conv("conv3", 384, padding=None),
                    Conv("conv4", 384, padding=None),
                    Conv("conv5", 256, padding=None),
                ),
                (Pool("pool5", padding=None),),
            ),
            (4096, 4096),
            5,
            summary="AlexNet, version 2, of TF-Slim.",
        )
    ),
)
