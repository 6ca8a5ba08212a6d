"""What decides a run of a task, without TensorFlow: the command line reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from slimnets.data.input_config import InputConfig
from slimnets.training.training_config import TrainingConfig

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompositionConfig(TrainingConfig):
    """A training run on composed images; other attributes as of TrainingConfig.

    Those in `UNUSED` must stay as they are.

    Attributes:
        max_train_objects: how many digits a training image has at most, of which half
            at least; more than test images have make training faster.
        min_digit_side, max_digit_side: of the digits' 8x8 squares, in pixels.
        digit_sharpness: how steep the digits' edges are; see `data.composed`.
        num_eval_images: how many images of the test split are composed to measure.
    """

    train_image_size: int | None = 128
    max_train_objects: int = 12
    min_digit_side: int = 24
    max_digit_side: int = 64
    digit_sharpness: float = 1.0
    num_eval_images: int = 200

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
        _check_least(self, max_train_objects=2, num_eval_images=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(CompositionConfig):
    """A training run of a detector; other attributes as of CompositionConfig.

    Attributes:
        finest_level, coarsest_level: the levels that are searched, 3 for C3.
        pyramid_depth: channels of the pyramid and the heads.
        head_convs: how many convolutions each head has before its last.
    """

    finest_level: int = 3
    coarsest_level: int = 5
    pyramid_depth: int = 64
    head_convs: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_least(self, pyramid_depth=1, head_convs=0)
        if not 1 <= self.finest_level <= self.coarsest_level:
            raise ValueError(
                f"finest_level={self.finest_level}, coarsest_level="
                f"{self.coarsest_level}; allowed is 1 <= finest <= coarsest."
            )

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(f"C{n}" for n in range(self.finest_level, self.coarsest_level + 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig(CompositionConfig):
    """A training run of a segmenter; other attributes as of CompositionConfig.

    Attributes:
        output_stride: of the backbone.
        pyramid_depth: channels of the atrous pyramid and the decoder.
        decoder_levels: the levels that the decoder sees, coarsest first: `3,1` for C3
            and C1; empty for no decoder.
    """

    output_stride: int = 16
    pyramid_depth: int = 64
    decoder_levels: str = "2"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_least(self, pyramid_depth=1)
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
        _check_least(self, batch_size=1, shard_size=1, max_bad_records=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionConfig(InferenceConfig):
    """What is predicted; other attributes as of InferenceConfig.

    Attributes:
        input: see `tasks.prediction.find_input`.
        checkpoint_path: the weights; see `checkpoints.read_checkpoint`.
        exported_path: instead of a checkpoint, a network that `slimnets export` wrote,
            in any format. It has its name and image size in itself.
        output: the file of the rows; None for standard output.
        format: `csv` or `jsonl`.
        top: how many classes a row has.
        batch_size: images at a time; None for 32, or what an export was fixed to.
    """

    input: str | Sequence[str]
    checkpoint_path: str | None = None
    exported_path: str | None = None
    output: str | None = None
    format: str = "csv"
    top: int = 1
    batch_size: int | None = None

    def __post_init__(self) -> None:
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
        _check_least(self, top=1, max_bad_records=0)
        if self.batch_size is not None:
            _check_least(self, batch_size=1)


def _check_least(config: object, **least: int) -> None:
    for name, value in least.items():
        if getattr(config, name) < value:
            raise ValueError(
                f"{name}={getattr(config, name)} must be at least {value}."
            )
