"""Non-maximum suppression within each class."""

from __future__ import annotations

import tensorflow as tf

# In an image, as COCO counts them.
MOST_DETECTIONS = 100
# Intersection over union, beyond which the worse of two boxes is suppressed.
OVERLAP = 0.5
LEAST_SCORE = 0.02


def suppressed(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    *,
    max_detections: int = MOST_DETECTIONS,
    overlap: float = OVERLAP,
    least_score: float = LEAST_SCORE,
) -> dict[str, tf.Tensor]:
    """Boxes after non-maximum suppression within each class.

    Args:
        boxes: `[batch, anchors, 4]`.
        scores: `[batch, anchors, classes]`.
        max_detections: in an image.
        overlap: intersection over union, beyond which the worse of two is suppressed.
        least_score: of a detection.

    Returns:
        `boxes` `[batch, max_detections, 4]` in pixels, `scores` and `classes`
        `[batch, max_detections]`, best first, and `number` `[batch]`, of those that
        are detections.
    """
    found = tf.image.combined_non_max_suppression(
        tf.expand_dims(boxes, 2),
        scores,
        max_output_size_per_class=max_detections,
        max_total_size=max_detections,
        iou_threshold=overlap,
        score_threshold=least_score,
        clip_boxes=False,
    )
    return dict(zip(("boxes", "scores", "classes", "number"), found, strict=True))


def suppressed_in_one(boxes: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
    """The same as `suppressed` with its defaults, of one image, for TFLite.

    TFLite's own suppression knows no classes. Here these lie side by side, so far apart
    that no box of one overlaps one of another.

    Args:
        boxes: `[1, anchors, 4]`.
        scores: `[1, anchors, classes]`.
    """
    classes = scores.shape[-1]
    (corners,) = tf.unstack(boxes, num=1)
    span = tf.reduce_max(corners) - tf.reduce_min(corners) + 1.0
    beside = span * tf.range(classes, dtype=tf.float32)
    apart = corners[:, tf.newaxis] + beside[:, tf.newaxis]
    chosen, number = tf.raw_ops.NonMaxSuppressionV4(
        boxes=tf.reshape(apart, [-1, 4]),
        scores=tf.reshape(scores, [-1]),
        max_output_size=MOST_DETECTIONS,
        iou_threshold=OVERLAP,
        score_threshold=LEAST_SCORE,
        pad_to_max_output_size=True,
    )
    is_real = tf.cast(tf.range(MOST_DETECTIONS) < number, tf.float32)
    found = {
        "boxes": tf.gather(corners, chosen // classes) * is_real[:, tf.newaxis],
        "scores": tf.gather(tf.reshape(scores, [-1]), chosen) * is_real,
        "classes": tf.cast(chosen % classes, tf.float32) * is_real,
        "number": number,
    }
    return {name: value[tf.newaxis] for name, value in found.items()}
