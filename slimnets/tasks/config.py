"""What decides a run of a task, without TensorFlow: the command line reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from slimnets.data.input_config import InputConfig
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
from slimnets.training.training_config import (
    CHECKPOINT_PATH,
    TrainingConfig,
    WeightsOptions,
)

FORMATS = ("npz", "tfrecord")
ROW_FORMATS = ("csv", "jsonl")
# Settings of TrainingConfig that say which images are read and how, or that are of
# classification: a task on composed images has no use for them.
UNUSED = frozenset(
    {field.name for field in dataclasses.fields(InputConfig)} - {"train_image_size"}
    | {"loss", "label_smoothing", "auxiliary_loss_weight"}
    | {"focal_gamma", "class_weights"}
    | {"teacher", "teacher_weight", "teacher_temperature"}
    | {"number_of_epochs", "warmup_epochs", "decay_epochs"}
)


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class CompositionConfig(TrainingConfig):
    """A training run on composed images.

    Those in `UNUSED` must stay as they are.
    """

    # fmt: off
    train_image_size: int | None = setting(128, DATA, "Height and width of the images.",
        least=1)
    max_train_objects: int = setting(12, DATA, "Digits in a training image at most, of "
        "which it has half at least; more than test images have make training faster.",
        least=2)
    min_digit_side: int = setting(24, DATA, "Side of a digit's square at least, in "
        "pixels.")
    max_digit_side: int = setting(64, DATA, "Side of a digit's square at most, in "
        "pixels.")
    digit_sharpness: float = setting(1.0, DATA, "How steep the digits' edges are; 1 is "
        "as enlarged.")
    num_eval_images: int = setting(200, DATA, "How many images of the test split are "
        "composed to measure.", least=1)
    # fmt: on

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strategy == "parameter_server":
            raise ValueError(
                "strategy='parameter_server' is not for composed images, which Python "
                "makes: its workers run the input as a graph without Python. Use "
                "strategy=multi_worker."
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in UNUSED and value != field.default:
                raise ValueError(
                    f"{field.name}={value!r} is of no effect here: the images are "
                    "composed as training goes, without end."
                )


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(CompositionConfig):
    """A training run of a detector."""

    # fmt: off
    finest_level: int = setting(3, REST, "The finest level that is searched, "
        "3 for C3.")
    coarsest_level: int = setting(5, REST, "The coarsest one.")
    pyramid_depth: int = setting(64, REST, "Channels of the pyramid and the heads.",
        least=1)
    head_convs: int = setting(2, REST, "Convolutions of each head before its last.",
        least=0)
    # fmt: on

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.finest_level <= self.coarsest_level:
            raise ValueError(
                f"finest_level={self.finest_level}, coarsest_level="
                f"{self.coarsest_level}; allowed is 1 <= finest <= coarsest."
            )

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(f"C{n}" for n in range(self.finest_level, self.coarsest_level + 1))


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig(CompositionConfig):
    """A training run of a segmenter."""

    # fmt: off
    output_stride: int = setting(16, REST, "Of the backbone.")
    pyramid_depth: int = setting(64, REST, "Channels of the atrous pyramid and the "
        "decoder.", least=1)
    decoder_levels: str = setting("2", REST, "The levels that the decoder sees, "
        "coarsest first: 3,1 for C3 and C1; empty for no decoder.")
    # fmt: on

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = self.decoder_levels.split(",") if self.decoder_levels else []
        falling = all(part.isdecimal() for part in parts)
        if not falling or sorted(set(parts), key=int, reverse=True) != parts:
            raise ValueError(
                f"decoder_levels={self.decoder_levels!r} is not a list of falling "
                "numbers, such as 3,1 for C3 and C1."
            )

    @property
    def levels(self) -> tuple[str, ...]:
        """What the decoder sees."""
        return tuple(f"C{n}" for n in self.decoder_levels.split(",") if n)


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
class EmbeddingConfig(InferenceConfig):
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
class PredictionConfig(InferenceConfig):
    """What is predicted."""

    # fmt: off
    input: str | Sequence[str] = setting(REQUIRED, REST, "Images, a folder, a text "
        "file that lists images, TFRecords, patterns, separated by commas; - for one "
        "name a line of standard input.")
    exported_path: str | None = setting(None, REST, "Instead of a checkpoint, what "
        "`slimnets export` wrote in any format: a SavedModel's directory, or a file "
        "that ends in .pb, .onnx, .tflite, .xml, .mlir or .keras. It has its name and "
        "image size in itself.")
    output: str | None = setting(None, REST, "File of the rows; standard output by "
        "default.")
    format: str = setting("csv", REST, "How rows are written.", choices=ROW_FORMATS)
    top: int = setting(1, REST, "How many classes a row has.", least=1)
    batch_size: int | None = setting(None, RUN, "Images at a time; 32 by default, or "
        "as many as an exported network takes.", least=1)
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
