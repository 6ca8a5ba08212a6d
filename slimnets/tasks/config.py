"""What decides how a trained network is used, without TensorFlow: the command line
reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from slimnets.settings import (
    DATA,
    FINE_TUNING,
    REQUIRED,
    REST,
    RUN,
    check,
    documented,
    setting,
)
from slimnets.sharding.options import EngineOptions, ManifestOptions
from slimnets.training.training_config import (
    CHECKPOINT_PATH,
    WeightsOptions,
)

FORMATS = ("npz", "tfrecord")
ROW_FORMATS = ("csv", "jsonl")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class InferenceConfig(WeightsOptions):
    """How a trained network sees images. None is taken from its metadata."""

    # fmt: off
    model_name: str | None = setting(None, RUN, "Name of the network; from the "
        "checkpoint's metadata by default.")
    eval_image_size: int | None = setting(None, DATA, "Height and width of the "
        "network's input; what it was trained with by default.", least=1)
    preprocessing_name: str | None = setting(None, DATA, "How images become the "
        "network's input; as in training by default.")
    exif_orientation: bool | None = setting(None, DATA, "Turn photos upright, as their "
        "EXIF says; as in training by default.")
    max_bad_records: int = setting(0, DATA, "How many images that cannot be decoded "
        "are left out before the command stops.", least=0)
    # fmt: on

    def __post_init__(self) -> None:
        check(self)


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingConfig(InferenceConfig, EngineOptions):
    """What is written where."""

    # fmt: off
    input: str = setting(REQUIRED, REST, "A folder of images, a text file that lists "
        "images, a TFRecord with image/encoded, or a pattern of TFRecords.")
    output: str = setting(REQUIRED, REST, "Directory of the shards.")
    checkpoint_path: str = setting(REQUIRED, FINE_TUNING, CHECKPOINT_PATH)
    end_point: str = setting("global_pool", REST, "The activation: global_pool, C4, "
        "block3, ...")
    format: str = setting("npz", REST, "How shards are written.", choices=FORMATS)
    batch_size: int = setting(32, RUN, "Images at a time.", least=1)
    shard_size: int = setting(1024, REST, "Images in a file.", least=1)
    # fmt: on


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionConfig(InferenceConfig, ManifestOptions):
    """What is predicted."""

    # fmt: off
    input: str | Sequence[str] = setting(REQUIRED, REST, "Images, a folder, a text "
        "file that lists images, TFRecords, patterns, separated by commas; - for one "
        "name a line of standard input.")
    exported_path: str | None = setting(None, REST, "Instead of a checkpoint, what "
        "`slimnets export` wrote in any format: a SavedModel's directory, or a file "
        "that ends in .pb, .onnx, .tflite, .xml, .mlir or .keras. It has its name and "
        "image size in itself.")
    output: str | None = setting(None, REST, "File of the rows, or of a detector's "
        "boxes; standard output by default.")
    overlays: str | None = setting(None, REST, "Directory for a picture of every image "
        "with what a detector or segmenter finds in it.")
    masks: str | None = setting(None, REST, "Directory for a segmenter's masks, PNG of "
        "the classes' numbers with a palette.")
    least_score: float = setting(0.05, REST, "Of a detector's boxes; pictures show "
        "those from 0.3 on.", least=0, most=1)
    window_size: int | None = setting(None, REST, "Look at photos in windows of "
        "so many of their own pixels, in which small objects are larger, one after the "
        "other; at the photo as a whole by default.", least=1)
    window_overlap: float | None = setting(None, REST, "Share of a window that its "
        "neighbour sees too, at least; 0.25 by default.", least=0, below=1,
        needs="window_size")
    format: str = setting("csv", REST, "How rows are written.", choices=ROW_FORMATS)
    top: int = setting(1, REST, "How many classes a row has.", least=1)
    batch_size: int | None = setting(None, RUN, "Images at a time; 32 by default, of "
        "a detector or segmenter 8, or as many as an exported network takes.", least=1)
    # fmt: on

    def __post_init__(self) -> None:
        if bool(self.checkpoint_path) == bool(self.exported_path):
            raise ValueError("Give one of checkpoint_path and exported_path.")
        for name in ("model_name", "eval_image_size", "averages", "rename", "exclude"):
            value = getattr(self, name)
            if self.exported_path and value not in (None, []):
                raise ValueError(
                    f"{name}={value!r} is of no effect with exported_path."
                )
        super().__post_init__()
