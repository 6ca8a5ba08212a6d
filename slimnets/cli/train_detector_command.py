"""Trains an object detector, or goes on with the run that --train_dir holds.

RetinaNet (a feature pyramid, anchors and focal loss) or SSD on any backbone, on photos
with boxes of your own, or on images of digits that are composed as training goes.
It needs pycocotools, which measures average precision. `slimnets evaluate`, `predict`
and `export` open its runs.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import train_command
from slimnets.tasks.head_config import DetectionConfig

FLAGS = train_command.flags_of(DetectionConfig)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    def make_task():
        from slimnets.tasks.detection import Detection

        return Detection()

    train_command.train(flag_values, "train-detector", DetectionConfig, make_task)
