"""Trains an object detector, or goes on with the run that --train_dir holds.

A feature pyramid, anchors and focal loss on any backbone; images of several digits
are composed as training goes. It needs pycocotools, which measures average precision.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import task_training
from slimnets.tasks.config import DetectionConfig

ARGUMENTS = ()
_FIELDS = (
    ("integer", "finest_level", "The finest level that is searched, 3 for C3."),
    ("integer", "coarsest_level", "The coarsest one."),
    ("integer", "pyramid_depth", "Channels of the pyramid and the heads."),
    ("integer", "head_convs", "Convolutions of each head before its last."),
)


def define_flags(flag_values: flags.FlagValues) -> None:
    task_training.define(flag_values, DetectionConfig, _FIELDS)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    def make_task():
        from slimnets.tasks.detection import Detection

        return Detection()

    task_training.run(
        flag_values, "train-detector", DetectionConfig, _FIELDS, make_task
    )
