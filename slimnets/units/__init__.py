"""Units: what a network repeats; each builds itself and says what it does."""

from slimnets.units.convnext import convnext
from slimnets.units.dense_layer import dense_layer
from slimnets.units.inverted import (
    depthwise,
    fused_inverted_residual,
    inverted_residual,
)
from slimnets.units.mixed import Mixed
from slimnets.units.mixed_residual import mixed_residual
from slimnets.units.residual import basic_v1, basic_v2, bottleneck_v1, bottleneck_v2
from slimnets.units.separable_residual import separable_residual
from slimnets.units.single import BlurPool, Conv, Norm, Pool, layer_unit
from slimnets.units.traits import Traits, describes, traits_of
from slimnets.units.xception import xception_module

__all__ = [
    "BlurPool",
    "Conv",
    "Mixed",
    "Norm",
    "Pool",
    "Traits",
    "basic_v1",
    "basic_v2",
    "bottleneck_v1",
    "bottleneck_v2",
    "convnext",
    "dense_layer",
    "depthwise",
    "describes",
    "fused_inverted_residual",
    "inverted_residual",
    "layer_unit",
    "mixed_residual",
    "separable_residual",
    "traits_of",
    "xception_module",
]
