"""Heads: what stands on a backbone, as networks like any other.

    model = slimnets.Model(detector, num_classes=20, backbone="resnet50")
    outputs = model(images)                      # {"classes": ..., "boxes": ...}
    model = slimnets.Model(segmenter, num_classes=21, backbone="mobilenet_v2")

A checkpoint of one names its task in its metadata, and beside the backbone's name the
arguments of its function, so that `open_trained` builds it again.
"""

from slimnets.heads.detector import detector, found_boxes
from slimnets.heads.rows import HEADS, Head, head_of
from slimnets.heads.segmenter import found_mask, segmenter

__all__ = [
    "HEADS",
    "Head",
    "detector",
    "found_boxes",
    "found_mask",
    "head_of",
    "segmenter",
]
