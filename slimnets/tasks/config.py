"""What decides how a trained network is used, without TensorFlow: the command line
reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

FORMATS = ("npz", "tfrecord")
ROW_FORMATS = ("csv", "jsonl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How a trained network sees images. None is taken from its metadata.

    Attributes:
        model_name: a registered network.
        eval_image_size: height and width of the network's input; without metadata the
            network's default.
        preprocessing_name: see `data.get_preprocessing`; without metadata the network's
            own.
        exif_orientation: whether photos are turned upright, as EXIF says; None for as
            in training.
        max_bad_records: how many images that cannot be decoded are left out before
            the run stops.
        averages, exclude: see `trained.open_trained`.
        rename: texts PATTERN=REPLACEMENT, see the same.
    """

    model_name: str | None = None
    eval_image_size: int | None = None
    preprocessing_name: str | None = None
    exif_orientation: bool | None = None
    max_bad_records: int = 0
    averages: bool | None = None
    rename: Sequence[str] | None = None
    exclude: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingConfig(InferenceConfig):
    """What is written where; other attributes as of InferenceConfig.

    Attributes:
        input: see `data.image_files.find_images`.
        output: the directory of the shards.
        checkpoint_path: the weights; see `checkpoints.read_checkpoint`.
        end_point: which activation; by any name that its end points answer to.
        format: `npz` or `tfrecord`.
        batch_size: images at a time.
        shard_size: images in a file.
    """

    input: str
    output: str
    checkpoint_path: str
    end_point: str = "global_pool"
    format: str = "npz"
    batch_size: int = 32
    shard_size: int = 1024

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(
                f"format={self.format!r}; allowed are {', '.join(FORMATS)}."
            )
        check_least(self, batch_size=1, shard_size=1, max_bad_records=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionConfig(InferenceConfig):
    """What is predicted; other attributes as of InferenceConfig.

    Attributes:
        input: see `tasks.prediction.find_input`.
        checkpoint_path: the weights; see `checkpoints.read_checkpoint`.
        exported_path: instead of a checkpoint, a network that `slimnets export` wrote,
            in any format. It has its name and image size in itself.
        output: the file of the rows, or of a detector's boxes; None for standard
            output.
        format: `csv` or `jsonl`.
        top: how many classes a row has.
        batch_size: images at a time; None for 32, of a head 8, or what an export was
            fixed to.
        overlays: a directory for pictures of what a head finds; None for none.
        masks: a directory for a segmenter's masks; None for none.
        least_score: of a detector's boxes.
    """

    input: str | Sequence[str]
    checkpoint_path: str | None = None
    exported_path: str | None = None
    output: str | None = None
    format: str = "csv"
    top: int = 1
    batch_size: int | None = None
    overlays: str | None = None
    masks: str | None = None
    least_score: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.least_score <= 1:
            raise ValueError(f"least_score={self.least_score}; allowed is 0 to 1.")
        if self.format not in ROW_FORMATS:
            raise ValueError(
                f"format={self.format!r}; allowed are {', '.join(ROW_FORMATS)}."
            )
        if bool(self.checkpoint_path) == bool(self.exported_path):
            raise ValueError("Give one of checkpoint_path and exported_path.")
        for name in ("model_name", "eval_image_size", "averages", "rename", "exclude"):
            value = getattr(self, name)
            if self.exported_path and value not in (None, []):
                raise ValueError(
                    f"{name}={value!r} is of no effect with exported_path."
                )
        check_least(self, top=1, max_bad_records=0)
        if self.batch_size is not None:
            check_least(self, batch_size=1)


def check_least(config: object, **least: int) -> None:
    """Raises ValueError for an attribute that is below its least value."""
    for name, value in least.items():
        if getattr(config, name) < value:
            raise ValueError(
                f"{name}={getattr(config, name)} must be at least {value}."
            )
