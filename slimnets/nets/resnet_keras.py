"""ResNets equal to Keras Applications', whose weights load.

v1 has its stride in the first unit's first 1x1 convolution and biases everywhere; v2
has it in a block's last unit.

Source: keras.applications.resnet and resnet_v2 (Apache 2.0).
"""

from __future__ import annotations

from slimnets.rows.arg_scopes import keras_arg_scope, keras_biased_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import SLIM_STRIDES, residual_row, root, stages
from slimnets.rows.row import Row
from slimnets.units import bottleneck_v1, bottleneck_v2

_NAMES = (("keras", ("keras",)),)


def _v1_row(layers: int) -> Row:
    return residual_row(
        f"keras_resnet{layers}",
        stages(layers, bottleneck_v1),
        f"keras.applications.ResNet{layers}.",
        root=root(pool="zeros"),
        unit_options=(("stride_first", True),),
        arg_scope=keras_biased_arg_scope,
        weights="keras",
        names=_NAMES,
        preprocessing="caffe",
    )


def _v2_row(layers: int) -> Row:
    return residual_row(
        f"keras_resnet{layers}_v2",
        stages(layers, bottleneck_v2, SLIM_STRIDES, "last"),
        f"keras.applications.ResNet{layers}V2.",
        root=root(pool="zeros", preactivation=True),
        preactivation=True,
        arg_scope=keras_arg_scope,
        weights="keras",
        names=_NAMES,
        preprocessing="tf",
    )


NETWORKS = tuple(
    network_of(row(layers)) for row in (_v1_row, _v2_row) for layers in (50, 101, 152)
)
