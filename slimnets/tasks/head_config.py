"""What decides a run of a head on a backbone, without TensorFlow: the command line
reads it."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, ClassVar

from slimnets.data.input_config import COMPOSED, InputConfig
from slimnets.settings import AUGMENTATION, DATA, LOSS, REST, documented, setting
from slimnets.training.training_config import TrainingConfig

if TYPE_CHECKING:
    from slimnets.data import Dataset

# Settings of TrainingConfig that are of classification, or of what only its networks
# are exported to.
_OF_CLASSES = frozenset(
    {"loss", "label_smoothing", "auxiliary_loss_weight", "focal_gamma",
     "class_weights", "teacher", "teacher_weight", "teacher_temperature",
     "teacher_end_points", "teacher_end_points_weight", "quantize_delay",
     "float_layers", "gamma_l1"}
)  # fmt: skip
# What a head's input is decided by, of the settings that say so for classification,
# and which of these composed images have a use for too.
_OF_COMPOSED = frozenset({"dataset_name", "train_image_size"})
_OF_PHOTOS = frozenset(
    {"dataset_dir", "dataset_split_name", "preprocessing_name", "exif_orientation",
     "max_bad_records", "random_flip", "color_jitter"}
)  # fmt: skip
# What composed images alone are decided by.
_COMPOSING = frozenset(
    {"max_train_objects", "min_digit_side", "max_digit_side", "digit_sharpness",
     "num_eval_images"}
)  # fmt: skip
_INPUT = frozenset(field.name for field in dataclasses.fields(InputConfig))
# Of no use to heads in general.
_UNUSED = _OF_CLASSES | _INPUT - _OF_COMPOSED - _OF_PHOTOS
_EPOCHS = frozenset({"number_of_epochs", "warmup_epochs", "decay_epochs"})
_DETECTORS, _SEGMENTERS = ("retinanet", "ssd"), ("deeplab", "unet")
_MASK_LOSSES = ("softmax", "focal", "dice", "softmax,dice", "focal,dice")
COMPOSED_SIZE, PHOTO_SIZE = 128, 512
# A digit is higher than wide, and at most as large as the coarsest level's anchors.
DIGIT_ANCHORS = tuple(
    (side, side / ratio) for side in (2.0, 2.0**1.5) for ratio in (1.0, 1.7)
)
_OWN = "digits, for images of several digits that are composed as training goes; or {}."


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig(TrainingConfig):
    """A training run of a head on a backbone.

    Those in `unused` must stay as they are, and of the others those that have no effect
    on composed images, or on photos.
    """

    unused: ClassVar[frozenset[str]] = _UNUSED

    # fmt: off
    dataset_name: str = setting(COMPOSED, DATA, _OWN.format("your own"))
    dataset_dir: str | None = setting(None, DATA, "Where a dataset on disk lies; of "
        "coco a JSON file will do.")
    train_image_size: int | None = setting(None, DATA, "Height and width of the "
        "network's images; 128 by default for composed ones, else 512.", least=1)
    max_train_objects: int = setting(12, DATA, "Digits in a composed training image at "
        "most, of which it has half at least; more than test images have make training "
        "faster.", least=2)
    min_digit_side: int = setting(24, DATA, "Side of a composed image's digit's square "
        "at least, in pixels.")
    max_digit_side: int = setting(64, DATA, "Side of that square at most, in pixels.")
    digit_sharpness: float = setting(1.0, DATA, "How steep the digits' edges are; 1 is "
        "as enlarged.")
    num_eval_images: int = setting(200, DATA, "How many images of the test split are "
        "composed to measure.", least=1)
    min_scale_factor: float | None = setting(None, AUGMENTATION, "Least size of a "
        "photo in training, where 1 just fits; 0.5 by default.")
    max_scale_factor: float | None = setting(None, AUGMENTATION, "Largest size of a "
        "photo; 2 by default. What does not fit is cropped.")
    random_flip: bool | None = setting(None, AUGMENTATION, "Mirror half of the photos "
        "left to right, as by default.")
    # fmt: on

    def __post_init__(self) -> None:
        if self.dataset_name != COMPOSED:
            unused = dict.fromkeys(_COMPOSING, "photos, not composed images")
        else:
            names = _OF_PHOTOS | _EPOCHS | self._of_photos
            unused = dict.fromkeys(names, "images that are composed without end")
        unused |= dict.fromkeys(self.unused, f"{self.kind} and no classes of images")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in unused and value != field.default:
                raise ValueError(
                    f"{field.name}={value!r} is of no effect here: the run is on "
                    f"{unused[field.name]}."
                )
        super().__post_init__()
        if self.strategy == "parameter_server":
            raise ValueError(
                "strategy='parameter_server' is not for images that Python makes or "
                "reads: its workers run the input as a graph without Python. Use "
                "strategy=multi_worker."
            )
        low, high = self.scale_factors
        if not 0 < low <= high:
            raise ValueError(
                f"min_scale_factor={low}, max_scale_factor={high}; allowed is 0 < "
                "min <= max."
            )

    @property
    def kind(self) -> str:
        """What the run is on: `boxes` or `masks`."""
        raise NotImplementedError

    @property
    def _of_photos(self) -> frozenset[str]:
        """The settings of its own that have an effect on photos alone."""
        return frozenset({"min_scale_factor", "max_scale_factor"})

    @property
    def is_composed(self) -> bool:
        """Whether its images are composed as training goes."""
        return self.dataset_name == COMPOSED

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The dataset, opened when it is first asked for; of digits, what composed
        images are made of."""
        if self.is_composed:
            return super().dataset
        from slimnets.data.annotated import open_annotated

        dataset = open_annotated(
            self.dataset_name,
            self.kind,
            self.dataset_dir,
            getattr(self, "ignore_label", None),
        )
        return dataclasses.replace(dataset, exif_orientation=self.exif_orientation)

    @property
    def image_size(self) -> int:
        usual = COMPOSED_SIZE if self.is_composed else PHOTO_SIZE
        return self.train_image_size or usual

    @property
    def scale_factors(self) -> tuple[float, float]:
        """Between which a photo's size is drawn."""
        given = self.min_scale_factor, self.max_scale_factor
        low, high = (
            usual if value is None else value
            for value, usual in zip(given, (0.5, 2.0), strict=True)
        )
        return low, high


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionConfig(HeadConfig):
    """A training run of a detector. Levels beyond C5 are the pyramid's own."""

    # fmt: off
    dataset_name: str = setting(COMPOSED, DATA, _OWN.format("your own: coco (JSON), "
        "voc (XML), or records (TFRecords of the Object Detection API)"))
    head: str = setting("retinanet", REST, "retinanet, or ssd as on MobileNets.",
        choices=_DETECTORS)
    finest_level: int | None = setting(None, REST, "The finest level that is searched, "
        "3 for C3; 3 by default, of ssd 4.")
    coarsest_level: int | None = setting(None, REST, "The coarsest one; 7 by default, "
        "beyond the backbone's, of composed images 5, of ssd 9, as far as images have "
        "room for it.")
    pyramid_depth: int = setting(64, REST, "Channels of the pyramid, of levels beyond "
        "C5, and of the heads.", least=1)
    head_convs: int | None = setting(None, REST, "Convolutions of each head before its "
        "last; 2 by default, of ssd none.", least=0)
    anchor_scale: float | None = setting(None, REST, "Side of the smallest anchor of "
        "retinanet, in strides of its level; 4 by default, less for small objects. "
        "Composed images have anchors of their own.", above=0)
    # fmt: on

    def __post_init__(self) -> None:
        super().__post_init__()
        finest, coarsest = self._ends
        if not 1 <= finest <= coarsest:
            raise ValueError(
                f"finest_level={finest}, coarsest_level={coarsest}; allowed is 1 <= "
                "finest <= coarsest."
            )
        if self.anchor_scale is not None and self._is_ssd:
            raise ValueError(
                f"anchor_scale={self.anchor_scale} is of no effect with head=ssd, "
                "whose anchors are shares of the images."
            )

    @property
    def kind(self) -> str:
        return "boxes"

    @property
    def _of_photos(self) -> frozenset[str]:
        return super()._of_photos | {"anchor_scale"}

    @property
    def _is_ssd(self) -> bool:
        return self.head == "ssd"

    @property
    def _ends(self) -> tuple[int, int]:
        """The finest and the coarsest level."""
        usual = (3, 5 if self.is_composed else 7)
        if self._is_ssd:
            # The coarsest at which an image is more than one position wide, or C5.
            usual = (4, max(5, min(9, (self.image_size - 1).bit_length())))
        given = (self.finest_level, self.coarsest_level)
        finest, coarsest = (
            own if value is None else value
            for value, own in zip(given, usual, strict=True)
        )
        return finest, coarsest

    @property
    def levels(self) -> tuple[str, ...]:
        finest, coarsest = self._ends
        return tuple(f"C{n}" for n in range(finest, coarsest + 1))

    @property
    def head_options(self) -> dict[str, Any]:
        """The arguments of `heads.detector`."""
        from slimnets.heads.boxes import anchor_shapes, ssd_shapes

        shapes = DIGIT_ANCHORS
        if self._is_ssd:
            strides = [2 ** int(level[1:]) for level in self.levels]
            shapes = ssd_shapes(self.image_size, strides)
        elif not self.is_composed:
            shapes = anchor_shapes(self.anchor_scale or 4.0)
        convs = 0 if self._is_ssd else 2
        return {
            "head": self.head,
            "levels": self.levels,
            "pyramid_depth": self.pyramid_depth,
            "head_convs": convs if self.head_convs is None else self.head_convs,
            "anchors": shapes,
        }


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig(HeadConfig):
    """A training run of a segmenter."""

    unused: ClassVar[frozenset[str]] = _UNUSED - {"loss", "focal_gamma"}

    # fmt: off
    dataset_name: str = setting(COMPOSED, DATA, _OWN.format("your own: masks (folders "
        "of images and of PNG masks), voc, or records (TFRecords of DeepLab)"))
    head: str = setting("deeplab", REST, "deeplab, or unet, which sees all levels.",
        choices=_SEGMENTERS)
    output_stride: int | None = setting(None, REST, "Of the backbone; 16 by default, "
        "of unet what it ends at.")
    pyramid_depth: int | None = setting(None, REST, "Channels of the atrous pyramid "
        "and the decoder, 64 by default; of unet those at the coarsest level, 256 by "
        "default, and half as many at each finer one.", least=1)
    decoder_levels: str | None = setting(None, REST, "The levels that the decoder "
        "sees, coarsest first: 3,1 for C3 and C1; empty for no decoder. 2 by default, "
        "of unet all that the backbone has.")
    atrous_rates: str | None = setting(None, REST, "Rates of deeplab's 3x3 "
        "convolutions, 6,12,18 by default, twice these at output stride 8; for small "
        "images less, such as 2,4; empty for none.")
    separable: bool = setting(False, REST, "Depthwise separable convolutions in the "
        "head of deeplab, as it has them on Xception.")
    loss: str = setting("softmax", LOSS, "softmax or focal, of pixels, or dice, of "
        "each class as a whole; softmax,dice and focal,dice are their sums.")
    ignore_label: int = setting(255, DATA, "The number in masks that is no class.")
    # fmt: on

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = _numbers(self.decoder_levels)
        if levels is None or sorted(set(levels), reverse=True) != levels:
            raise ValueError(
                f"decoder_levels={self.decoder_levels!r} is not a list of falling "
                "numbers, such as 3,1 for C3 and C1."
            )
        rates = _numbers(self.atrous_rates)
        if rates is None or 0 in rates:
            raise ValueError(
                f"atrous_rates={self.atrous_rates!r} is not a list of numbers of at "
                "least 1, such as 6,12,18."
            )
        for name in ("atrous_rates", "separable"):
            value = getattr(self, name)
            if self.head == "unet" and value not in (None, False):
                raise ValueError(
                    f"{name}={value!r} is of no effect with head=unet, which has no "
                    "atrous pyramid."
                )

    @property
    def kind(self) -> str:
        return "masks"

    @property
    def _of_photos(self) -> frozenset[str]:
        return super()._of_photos | {"ignore_label"}

    @property
    def allowed_losses(self) -> tuple[str, ...]:
        return _MASK_LOSSES

    @property
    def levels(self) -> tuple[str, ...] | None:
        """What the decoder sees; None for what is usual."""
        if self.decoder_levels is None:
            return None
        return tuple(f"C{n}" for n in _numbers(self.decoder_levels) or ())

    @property
    def head_options(self) -> dict[str, Any]:
        """The arguments of `heads.segmenter`."""
        usual = 256 if self.head == "unet" else 64
        rates = tuple(_numbers(self.atrous_rates) or ())
        return {
            "head": self.head,
            "output_stride": self.output_stride,
            "pyramid_depth": self.pyramid_depth or usual,
            "decoder_levels": self.levels,
            "atrous_rates": None if self.atrous_rates is None else rates,
            "separable": self.separable,
        }


def _numbers(listed: str | None) -> list[int] | None:
    """The numbers of a list such as `3,1`, none of no list; None for what is none."""
    parts = list(filter(None, (listed or "").split(",")))
    return list(map(int, parts)) if all(map(str.isdecimal, parts)) else None
