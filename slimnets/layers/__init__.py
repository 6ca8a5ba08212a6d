"""Arg-scoped layers on public TensorFlow operations, under TF-Slim's names."""

from slimnets.layers.attention import squeeze_excite
from slimnets.layers.conv import conv1d, conv2d, conv3d
from slimnets.layers.dense import flatten, fully_connected, softmax
from slimnets.layers.example_norms import (
    global_response_norm,
    group_norm,
    instance_norm,
    layer_norm,
)
from slimnets.layers.fake_quantization import (
    fake_quantized,
    fake_quantized_activations,
)
from slimnets.layers.initializers import (
    truncated_normal_initializer,
    variance_scaling_initializer,
    xavier_initializer,
)
from slimnets.layers.layer_scale import layer_scale
from slimnets.layers.noise import drop_path, dropout
from slimnets.layers.norm import batch_norm
from slimnets.layers.places import activations
from slimnets.layers.pool import (
    avg_pool2d,
    avg_pool3d,
    blur_pool2d,
    max_pool2d,
    max_pool3d,
)
from slimnets.layers.regularizers import l1_regularizer, l2_regularizer
from slimnets.layers.separable import separable_conv2d
from slimnets.layers.transposed import conv2d_transpose
from slimnets.layers.weight_transforms import (
    lora,
    magnitude_mask,
    spectral_norm,
    weight_norm,
    weight_standardization,
)

convolution1d = conv1d
convolution2d = conv2d
convolution2d_transpose = conv2d_transpose
convolution3d = conv3d
separable_convolution2d = separable_conv2d

__all__ = [
    "activations",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "blur_pool2d",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "convolution1d",
    "convolution2d",
    "convolution2d_transpose",
    "convolution3d",
    "drop_path",
    "dropout",
    "fake_quantized",
    "fake_quantized_activations",
    "flatten",
    "fully_connected",
    "global_response_norm",
    "group_norm",
    "instance_norm",
    "l1_regularizer",
    "l2_regularizer",
    "layer_norm",
    "layer_scale",
    "lora",
    "magnitude_mask",
    "max_pool2d",
    "max_pool3d",
    "separable_conv2d",
    "separable_convolution2d",
    "softmax",
    "spectral_norm",
    "squeeze_excite",
    "truncated_normal_initializer",
    "variance_scaling_initializer",
    "weight_norm",
    "weight_standardization",
    "xavier_initializer",
]
