"""What is measured: a network, and the work that it does."""

from __future__ import annotations

import dataclasses
import os

OWN, MATMUL = "slimnets", "matmul"
PEERS = ("keras", "tf_slim", "torch", "onnxruntime")
MODES = ("forward", "training")
FORMS = ("exported", "model")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class Work:
    """The work of one comparison.

    Attributes:
        network: a registered name.
        batch_size: images at a time.
        image_size: height and width of the images; None for the network's own.
        precision: what it computes in.
        mode: `forward`, inference; or `training`, a step of plain gradient descent.
        form: in which slimnets runs inference: `exported`, the folded graph that
            `slimnets export` writes, or `model`, a Model as it is.
        threads: how many threads each subject uses; None for its own choice.
        num_classes: of the network.
        jit: whether XLA compiles slimnets' own work, which is that of a Model then.
    """

    network: str
    batch_size: int = 1
    image_size: int | None = None
    precision: str = "float32"
    mode: str = "forward"
    form: str = "exported"
    threads: int | None = None
    num_classes: int = 1000
    jit: bool = False

    def __post_init__(self):
        for name, allowed in (
            ("mode", MODES),
            ("form", FORMS),
            ("precision", PRECISIONS),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name}={value!r}; allowed are {', '.join(allowed)}.")

        if self.jit and self.mode == "forward" and self.form == "exported":
            raise ValueError("jit compiles a Model; with mode='forward', form='model'.")

    def __str__(self) -> str:
        return (
            f"{self.network}, {self.mode}, batch {self.batch_size}, "
            f"{self.image_size} pixels, {self.precision}{', jit' * self.jit}"
        )


# What the subjects of a comparison load instead of building it.
EXPORTED = {"slimnets": "frozen_graph", "onnxruntime": "onnx"}
_ENDINGS = {"frozen_graph": ".pb", "onnx": ".onnx"}


def exported_path(directory: str, format_name: str) -> str:
    """Where the exported network of a comparison lies."""
    return os.path.join(directory, f"network{_ENDINGS[format_name]}")
