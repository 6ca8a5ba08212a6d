"""I3D, a network of videos: Inception v1 with kernels over frames, as in research/slim.

Source: Carreira & Zisserman, Quo Vadis, Action Recognition?, arXiv:1705.07750; names
and layout of research/slim's nets/i3d.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import Scope
from slimnets.slim.research.nets import s3dg
from slimnets.slim.research.nets.i3d_utils import conv3d_spatiotemporal

__all__ = ["conv3d_spatiotemporal", "i3d", "i3d_arg_scope", "i3d_base"]


def i3d_arg_scope(
    weight_decay: float = 1e-7,
    batch_norm_decay: float = 0.999,
    batch_norm_epsilon: float = 0.001,
    use_renorm: bool = False,
    separable_conv3d: bool = False,
) -> Scope:
    """Returns I3D's arg scope, on top of what is open.

    Args:
        weight_decay: of the weights, as an L2 loss.
        batch_norm_decay: of the moving averages, which are in `moving_vars` too.
        batch_norm_epsilon: added to the variances.
        use_renorm: False; batch renormalization is not there.
        separable_conv3d: whether kernels of several frames are separable.
    """
    norm = {"decay": batch_norm_decay, "epsilon": batch_norm_epsilon}
    if use_renorm:
        norm["renorm"] = True  # batch_norm says that it has none.
    return s3dg.video_arg_scope(weight_decay, norm, separable_conv3d)


def i3d_base(
    inputs: tf.Tensor, final_endpoint: str = "Mixed_5c", scope: Any = "InceptionV1"
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds I3D without its head; see `s3dg.s3dg_base`.

    Args:
        inputs: `[batch, frames, height, width, channels]`.
        final_endpoint: the last end point.
        scope: name of the variable scope, or an open one.
    """
    return s3dg.s3dg_base(
        inputs,
        first_temporal_kernel_size=7,
        gating_startat=None,
        final_endpoint=final_endpoint,
        scope=scope,
    )


def i3d(
    inputs: tf.Tensor,
    num_classes: int = 1000,
    dropout_keep_prob: float = 0.8,
    is_training: bool | tf.Tensor = True,
    prediction_fn: Callable[..., tf.Tensor] = layers.softmax,
    spatial_squeeze: bool = True,
    reuse: bool | None = None,
    scope: Any = "InceptionV1",
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds I3D. Arguments and result as of `s3dg.s3dg`."""
    return s3dg.s3dg(
        inputs,
        num_classes,
        first_temporal_kernel_size=7,
        gating_startat=None,
        dropout_keep_prob=dropout_keep_prob,
        is_training=is_training,
        prediction_fn=prediction_fn,
        spatial_squeeze=spatial_squeeze,
        reuse=reuse,
        scope=scope,
    )


i3d.default_image_size = 224
