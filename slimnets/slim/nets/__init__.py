"""The networks as research/slim has them, under its module names.

They are TF-Slim's to the letter: without an arg scope of their own, with its order of
arguments, its end points when they are walked, and its names of operations. slimnets'
own are `slimnets.nets`; tf.contrib.slim's and tf_slim's are
`slimnets.slim.contrib.nets`.
"""

import dataclasses
import importlib
import sys

from slimnets.rows.row import Row
from slimnets.slim.nets import forms
from slimnets.slim.research import nets as research
from slimnets.slim.research.nets.mobilenet import conv_defs

_RESNET = "inputs num_classes is_training global_pool output_stride"
_BOTTLENECK = "inputs depth depth_bottleneck stride= rate outputs_collections scope"
_NASNET = "images num_classes= is_training"
ORDERS = {
    "bottleneck": _BOTTLENECK,
    "resnet_v1.bottleneck": f"{_BOTTLENECK} use_bounded_activations",
    **dict.fromkeys(
        ("resnet_v1_50", "resnet_v1_101"),
        f"{_RESNET} spatial_squeeze store_non_strided_activations min_base_depth "
        "depth_multiplier reuse scope",
    ),
    **dict.fromkeys(
        ("resnet_v1_152", "resnet_v1_200"),
        f"{_RESNET} store_non_strided_activations spatial_squeeze min_base_depth "
        "depth_multiplier reuse scope",
    ),
    "resnet_v2": "inputs blocks num_classes is_training global_pool output_stride "
    "include_root_block spatial_squeeze reuse scope",
    "inception_v2_base": "inputs final_endpoint min_depth depth_multiplier "
    "use_separable_conv data_format include_root_block scope",
    "mobilenet_v1_base": "inputs final_endpoint min_depth depth_multiplier conv_defs "
    "output_stride use_explicit_padding scope",
    "mobilenet_v2*": "input_tensor num_classes depth_multiplier scope conv_defs "
    "finegrain_classification_mode min_depth=None divisible_by=None activation_fn",
    "mobilenet_base": "input_tensor depth_multiplier",
    **dict.fromkeys(
        ("mobilenet_v3_*", "mobilenet_edgetpu*"),
        "input_tensor num_classes depth_multiplier scope conv_defs "
        "finegrain_classification_mode use_groupnorm",
    ),
    "nasnet_cifar": f"{_NASNET} config current_step",
    **dict.fromkeys(
        ("nasnet_mobile", "nasnet_large"),
        f"{_NASNET} final_endpoint config current_step",
    ),
    **dict.fromkeys(
        ("pnasnet_mobile", "pnasnet_large"), f"{_NASNET} final_endpoint config"
    ),
}


def _change(row: Row) -> Row:
    # TF-Slim's ResNets may be told to take the least depths, which may be larger.
    depths = dataclasses.replace(row.depths, zero=row.depths.capped, capped=False)
    return dataclasses.replace(row, depths=depths)


FORM = forms.Form(ORDERS, _change)

MODULES = (
    *("alexnet", "cifarnet", "inception", "inception_resnet_v2", "inception_v1"),
    *("inception_v2", "inception_v3", "inception_v4", "lenet", "mobilenet_v1"),
    *("mobilenet_v2", "mobilenet_v3", "nasnet", "overfeat", "pnasnet"),
    *("resnet_utils", "resnet_v1", "resnet_v2", "vgg"),
)


def _make() -> None:
    """Registers the modules, so that `import slimnets.slim.nets.vgg` finds them."""
    for name in MODULES:
        source = importlib.import_module(f"slimnets.nets.{name}")
        made = globals()[name] = FORM.module(f"{__name__}.{name}", source)
        if name in conv_defs.NAMES:
            conv_defs.complete(made, name)


_make()
from slimnets.slim.nets import nets_factory  # noqa: E402

__all__ = [*MODULES, "nets_factory", *research.add_to(sys.modules[__name__])]
