"""What decides a run of a task, without TensorFlow: the command line reads it."""

from __future__ import annotations

import dataclasses

from slimnets.training.config import TrainingConfig

FORMATS = ("npz", "tfrecord")
_NORMS = ("batch", "frozen", "sync", "group")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(TrainingConfig):
    """A training run of a detector; other attributes as of TrainingConfig.

    Attributes:
        finest_level, coarsest_level: the levels that are searched, 3 for C3.
        pyramid_depth: channels of the pyramid and the heads.
        head_convs: how many convolutions each head has before its last.
        norm: the backbone's: `batch`, `frozen`, `sync` or `group`.
        freeze_at: how many of the backbone's stages do not train.
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
    finest_level: int = 3
    coarsest_level: int = 5
    pyramid_depth: int = 64
    head_convs: int = 2
    norm: str = "batch"
    freeze_at: int = 0
    num_eval_images: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_backbone(self.norm, self.freeze_at)
        _check_least(
            self,
            pyramid_depth=1,
            head_convs=0,
            max_train_objects=2,
            num_eval_images=1,
        )
        if not 1 <= self.finest_level <= self.coarsest_level:
            raise ValueError(
                f"finest_level={self.finest_level}, coarsest_level="
                f"{self.coarsest_level}; allowed is 1 <= finest <= coarsest."
            )

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(f"C{n}" for n in range(self.finest_level, self.coarsest_level + 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig(TrainingConfig):
    """A training run of a segmenter; other attributes as of TrainingConfig.

    Attributes:
        output_stride: of the backbone.
        pyramid_depth: channels of the atrous pyramid and the decoder.
        decoder_level: the level that the decoder sees, 2 for C2; 0 for no decoder.
        norm: the backbone's: `batch`, `frozen`, `sync` or `group`.
        freeze_at: how many of the backbone's stages do not train.
        max_train_objects: as of DetectionConfig.
        min_digit_side, max_digit_side: of the digits' 8x8 squares, in pixels.
        digit_sharpness: how steep the digits' edges are; see `data.composed`.
        num_eval_images: how many images of the test split are composed to measure.
    """

    train_image_size: int | None = 128
    max_train_objects: int = 12
    min_digit_side: int = 24
    max_digit_side: int = 64
    digit_sharpness: float = 1.0
    output_stride: int = 16
    pyramid_depth: int = 64
    decoder_level: int = 2
    norm: str = "batch"
    freeze_at: int = 0
    num_eval_images: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_backbone(self.norm, self.freeze_at)
        _check_least(
            self,
            pyramid_depth=1,
            decoder_level=0,
            max_train_objects=2,
            num_eval_images=1,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """What is written where. None is taken from the checkpoint's metadata.

    Attributes:
        input: see `data.image_files.find_images`.
        output: the directory of the shards.
        checkpoint_path: the weights; see `checkpoints.read_checkpoint`.
        model_name: a registered network.
        end_point: which activation; by any name that its end points answer to.
        format: `npz` or `tfrecord`.
        batch_size: images at a time.
        shard_size: images in a file.
        eval_image_size: height and width of the network's input; without metadata the
            network's default.
        preprocessing_name: see `data.get_preprocessing`; `plain` without metadata.
        max_bad_records: how many images that cannot be decoded are left out before
            the run stops.
    """

    input: str
    output: str
    checkpoint_path: str
    model_name: str | None = None
    end_point: str = "global_pool"
    format: str = "npz"
    batch_size: int = 32
    shard_size: int = 1024
    eval_image_size: int | None = None
    preprocessing_name: str | None = None
    max_bad_records: int = 0

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(
                f"format={self.format!r}; allowed are {', '.join(FORMATS)}."
            )
        _check_least(self, batch_size=1, shard_size=1, max_bad_records=0)


def _check_backbone(norm: str, freeze_at: int) -> None:
    if norm not in _NORMS:
        raise ValueError(f"norm={norm!r}; allowed are {', '.join(_NORMS)}.")
    if freeze_at < 0:
        raise ValueError(f"freeze_at={freeze_at} must be at least 0.")


def _check_least(config: object, **least: int) -> None:
    for name, value in least.items():
        if getattr(config, name) < value:
            raise ValueError(
                f"{name}={getattr(config, name)} must be at least {value}."
            )
