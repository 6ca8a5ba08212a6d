"""Arg-scoped layers on public TensorFlow operations, under TF-Slim's names."""

from slimnets.layers.attention import squeeze_excite
from slimnets.layers.conv import conv1d, conv2d
from slimnets.layers.dense import flatten, fully_connected, softmax
from slimnets.layers.group_norm import group_norm
from slimnets.layers.initializers import (
    truncated_normal_initializer,
    variance_scaling_initializer,
    xavier_initializer,
)
from slimnets.layers.noise import drop_path, dropout
from slimnets.layers.norm import batch_norm
from slimnets.layers.pool import avg_pool2d, blur_pool2d, max_pool2d
from slimnets.layers.regularizers import l2_regularizer
from slimnets.layers.separable import separable_conv2d

convolution1d = conv1d
convolution2d = conv2d
separable_convolution2d = separable_conv2d

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "blur_pool2d",
    "conv1d",
    "conv2d",
    "convolution1d",
    "convolution2d",
    "drop_path",
    "dropout",
    "flatten",
    "fully_connected",
    "group_norm",
    "l2_regularizer",
    "max_pool2d",
    "separable_conv2d",
    "separable_convolution2d",
    "softmax",
    "squeeze_excite",
    "truncated_normal_initializer",
    "variance_scaling_initializer",
    "xavier_initializer",
]
