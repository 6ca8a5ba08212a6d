"""Trains a semantic segmenter, or goes on with the run that --train_dir holds.

DeepLab's head on any backbone that reaches the output stride (DeepLab v3+), on photos
with masks of your own, or on images of several digits that are composed as training
goes. `slimnets evaluate`, `predict` and `export` open its runs.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import train_command
from slimnets.tasks.head_config import SegmentationConfig

FLAGS = train_command.flags_of(SegmentationConfig)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    def make_task():
        from slimnets.tasks.segmentation import Segmentation

        return Segmentation()

    train_command.train(flag_values, "train-segmenter", SegmentationConfig, make_task)
