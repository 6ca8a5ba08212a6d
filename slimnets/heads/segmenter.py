"""DeepLab's head on any backbone that reaches an output stride, by name.

The backbone at output stride 16, atrous spatial pyramid pooling, perhaps a decoder
that sees finer levels, and bilinear upsampling to the input's size.

Source: [1] Chen et al., DeepLabv3, arXiv:1706.05587; [2] Chen et al., DeepLabv3+,
arXiv:1802.02611 (the decoder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import features, layers, necks
from slimnets.end_points import EndPoints
from slimnets.heads.backbones import build_backbone
from slimnets.scopes import arg_scope


def segmenter(
    images: tf.Tensor,
    num_classes: int,
    is_training: bool | tf.Tensor = False,
    *,
    backbone: str,
    output_stride: int = 16,
    pyramid_depth: int = 64,
    decoder_levels: Sequence[str] = ("C2",),
    **backbone_options: Any,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a segmenter.

    Args:
        images: `[batch, height, width, channels]`.
        num_classes: number of classes, with the background.
        is_training: as of the backbone.
        backbone: a registered network that reaches the output stride.
        output_stride: of the backbone. The atrous rates are 6, 12 and 18 for 16, and
            twice these for 8 [1].
        pyramid_depth: channels of the atrous pyramid and the decoder.
        decoder_levels: the levels that the decoder sees [2], one after the other,
            coarsest first; none for no decoder.
        **backbone_options: further arguments of the backbone.

    Returns:
        Logits `[batch, height, width, num_classes]`, and the backbone's end points.

    Raises:
        ValueError, KeyError: for a network, an output stride or a level that is not
            there.
    """
    level = f"C{output_stride.bit_length() - 1}"
    features.feature_info(backbone, output_stride, levels=(level, *decoder_levels))
    end_points = build_backbone(
        backbone, images, is_training, output_stride=output_stride, **backbone_options
    )
    net = features.features(end_points, (level,), normalized=True)[level]
    rates = [max(1, rate * 16 // output_stride) for rate in (6, 12, 18)]
    with (
        tf.compat.v1.variable_scope("head"),
        arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm),
        arg_scope([layers.batch_norm], is_training=is_training, decay=0.9, scale=True),
    ):
        net = necks.atrous_pyramid(net, pyramid_depth, rates)
        for name, fine in features.features(end_points, decoder_levels).items():
            net = _decoded(net, fine, pyramid_depth, f"decoder_{name}")
        logits = layers.conv2d(
            net,
            num_classes,
            1,
            activation_fn=None,
            normalizer_fn=None,
            scope="logits",
        )
    size = tf.shape(images)[1:3]
    logits = tf.image.resize(logits, size)
    logits.set_shape([None, *images.shape[1:3], num_classes])
    return logits, end_points


# What of its variables is not the backbone's, and what is of its classes.
vars(segmenter).update(head_scopes=("head",), class_scopes=("head/logits",))


def _decoded(net: tf.Tensor, fine: tf.Tensor, depth: int, scope: str) -> tf.Tensor:
    """The decoder of [2]: what the pyramid says, and a finer level, side by side."""
    with tf.compat.v1.variable_scope(scope):
        fine = layers.conv2d(fine, max(depth // 4, 8), 1, scope="fine")
        net = tf.image.resize(net, tf.shape(fine)[1:3])
        net = tf.concat([net, fine], axis=-1)
        net = layers.conv2d(net, depth, 3, scope="conv1")
        return layers.conv2d(net, depth, 3, scope="conv2")


def found_mask(
    outputs: tf.Tensor,
    height: int,
    width: int,
    options: Mapping[str, Any],
    *,
    raw: bool = False,
) -> dict[str, tf.Tensor]:
    """What a segmenter finds; arguments as of `found_boxes`.

    Returns:
        `mask`, int32 `[batch, height, width]`, the class of every pixel; or with `raw`
        `probabilities` `[batch, height, width, num_classes]`.
    """
    if raw:
        return {"probabilities": tf.nn.softmax(tf.cast(outputs, tf.float32))}
    return {"mask": tf.argmax(outputs, axis=-1, output_type=tf.int32)}
