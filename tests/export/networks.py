"""Small networks of every family, whose norms are not the trivial ones."""

import numpy as np

import slimnets
from slimnets.rows.builder import network_of
from slimnets.rows.row import Row
from tests.helpers import KINDS
from tests.nets.slim_networks import HEAVY, size_of, thin_options

CLASSES = 5
# One of each kind of layer and wiring, quick to build.
QUICK = (
    "resnet_v1_50",
    "resnet_v2_18",
    "resnet_v2_50",
    "wrn_16_8",
    "resnetblur50",
    "seresnext50_32x4d",
    "keras_resnet50_v2",
    "bit_r50x1",
    "pointnet_small",
    "multi_cloud",
    "cifarnet",
    "lenet",
    "mobilenet_v1",
    "mobilenet_v3_small",
)
# What else the families have of their own: response norms, other paddings and rows.
FURTHER = (
    "convnextv2_atto", "efficientnet_b0", "tf_efficientnet_lite0",
    "tf_efficientnetv2_b0", "mnasnet_100", "regnetx_002", "regnety_002", "xception_41",
    "keras_xception", "resnet_v1_50_beta",
)  # fmt: skip


def families():
    """The first network of every family, one of each kind, and those of QUICK."""
    first = {}
    for name in slimnets.list_networks():
        first.setdefault(slimnets.network_info(name).family, name)
    return sorted({*first.values(), *QUICK, *KINDS, *FURTHER})


def small_model(name, seed=0):
    """Returns a Model with values everywhere, and the shape of its inputs."""
    function = slimnets.network_info(name).network
    row, options = getattr(function, "row", None), {}
    if isinstance(row, Row) and row.collects_layers:
        function, options = network_of(row.thin()), {"depth_multiplier": 0.125}
        shape = [None, 33, 33, 3]
    elif name == "multi_cloud":
        shape = {"clouds": [[None, 9, 5], [None, 7, 4]], "auxiliary": [None, 3]}
        options = {"depth_multiplier": 0.125}
    elif name.startswith("pointnet"):
        shape, options = [None, 16, 3], {"depth_multiplier": 0.125}
    else:
        options, size = thin_options(name), size_of(name)
        if name not in HEAVY:
            # The auxiliary logits of PNASNet need 5x5 positions.
            large = size > 224 or name.startswith("pnasnet")
            size = 139 if large else min(size, 64)
        shape = [None, size, size, 3]
    model = slimnets.Model(function, num_classes=CLASSES, seed=seed, **options)
    model.build(shape)
    randomize(model, seed)
    return model, shape


def randomize(model, seed=0):
    """Gives norms and biases values as of a trained network; some scales are < 0."""
    rng = np.random.default_rng(seed)
    for name, variable in model.variables_by_name.items():
        kind = name.rpartition("/")[2]
        if kind in ("beta", "biases", "moving_mean"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        elif kind == "moving_variance":
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif kind == "gamma":
            # In every third layer one channel is turned around.
            values = rng.uniform(0.5, 1.5, variable.shape)
            values[0] *= rng.choice([1, 1, -1])
            variable.assign(values)
