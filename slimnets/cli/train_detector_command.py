"""Trains an object detector, or goes on with the run that --train_dir holds.

RetinaNet (a feature pyramid, anchors and focal loss) or SSD on any backbone, on photos
with boxes of your own, or on images of digits that are composed as training goes.
It needs pycocotools, which measures average precision. `slimnets evaluate`, `predict`
and `export` open its runs.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import task_training
from slimnets.tasks.head_config import DetectionConfig

ARGUMENTS = ()
_FIELDS = (
    ("string", "head", "retinanet, or ssd as on MobileNets."),
    ("integer", "finest_level", "The finest level that is searched, 3 for C3; 3 by "
     "default, of ssd 4."),
    ("integer", "coarsest_level", "The coarsest one; 7 by default, beyond the "
     "backbone's, of composed images 5, of ssd 9."),
    ("integer", "pyramid_depth", "Channels of the pyramid, of levels beyond C5, and of "
     "the heads."),
    ("integer", "head_convs", "Convolutions of each head before its last; 2 by "
     "default, of ssd none."),
    ("float", "anchor_scale", "Side of the smallest anchor of retinanet, in strides of "
     "its level; 4 by default, less for small objects."),
)  # fmt: skip


def define_flags(flag_values: flags.FlagValues) -> None:
    task_training.define(flag_values, DetectionConfig, _FIELDS, "boxes")


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    def make_task():
        from slimnets.tasks.detection import Detection

        return Detection()

    task_training.run(
        flag_values, "train-detector", DetectionConfig, _FIELDS, make_task
    )
