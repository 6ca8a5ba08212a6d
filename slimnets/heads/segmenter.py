"""DeepLab and U-Net on any backbone by name.

DeepLab is the backbone at output stride 16, atrous spatial pyramid pooling, perhaps a
decoder that sees finer levels; U-Net the whole backbone, and a decoder that sees all of
its levels, one after the other. Both end in bilinear upsampling to the input's size.

DeepLab's layers have the names and the form of research/deeplab, so that its
checkpoints load whole:

    slimnets.Model(segmenter, num_classes=21, backbone="xception_65", pyramid_depth=256,
                   separable=True)

Source: [1] Chen et al., DeepLabv3, arXiv:1706.05587; [2] Chen et al., DeepLabv3+,
arXiv:1802.02611 (the decoder); [3] Ronneberger et al., U-Net, arXiv:1505.04597;
research/deeplab/model.py (Apache 2.0).
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
    atrous_rates: Sequence[int] | None = None,
    separable: bool = False,
    top: str | None = None,
    **backbone_options: Any,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a segmenter.

    Args:
        images: `[batch, height, width, channels]`.
        num_classes: number of classes, with the background.
        is_training: as of the backbone.
        backbone: a registered network that reaches the output stride.
        head: `deeplab` or `unet`.
        output_stride: of the backbone; None for 16, of `unet` for where it ends.
        pyramid_depth: channels of the atrous pyramid and the decoder; of `unet` those
            at its coarsest level, half as many at each finer one.
        decoder_levels: the levels, or end points, that the decoder sees [2], one after
            the other, coarsest first; none for no decoder; None for C2, of `unet` for
            all.
        atrous_rates: of the pyramid's 3x3 convolutions, none for none; None for 6, 12
            and 18 at output stride 16, and twice these at 8 [1].
        separable: whether DeepLab's 3x3 convolutions are depthwise separable [2].
        top: the end point that the pyramid, or U-Net's decoder, begins with; None for
            the level at the output stride, normalized and activated.
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
    stride = output_stride or _STRIDE
    if not is_unet:
        output_stride = stride
    level, finer = _levels(backbone, output_stride)
    if decoder_levels is None:
        decoder_levels = finer if is_unet else _DECODER
    levels = [name for name in decoder_levels if "/" not in name]
    features.feature_info(backbone, output_stride, levels=levels)
    end_points = build_backbone(
        backbone, images, is_training, output_stride=output_stride, **backbone_options
    )
    level = top or level
    net = features.features(end_points, level, normalized=top is None)[level]
    fine = features.features(end_points, decoder_levels)
    with (
        arg_scope(
            [layers.conv2d, layers.separable_conv2d], normalizer_fn=layers.batch_norm
        ),
        arg_scope([layers.batch_norm, layers.dropout], is_training=is_training),
        arg_scope([layers.batch_norm], decay=0.9, epsilon=1e-5, scale=True),
    ):
        if is_unet:
            net = _upsampled(net, fine, pyramid_depth)
        else:
            if atrous_rates is None:
                atrous_rates = [max(1, r * 16 // stride) for r in (6, 12, 18)]
            net = necks.atrous_pyramid(
                net,
                pyramid_depth,
                atrous_rates,
                separable=separable,
                keep_prob=0.9,
                scope=tf.compat.v1.get_variable_scope(),
            )
            net = _decoded(net, fine, pyramid_depth, separable)
        with tf.compat.v1.variable_scope("logits"):
            plain = {"activation_fn": None, "normalizer_fn": None}
            net = layers.conv2d(net, num_classes, 1, scope="semantic", **plain)
    logits = necks.resize(net, tf.shape(images)[1:3], align_corners=not is_unet)
    logits.set_shape([None, *images.shape[1:3], num_classes])
    return logits, end_points


# What of its variables is not the backbone's, and what is of its classes.
vars(segmenter).update(
    head_scopes=(
        *("aspp0", "aspp1", "aspp2", "aspp3", "image_pooling", "concat_projection"),
        *("decoder", "logits"),
    ),
    class_scopes=("logits",),
)


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
    net: tf.Tensor, finer: Mapping[str, tf.Tensor], depth: int, separable: bool
) -> tf.Tensor:
    """DeepLab's decoder [2]: two convolutions of what is known and a finer level."""
    for i, fine in enumerate(finer.values()):
        suffix = f"_{i}" if i else ""
        narrow = max(depth * 3 // 16, _LEAST_DEPTH)
        with tf.compat.v1.variable_scope("decoder"):
            scope = f"feature_projection0{suffix}"
            fine = layers.conv2d(fine, narrow, 1, scope=scope)
            net = necks.resize(net, tf.shape(fine)[1:3], align_corners=True)
            net = tf.concat([net, fine], axis=-1)
            conv = f"decoder_conv0{suffix}"
            if separable:
                net = necks.separable_conv(net, depth, scope=conv)
                net = necks.separable_conv(net, depth, scope=f"decoder_conv1{suffix}")
            else:
                with tf.compat.v1.variable_scope(conv):
                    net = layers.conv2d(net, depth, 3, scope=f"{conv}_1")
                    net = layers.conv2d(net, depth, 3, scope=f"{conv}_2")
    return net


def _upsampled(net: tf.Tensor, finer: Mapping[str, tf.Tensor], depth: int) -> tf.Tensor:
    """U-Net's decoder [3]: as many convolutions, of half the depth at each level."""
    for name, fine in finer.items():
        with tf.compat.v1.variable_scope(f"decoder/{name}"):
            net = necks.resize(net, tf.shape(fine)[1:3])
            net = tf.concat([net, fine], axis=-1)
            net = layers.conv2d(net, depth, 3, scope="conv1")
            net = layers.conv2d(net, depth, 3, scope="conv2")
        depth = max(depth // 2, _LEAST_DEPTH)
    return net


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
