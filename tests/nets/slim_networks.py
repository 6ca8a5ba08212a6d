"""Networks by their rows, and how tests make those beside the ResNets small."""

import dataclasses

import slimnets
from slimnets.checkpoints import networks
from slimnets.nets import nasnet, pnasnet


def row_of(name):
    """The row of a network of images; None for a network of points."""
    return networks.row_of(slimnets.network_info(name).network)


IMAGES = [name for name in slimnets.list_networks() if row_of(name)]
# Of units in stages, as the ResNets,
STAGED = [name for name in IMAGES if row_of(name).collects_layers]
# and of single layers and branches, whose convolutions are no end points of their own.
NAMES = [name for name in IMAGES if not row_of(name).collects_layers]


def _cells(config):
    return {"config": dataclasses.replace(config, num_conv_filters=8, num_cells=3)}


# Options that leave few channels and layers, where there are such.
_THIN = {
    "inception_v2": {"depth_multiplier": 0.125, "min_depth": 4},
    "inception_v3": {"depth_multiplier": 0.0625, "min_depth": 2},
    "inception_v4": {"depth_multiplier": 0.0625},
    "inception_resnet_v2": {"depth_multiplier": 0.0625, "repeats": (1, 1, 1)},
    "mobilenet_v1": {"depth_multiplier": 0.125, "min_depth": 4},
    "mobilenet_v2": {"depth_multiplier": 0.125},
    "mobilenet_v3": {"depth_multiplier": 0.25},
    "mobilenet_edgetpu": {"depth_multiplier": 0.25},
    "nasnet_cifar": _cells(nasnet.cifar_config()),
    "nasnet_mobile": _cells(nasnet.mobile_imagenet_config()),
    "nasnet_large": _cells(nasnet.large_imagenet_config()),
    "pnasnet_mobile": _cells(pnasnet.mobile_imagenet_config()),
    "pnasnet_large": _cells(pnasnet.large_imagenet_config()),
}


def thin_options(name):
    """Returns the arguments with which a network is small."""
    near = [prefix for prefix in _THIN if name.startswith(prefix)]
    return _THIN[max(near, key=len)] if near else {}


# Millions of weights whatever is asked for: these are built, but not run.
HEAVY = ("vgg_a", "vgg_16", "vgg_19", "alexnet_v2", "overfeat")


def size_of(name):
    """Returns the side of the images that a network is made for."""
    return slimnets.network_info(name).default_image_size


# One of each kind; the others' tests are slow together.
QUICK = (*HEAVY[2:], "cifarnet", "lenet", "mobilenet_v3_small")
