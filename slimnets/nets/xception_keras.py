"""Xception as Keras Applications has it.

Source: [1] Chollet, Xception, arXiv:1610.02357, figure 5.
"""

from __future__ import annotations

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import depthwise_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import residual_row
from slimnets.rows.stage import Separable, Stage
from slimnets.scopes import Scope
from slimnets.units import Conv, separable_residual
from slimnets.units.inverted import one_each

# Figure 5 of [1], block by block from the second: depth of the last convolution, those
# of the others for one of it, and stride.
_BLOCKS = (
    *((128, (1,), 2), (256, (1,), 2), (728, (1,), 2)),
    *8 * ((728, (1, 1), 1),),
    (1024, (728 / 1024,), 2),
)


def xception_arg_scope(weight_decay: float = 0.00001) -> Scope:
    """Returns the arg scope of the paper, section 4.3.

    Args:
        weight_decay: of the weights of all but depthwise convolutions, as an L2 loss.
    """
    initializer = layers.xavier_initializer()
    return depthwise_arg_scope(
        weight_decay, 0.99, tf.nn.relu, weights_initializer=initializer
    )


NETWORKS = (keras_xception,) = (
    network_of(
        residual_row(
            "keras_xception",
            (
                *(
                    Stage(
                        f"block{i}",
                        separable_residual,
                        stride=stride,
                        depth=depth,
                        widths=Separable(parts),
                    )
                    for i, (depth, parts, stride) in enumerate(_BLOCKS, start=2)
                ),
                (
                    Conv("block14_sepconv1", 1536, multiplier=one_each),
                    Conv("block14_sepconv2", 2048, multiplier=one_each),
                ),
            ),
            "keras.applications.Xception.",
            root=(
                Conv("block1_conv1", 32, 3, 2, "VALID"),
                Conv("block1_conv2", 64, 3, 1, "VALID"),
            ),
            arg_scope=xception_arg_scope,
            image_size=299,
            weights="keras",
            names=(("keras", ("keras_xception",)),),
            preprocessing="tf",
        )
    ),
)
