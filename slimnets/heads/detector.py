"""RetinaNet and SSD on any backbone by name.

RetinaNet is a feature pyramid on the backbone's levels, and two heads that all levels
share; SSD the backbone's levels as they are, smaller and smaller ones after them, and
heads for each. Of both come anchors and class-wise non-maximum suppression.

Source: [1] Lin et al., RetinaNet, arXiv:1708.02002; [2] Liu et al., SSD,
arXiv:1512.02325.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import features, layers, necks
from slimnets.end_points import EndPoints
from slimnets.heads.backbones import build_backbone
from slimnets.heads.boxes import (
    Shapes,
    anchor_shapes,
    decode_boxes,
    make_anchors,
    shapes_by_level,
)
from slimnets.heads.suppression import suppressed
from slimnets.scopes import arg_scope

# Shapes of the anchors at a position, where nothing else is said.
RETINANET = anchor_shapes()
# The class head begins with this share of anchors being an object's ([1], 4.1).
PRIOR = 0.01
PRIOR_BIAS = -math.log((1 - PRIOR) / PRIOR)
LEVELS = ("C3", "C4", "C5")
RETINANET_HEAD, SSD_HEAD = "retinanet", "ssd"
DETECTOR_HEADS = (RETINANET_HEAD, SSD_HEAD)
# Levels beyond are not the backbone's, but the pyramid's own ([1], section 4).
_COARSEST = 5


def detector(
    images: tf.Tensor,
    num_classes: int,
    is_training: bool | tf.Tensor = False,
    *,
    backbone: str,
    head: str = RETINANET_HEAD,
    levels: Sequence[str] = LEVELS,
    pyramid_depth: int = 64,
    head_convs: int = 2,
    anchors: Shapes = RETINANET,
    **backbone_options: Any,
) -> tuple[dict[str, tf.Tensor], EndPoints]:
    """Builds a detector.

    Args:
        images: `[batch, height, width, channels]`.
        num_classes: number of classes.
        is_training: as of the backbone.
        backbone: a registered network with these levels.
        head: `retinanet` or `ssd`.
        levels: consecutive levels, finest first; those beyond C5 are the head's own.
        pyramid_depth: channels of the pyramid, of what is beyond C5, and of the heads.
        head_convs: how many convolutions each head has before its last.
        anchors: heights and widths of the anchors at a position, in strides; of all
            levels, or of each.
        **backbone_options: further arguments of the backbone.

    Returns:
        `classes`, logits `[batch, anchors, num_classes]`, and `boxes`, codes `[batch,
        anchors, 4]`, of the anchors in the order of `make_anchors`; and the
        backbone's end points with the pyramid's, P3 for example.

    Raises:
        ValueError, KeyError: for a network or level that is not there.
    """
    # Before anything is built, because a wrong level should be a short message.
    if head not in DETECTOR_HEADS:
        raise ValueError(f"head={head!r}; allowed are {', '.join(DETECTOR_HEADS)}.")
    own = [level for level in levels if _number(level) <= _COARSEST]
    features.feature_info(backbone, levels=own, normalized=True)
    end_points = build_backbone(backbone, images, is_training, **backbone_options)
    found = features.features(end_points, own, normalized=True)
    pyramid = _pyramid(head, found, pyramid_depth, _number(levels[-1]), is_training)
    end_points.update(pyramid)
    shapes = shapes_by_level(anchors, len(levels))
    outputs = {}
    for name, size in (("classes", num_classes), ("boxes", 4)):
        parts = []
        for (level, net), own_shapes in zip(pyramid.items(), shapes, strict=True):
            # All levels share RetinaNet's, and each has its own of SSD's.
            scope = f"{name}_head/{level}" if head == SSD_HEAD else f"{name}_head"
            bias = PRIOR_BIAS if name == "classes" else 0.0
            net = _before_last(net, scope, pyramid_depth, head_convs)
            parts.append(_last(net, scope, size, len(own_shapes), bias))
        outputs[name] = tf.concat(parts, axis=1)
    return outputs, end_points


# What of its variables is not the backbone's, and what is of its classes.
vars(detector).update(
    head_scopes=("neck", "classes_head", "boxes_head"),
    class_scopes=("classes_head(/P[0-9]+)?/output",),
)


def _number(level: str) -> int:
    return int(level[1:])


def _pyramid(
    head: str,
    found: Mapping[str, tf.Tensor],
    depth: int,
    coarsest: int,
    is_training: bool | tf.Tensor,
) -> dict[str, tf.Tensor]:
    """What the heads look at, by level."""
    if head == RETINANET_HEAD:
        return necks.feature_pyramid(found, depth, max_level=coarsest, scope="neck")
    with arg_scope([layers.batch_norm], is_training=is_training, decay=0.9, scale=True):
        return necks.smaller_levels(found, depth, coarsest, scope="neck")


def _before_last(net: tf.Tensor, scope: str, depth: int, convs: int) -> tf.Tensor:
    """The convolutions of a head before its last."""
    with (
        tf.compat.v1.variable_scope(scope, reuse=tf.compat.v1.AUTO_REUSE),
        arg_scope([layers.group_norm], groups=math.gcd(depth, 16)),
    ):
        for index in range(1, convs + 1):
            net = layers.conv2d(
                net, depth, 3, normalizer_fn=layers.group_norm, scope=f"conv{index}"
            )
    return net


def _last(
    net: tf.Tensor, scope: str, size: int, per_position: int, bias: float
) -> tf.Tensor:
    """What a head gives on one level: `[batch, positions * per_position, size]`."""
    height, width = net.shape[1:3]
    with tf.compat.v1.variable_scope(scope, reuse=tf.compat.v1.AUTO_REUSE):
        net = layers.conv2d(
            net,
            per_position * size,
            3,
            activation_fn=None,
            weights_initializer=tf.compat.v1.random_normal_initializer(stddev=0.01),
            biases_initializer=tf.compat.v1.constant_initializer(bias),
            scope="output",
        )
    if None in (height, width):
        return tf.reshape(net, [tf.shape(net)[0], -1, size])
    # The batch may be free, and the shape is a constant: not all formats have others.
    return tf.reshape(net, [-1, height * width * per_position, size])


def anchors_of(height: int, width: int, options: Mapping[str, Any]) -> tf.Tensor:
    """The anchors `[anchors, 4]` of a detector, in the order of its outputs.

    Args:
        height, width: of its images.
        options: the further arguments of `detector`.
    """
    strides = [2 ** _number(level) for level in options.get("levels", LEVELS)]
    shapes = options.get("anchors", RETINANET)
    return tf.constant(make_anchors(height, width, strides, shapes))


def found_boxes(
    outputs: Mapping[str, tf.Tensor],
    height: int,
    width: int,
    options: Mapping[str, Any],
    *,
    raw: bool = False,
    suppress: Callable[..., dict[str, tf.Tensor]] = suppressed,
) -> dict[str, tf.Tensor]:
    """What a detector finds.

    Args:
        outputs: what `detector` gave.
        height, width: of its images.
        options: the further arguments that it had.
        raw: whether nothing is suppressed.
        suppress: `suppressed`, or what gives the same.

    Returns:
        What `detections` does; or `boxes` `[batch, anchors, 4]` in pixels and `scores`
        `[batch, anchors, num_classes]` of every anchor, which suppression makes
        detections of.
    """
    boxes, scores = _boxes_and_scores(outputs, anchors_of(height, width, options))
    return {"boxes": boxes, "scores": scores} if raw else suppress(boxes, scores)


def detections(
    outputs: Mapping[str, tf.Tensor], anchors: tf.Tensor, **options: Any
) -> dict[str, tf.Tensor]:
    """Boxes after non-maximum suppression within each class.

    Args:
        outputs: what `detector` gave.
        anchors: `[anchors, 4]`.
        **options: as of `suppressed`, which tells what is returned.
    """
    return suppressed(*_boxes_and_scores(outputs, anchors), **options)


def _boxes_and_scores(
    outputs: Mapping[str, tf.Tensor], anchors: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Of every anchor: `[batch, anchors, 4]` and `[batch, anchors, classes]`."""
    boxes = decode_boxes(tf.cast(outputs["boxes"], tf.float32), anchors)
    return boxes, tf.sigmoid(tf.cast(outputs["classes"], tf.float32))
