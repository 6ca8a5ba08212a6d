"""ResNets equal to Keras Applications', whose weights load.

v1 has its stride in the first unit's first 1x1 convolution and biases everywhere; v2
has it in a block's last unit.

Source: keras.applications.resnet and resnet_v2 (Apache 2.0).
"""

from __future__ import annotations

from slimnets.nets.arg_scopes import keras_arg_scope, keras_biased_arg_scope
from slimnets.nets.roots import Root
from slimnets.nets.rows import SLIM_STRIDES, Row, network_of, stages
from slimnets.units import bottleneck_v1, bottleneck_v2

ROOT = Root(pool="zeros")


def _v1_row(layers: int) -> Row:
    return Row(
        name=f"keras_resnet{layers}",
        stages=stages(layers),
        unit_fn=bottleneck_v1,
        preactivation=False,
        unit_options=(("stride_first", True),),
        root=ROOT,
        arg_scope=keras_biased_arg_scope,
        summary=f"keras.applications.ResNet{layers}.",
        weights="keras",
        preprocessing="caffe",
    )


def _v2_row(layers: int) -> Row:
    return Row(
        name=f"keras_resnet{layers}_v2",
        stages=stages(layers, SLIM_STRIDES),
        unit_fn=bottleneck_v2,
        preactivation=True,
        stride_in="last",
        root=ROOT,
        arg_scope=keras_arg_scope,
        summary=f"keras.applications.ResNet{layers}V2.",
        weights="keras",
        preprocessing="tf",
    )


NETWORKS = tuple(
    network_of(row(layers)) for row in (_v1_row, _v2_row) for layers in (50, 101, 152)
)
