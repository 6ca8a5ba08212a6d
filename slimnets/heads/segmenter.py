"""DeepLab and U-Net on any backbone by name.

DeepLab is the backbone at output stride 16, atrous spatial pyramid pooling, perhaps a
decoder that sees finer levels; U-Net the whole backbone, and a decoder that sees all of
its levels, one after the other. Both end in bilinear upsampling to the input's size.

Source: [1] Chen et al., DeepLabv3, arXiv:1706.05587; [2] Chen et al., DeepLabv3+,
arXiv:1802.02611 (the decoder); [3] Ronneberger et al., U-Net, arXiv:1505.04597.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import features, layers, necks
from slimnets.end_points import EndPoints
from slimnets.heads.backbones import build_backbone
from slimnets.scopes import arg_scope

DEEPLAB_HEAD, UNET_HEAD = "deeplab", "unet"
SEGMENTER_HEADS = (DEEPLAB_HEAD, UNET_HEAD)
# Where nothing else is said.
_STRIDE, _DECODER = 16, ("C2",)
_LEAST_DEPTH = 8


def segmenter(
    images: tf.Tensor,
    num_classes: int,
    is_training: bool | tf.Tensor = False,
    *,
    backbone: str,
    head: str = DEEPLAB_HEAD,
    output_stride: int | None = None,
    pyramid_depth: int = 64,
    decoder_levels: Sequence[str] | None = None,
    **backbone_options: Any,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a segmenter.

    Args:
        images: `[batch, height, width, channels]`.
        num_classes: number of classes, with the background.
        is_training: as of the backbone.
        backbone: a registered network that reaches the output stride.
        head: `deeplab` or `unet`.
        output_stride: of the backbone; None for 16, of `unet` for where it ends. The
            atrous rates are 6, 12 and 18 for 16, and twice these for 8 [1].
        pyramid_depth: channels of the atrous pyramid and the decoder; of `unet` those
            at its coarsest level, half as many at each finer one.
        decoder_levels: the levels that the decoder sees [2], one after the other,
            coarsest first; none for no decoder; None for C2, of `unet` for all.
        **backbone_options: further arguments of the backbone.

    Returns:
        Logits `[batch, height, width, num_classes]`, and the backbone's end points.

    Raises:
        ValueError, KeyError: for a network, an output stride or a level that is not
            there.
    """
    if head not in SEGMENTER_HEADS:
        raise ValueError(f"head={head!r}; allowed are {', '.join(SEGMENTER_HEADS)}.")
    is_unet = head == UNET_HEAD
    atrous_stride = output_stride or _STRIDE
    if not is_unet:
        output_stride = atrous_stride
    level, finer = _levels(backbone, output_stride)
    if decoder_levels is None:
        decoder_levels = finer if is_unet else _DECODER
    features.feature_info(backbone, output_stride, levels=decoder_levels)
    end_points = build_backbone(
        backbone, images, is_training, output_stride=output_stride, **backbone_options
    )
    net = features.features(end_points, (level,), normalized=True)[level]
    with (
        tf.compat.v1.variable_scope("head"),
        arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm),
        arg_scope([layers.batch_norm], is_training=is_training, decay=0.9, scale=True),
    ):
        if not is_unet:
            rates = [max(1, rate * 16 // atrous_stride) for rate in (6, 12, 18)]
            net = necks.atrous_pyramid(net, pyramid_depth, rates)
        depth, narrow = pyramid_depth, max(pyramid_depth // 4, _LEAST_DEPTH)
        for name, fine in features.features(end_points, decoder_levels).items():
            scope = f"decoder_{name}"
            net = _decoded(net, fine, depth, None if is_unet else narrow, scope)
            depth = max(depth // 2, _LEAST_DEPTH) if is_unet else depth
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
segmenter.head_scopes = ("head",)
segmenter.class_scopes = ("head/logits",)


def _levels(backbone: str, output_stride: int | None) -> tuple[str, list[str]]:
    """The level that a backbone ends at, and those before it, coarsest first."""
    if output_stride is not None:
        level = f"C{output_stride.bit_length() - 1}"
        features.feature_info(backbone, output_stride, levels=level)
    known = {each.stride: each.level for each in features.feature_info(backbone)}
    strides = sorted(known, reverse=True)
    if output_stride is None:
        level = known[strides[0]]
    ends = output_stride or strides[0]
    return level, [known[stride] for stride in strides if stride < ends]


def _decoded(
    net: tf.Tensor, fine: tf.Tensor, depth: int, narrow: int | None, scope: str
) -> tf.Tensor:
    """What is known so far, and a finer level beside it [2, 3].

    Args:
        net: of the coarser levels.
        fine: the finer one.
        depth: channels of what is returned.
        narrow: to how many channels the finer level is brought first [2]; None for its
            own [3].
        scope: of the variables.
    """
    with tf.compat.v1.variable_scope(scope):
        if narrow is not None:
            fine = layers.conv2d(fine, narrow, 1, scope="fine")
        # It is float32, whatever the network computes in.
        net = tf.cast(tf.image.resize(net, tf.shape(fine)[1:3]), fine.dtype)
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
