"""How fast a training step of a detector is beside torchvision's.

    PYTHONPATH=TORCHVISION python -m tests.benchmarks.detection_time [--image_size=256]
        [--batch_size=4] [--rounds=5] [--steps=2] [--precision=float32]

RetinaNet on resnet50 with 91 classes, a pyramid of 256 channels from P3 to P7, four
convolutions in each head and nine anchors at a position, and gradient descent with
momentum: slimnets' own training step against retinanet_resnet50_fpn, which torch
computes eagerly and with channels last; in float32, and in bfloat16 against torch's
autocast. slimnets' heads have group norms, which torchvision's have not. They take
turns, as in step_time; torchvision needs torch.
"""

import tempfile

import numpy as np

from tests.benchmarks import step_time

SIDES = ("slimnets", "torchvision")
CLASSES, OBJECTS = 91, 6


def make_step(side: str, precision: str, image_size: int, batch_size: int):
    """A function of a number of steps."""
    rng = np.random.default_rng(0)
    shape = [batch_size, image_size, image_size, 3]
    images = rng.uniform(size=shape).astype("f")
    corners = rng.uniform(0, 0.6, [batch_size, OBJECTS, 2])
    sides = rng.uniform(0.1, 0.4, [batch_size, OBJECTS, 2])
    boxes = image_size * np.concatenate([corners, corners + sides], -1).astype("f")
    labels = rng.integers(1, CLASSES, [batch_size, OBJECTS])
    make = _own_step if side == "slimnets" else _torch_step
    return make(precision, images, boxes, labels)


def _torch_step(precision, images, boxes, labels):
    import torch
    from torchvision.models.detection import retinanet_resnet50_fpn

    # Its transform resizes to these sides.
    size = images.shape[1]
    model = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, min_size=size,
        max_size=size,
    )  # fmt: skip
    model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    inputs = list(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    targets = [
        {"boxes": torch.from_numpy(own[:, [1, 0, 3, 2]]), "labels": torch.tensor(label)}
        for own, label in zip(boxes, labels, strict=True)
    ]

    def run(number: int) -> None:
        for _ in range(number):
            optimizer.zero_grad(set_to_none=True)
            bfloat16 = precision == "bfloat16"
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = sum(model(inputs, targets).values())
            loss.backward()
            optimizer.step()
            loss.item()

    return run


def _own_step(precision, images, boxes, labels):
    import tensorflow as tf

    from slimnets.heads.boxes import anchor_shapes
    from slimnets.tasks.detection import Detection
    from slimnets.tasks.head_config import DetectionConfig
    from slimnets.training.run import Run
    from slimnets.training.step import make_step_function

    class Config(DetectionConfig):
        """Composed images need no files, but have anchors of their own."""

        @property
        def head_options(self):
            return {**super().head_options, "anchors": anchor_shapes()}

    class Repeated(Detection):
        """The same images again and again."""

        def label_names(self, config):
            return tuple(map(str, range(CLASSES)))

        def channels(self, config):
            return 3

    with tempfile.TemporaryDirectory() as temporary:
        config = Config(
            model_name="resnet50", train_dir=temporary, coarsest_level=7,
            train_image_size=images.shape[1], pyramid_depth=256, head_convs=4,
            batch_size=len(images), optimizer="momentum", learning_rate=1e-4,
            precision=precision,
        )  # fmt: skip
    run = Run(config, Repeated(), tf.distribute.get_strategy())
    step = make_step_function(run.training)
    targets = {"boxes": boxes, "labels": labels.astype(np.int32)}
    iterator = iter(tf.data.Dataset.from_tensors((images, targets)).repeat())

    def take(number: int) -> None:
        float(step(iterator, tf.constant(number))["loss"])

    return take


if __name__ == "__main__":
    sizes = {"image_size": 256, "batch_size": 4, "rounds": 5, "steps": 2}
    step_time.main(__file__, make_step, SIDES, [SIDES], **sizes)
