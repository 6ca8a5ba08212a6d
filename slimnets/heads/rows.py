"""The heads by the task that they are for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from slimnets.heads.detector import detector, found_boxes
from slimnets.heads.segmenter import found_mask, segmenter

DETECTION, SEGMENTATION = "detection", "segmentation"


@dataclasses.dataclass(frozen=True)
class Head:
    """A network of a task.

    Attributes:
        network: a function of images, `num_classes`, `is_training` and `backbone`.
        found: what it finds in images: a function of its outputs, the images' height
            and width, the arguments of the network and `raw`, that gives tensors by
            name.
    """

    network: Callable
    found: Callable[..., dict[str, tf.Tensor]]


HEADS: Mapping[str, Head] = {
    DETECTION: Head(detector, found_boxes),
    SEGMENTATION: Head(segmenter, found_mask),
}


def head_of(task: str) -> Head:
    """Returns the head for a task.

    Raises:
        ValueError: for an unknown one.
    """
    if task not in HEADS:
        raise ValueError(f"task={task!r}; allowed are {', '.join(HEADS)}.")
    return HEADS[task]


def finished(
    task: str, raw: bool = False, network: Callable | None = None, **how: Any
) -> Callable:
    """A network function that gives what the task's head finds, by names.

    It takes the arguments of the head's network, has its variables, and is what
    exports are made of.

    Args:
        task: of HEADS.
        raw: see `Head.found`.
        network: the head's network, or what stands for it, as one with rules does.
        **how: further arguments of `Head.found`.
    """
    head = head_of(task)
    network = network or head.network

    def network_and_found(
        images: tf.Tensor, is_training: Any = False, **options: Any
    ) -> Any:
        outputs, end_points = network(images, is_training=is_training, **options)
        height, width = images.shape[1:3]
        found = head.found(outputs, height, width, options, raw=raw, **how)
        return found, end_points

    return network_and_found
