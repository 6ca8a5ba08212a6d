"""What is measured: a network, and the work that it does."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from slimnets.files import EXPORT_ENDINGS, EXPORT_PRECISIONS

OWN, MATMUL = "slimnets", "matmul"
PEERS = ("keras", "tf_slim", "torch", "torch_compiled", "onnxruntime")
MODES = ("forward", "training")
# How slimnets runs inference: as a Model, or from a file of one of these formats.
DEFAULT_FORM, MODEL = "frozen_graph", "model"
FORMS = (*EXPORT_ENDINGS, MODEL)
# Heads that a network may be the backbone of; keys of `heads.HEADS`.
TASKS = ("detection", "segmentation")


@dataclasses.dataclass(frozen=True)
class Work:
    """The work of one comparison.

    Attributes:
        network: a registered name.
        batch_size: images at a time.
        image_size: height and width of the images; None for the network's own.
        precision: what it computes in; peers compute in float32 beside int8.
        mode: `forward`, inference; or `training`, a step of plain gradient descent.
        form: in which slimnets runs inference: a format of `slimnets export`, or
            `model`, a Model as it is.
        threads: how many threads each subject uses; None for its own choice.
        num_classes: of the network.
        jit: whether XLA compiles slimnets' own work, which is that of a Model then.
        task: of a head on the network, which does inference: of a detector up to the
            boxes and scores of all anchors; None for the network itself.
    """

    network: str
    batch_size: int = 1
    image_size: int | None = None
    precision: str = "float32"
    mode: str = "forward"
    form: str = DEFAULT_FORM
    threads: int | None = None
    num_classes: int = 1000
    jit: bool = False
    task: str | None = None

    def __post_init__(self):
        for name, allowed in (
            ("mode", MODES),
            ("form", FORMS),
            ("precision", EXPORT_PRECISIONS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name}={value!r}; allowed are {', '.join(allowed)}.")
        if self.precision == "int8" and not self.from_file:
            raise ValueError(
                "int8 is of inference from a file: mode='forward', form='onnx', "
                "'tflite' or 'openvino'."
            )
        if self.task is not None and self.task not in TASKS:
            raise ValueError(f"task={self.task!r}; allowed are {', '.join(TASKS)}.")
        if self.task and self.mode != "forward":
            raise ValueError(f"mode={self.mode!r} is not for task={self.task!r}.")
        if self.jit and self.from_file:
            raise ValueError("jit compiles a Model; with mode='forward', form='model'.")

    @property
    def from_file(self) -> bool:
        """Whether slimnets loads an exported network for it."""
        return self.mode == "forward" and self.form != MODEL

    @property
    def peer_precision(self) -> str:
        """What peers compute in, which have no int8."""
        return "float32" if self.precision == "int8" else self.precision

    def sized(self) -> Work:
        """Returns it with an image size. Raises ValueError if there is none."""
        # Not before: whoever only describes work needs no TensorFlow.
        from slimnets import factory

        size = self.image_size or factory.network_info(self.network).default_image_size
        if size is None:
            raise ValueError(f"{self.network} has no default image size; give one.")
        return dataclasses.replace(self, image_size=size)

    def __str__(self) -> str:
        form = f", {self.form}" if self.mode == "forward" else ""
        head = f"{self.task} on " if self.task else ""
        return (
            f"{head}{self.network}, {self.mode}, batch {self.batch_size}, "
            f"{self.image_size} pixels, {self.precision}{form}{', jit' * self.jit}"
        )

    @property
    def built(self) -> tuple[str | Callable, dict[str, Any]]:
        """What is built: a network, and the arguments that it is built with."""
        if self.task is None:
            return self.network, {}
        from slimnets.heads.rows import finished

        return finished(self.task, raw=True), {"backbone": self.network}


@dataclasses.dataclass(frozen=True)
class File:
    """An exported network that a subject loads instead of building it."""

    format: str
    precision: str
    path: str


def file_of(subject: str, work: Work, directory: str) -> File | None:
    """Returns what a subject of a comparison loads; None for one that builds.

    ONNX Runtime, as a peer, computes in float32, for which it has kernels.
    """
    if subject == OWN and work.from_file:
        chosen, precision = work.form, work.precision
    elif subject == "onnxruntime" and work.mode == "forward":
        chosen, precision = "onnx", "float32"
    else:
        return None
    path = os.path.join(directory, subject + EXPORT_ENDINGS[chosen])
    return File(chosen, precision, path)
