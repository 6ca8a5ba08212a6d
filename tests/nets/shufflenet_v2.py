"""ShuffleNet v2 as a user of docs/howto/network.md writes it: a unit, a table, names.

Source: Ma et al., ShuffleNet V2, arXiv:1807.11164, figure 3c and d, and table 5; names
of torchvision's shufflenetv2.py (BSD 3-clause).
"""

import dataclasses

import tensorflow as tf

import slimnets
from slimnets.rows.arg_scopes import torch_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import HEAD, residual_row, root
from slimnets.rows.stage import Stage
from slimnets.units import Conv, Traits, depthwise, describes


def _traits(channels, depth, stride=1, rate=1, **_):
    path = ((3, stride, rate),)
    return Traits(
        depth, (path, ()) if channels == depth else (path,), key="shuffle_unit"
    )


@describes(_traits)
@slimnets.add_arg_scope
def shuffle_unit(inputs, depth, stride=1, rate=1, outputs_collections=None):
    """Half of the channels pass, or are pooled by a branch of their own; all mix."""

    def conv(net, scope):
        return slimnets.conv2d_same(net, depth // 2, 1, 1, scope=scope)

    def pooled(net, scope):
        options = {"activation_fn": None, "scope": scope}
        return depthwise(net, 3, stride, rate, "EVEN", **options)

    with tf.compat.v1.variable_scope(None, "shuffle_unit", [inputs]) as scope:
        if inputs.shape[-1] == depth:
            left, right = tf.split(inputs, 2, -1)
        else:
            left = conv(pooled(inputs, "left_depthwise"), "left_conv")
            right = inputs
        right = conv(pooled(conv(right, "conv1"), "depthwise"), "conv2")
        # Channel i of either half stands at 2 * i and 2 * i + 1.
        pairs = tf.stack([left, right], -1)
        net = tf.reshape(pairs, tf.concat([tf.shape(left)[:-1], [depth]], 0))
        net.set_shape([*left.shape[:-1], depth])
        return slimnets.end_points.collect(outputs_collections, scope.name, net)


_UNIT = r"block(?P<block>\d)/unit_(?P<unit>\d)/shuffle_unit/"
_NORM = r"/BatchNorm/(?P<part>\w+)"
_PART = r"/(?P<part>\w+)"
_LAYERS = (
    ("conv1", "conv1", 0),
    ("conv5", "conv5", 0),
    (_UNIT + "left_depthwise", "stage{stage}.{unit0}.branch1", 0),
    (_UNIT + "left_conv", "stage{stage}.{unit0}.branch1", 2),
    (_UNIT + "conv1", "stage{stage}.{unit0}.branch2", 0),
    (_UNIT + "depthwise", "stage{stage}.{unit0}.branch2", 3),
    (_UNIT + "conv2", "stage{stage}.{unit0}.branch2", 5),
)
NAMES = (
    *((layer + _NORM, f"{name}.{i + 1}.{{part}}") for layer, name, i in _LAYERS),
    *((layer + _PART, f"{name}.{i}.{{part}}") for layer, name, i in _LAYERS),
    ("logits" + _PART, "fc.{part}"),
)

# Table 5: depths of the three blocks, and of the last convolution.
ROWS = (
    ("shufflenet_v2_x0_5", (48, 96, 192), 1024),
    ("shufflenet_v2_x1_0", (116, 232, 464), 1024),
    ("shufflenet_v2_x1_5", (176, 352, 704), 1024),
    ("shufflenet_v2_x2_0", (244, 488, 976), 2048),
)

NETWORKS = tuple(
    network_of(
        residual_row(
            name,
            tuple(
                Stage(f"block{i}", shuffle_unit, units, 2, depth)
                for i, (depth, units) in enumerate(
                    zip(depths, (4, 8, 4), strict=True), start=1
                )
            ),
            f"{name} of torchvision.",
            root=root((24, 3, 2), pool="lowest"),
            head=dataclasses.replace(
                HEAD,
                features=(Conv("conv5", last, 1), *HEAD.features),
            ),
            arg_scope=torch_arg_scope,
            weights="torch",
            names=(("torch", (NAMES,)),),
            preprocessing="torch",
        )
    )
    for name, depths, last in ROWS
)
