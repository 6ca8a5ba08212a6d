"""What the tasks of heads on a backbone share: networks, images, measuring."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data import composed, get_preprocessing
from slimnets.data.annotated import Photo
from slimnets.data.annotated_batches import Jitter, annotated_batches
from slimnets.data.bad_records import BadRecords
from slimnets.data.composed import Composition
from slimnets.data.preprocessing import Preprocessing
from slimnets.heads import head_of
from slimnets.model import Model
from slimnets.tasks.finding import Finder, found_in, model_finder
from slimnets.tasks.head_config import HeadConfig
from slimnets.training.feeding import own_share
from slimnets.training.task import make_model

_COMPOSED_RECIPE = "plain"


class HeadTask:
    """A task of a head on a backbone; see `slimnets.training.task`.

    Attributes:
        name: of the task, a key of `heads.HEADS`.
        composed_names: the classes of composed images.
    """

    name: str
    composed_names: tuple[str, ...]

    def __init__(self) -> None:
        self._finder: tuple[Model, Finder] | None = None

    def make_network(self, config: HeadConfig) -> Model:
        if config.data_service:
            raise ValueError(
                f"data_service={config.data_service} is not for boxes and masks, which "
                "Python reads."
            )
        model = make_model(
            config,
            head_of(self.name).network,
            num_classes=len(self.label_names(config)),
            backbone=config.model_name,
            **config.head_options,
            **config.network_options,
        )
        size = config.image_size
        model.build([None, size, size, self.channels(config)])
        return model

    def label_names(self, config: HeadConfig) -> tuple[str, ...]:
        """The classes of a run's images."""
        if config.is_composed:
            return self.composed_names
        return config.dataset.label_names

    def channels(self, config: HeadConfig) -> int:
        """Of a run's images."""
        return 1 if config.is_composed else config.dataset.image_shape[-1]

    def batches(
        self,
        config: HeadConfig,
        first_step: int,
        input_context: tf.distribute.InputContext,
    ) -> tf.data.Dataset:
        if config.is_composed:
            whole = composed.batches(
                "train",
                batch_size=config.batch_size,
                seed=config.seed,
                first_step=first_step,
                composition=training_composition(config),
            )
        else:
            low, high = config.scale_factors
            whole = annotated_batches(
                config.dataset.source(config.train_split),
                config.kind,
                _recipe(config),
                image_size=config.image_size,
                batch_size=config.batch_size,
                seed=config.seed,
                first_step=first_step,
                jitter=Jitter(
                    low, high, config.random_flip is not False, config.color_jitter or 0
                ),
                channels=self.channels(config),
                exif_orientation=config.exif_orientation,
                bad_records=BadRecords(config.max_bad_records),
            )
        return own_share(whole, input_context, config.batch_size)

    def measured_photos(
        self, config: HeadConfig, model: Model
    ) -> Iterator[tuple[int, Photo, dict[str, np.ndarray]]]:
        """Yields the photos that measure a run; see `found_in`."""
        # Kept, so that evaluations while training trace the network once.
        if self._finder is None or self._finder[0] is not model:
            recipe = _recipe(config).letterboxed()
            finder = model_finder(
                model, self.name, config.head_options, recipe, config.image_size
            )
            self._finder = model, finder
        source: Any
        if config.is_composed:
            number, composition = config.num_eval_images, eval_composition(config)
            source = composed.ComposedPhotos("test", number, config.kind, composition)
        else:
            source = config.dataset.source(config.dataset.test_split)
        return found_in(
            source,
            self._finder[1],
            config.batch_size,
            self.channels(config),
            config.exif_orientation,
            config.max_bad_records,
        )

    def metadata(self, config: HeadConfig) -> dict[str, Any]:
        # The other norms are the same network to whoever does not train it.
        norm = {"norm": config.norm} if config.norm == "group" else {}
        known = {
            "task": self.name,
            "network_options": {**config.head_options, **norm},
            "num_classes": len(self.label_names(config)),
            "labels_offset": 0,
            "image_size": config.image_size,
            "input_channels": self.channels(config),
            "preprocessing_name": _recipe(config).letterboxed().name,
            "dataset_name": config.dataset_name,
            "label_names": list(self.label_names(config)),
        }
        if not config.is_composed and config.dataset.category_ids:
            known["category_ids"] = list(config.dataset.category_ids)
        if hasattr(config, "ignore_label"):
            known["ignore_label"] = config.ignore_label
        return known


def _recipe(config: HeadConfig) -> Preprocessing:
    name = _COMPOSED_RECIPE if config.is_composed else config.preprocessing
    return get_preprocessing(name)


def eval_composition(config: HeadConfig) -> Composition:
    """How the images are composed that measure."""
    return Composition(
        image_size=config.image_size,
        min_side=min(config.min_digit_side, config.image_size),
        max_side=min(config.max_digit_side, config.image_size),
        sharpness=config.digit_sharpness,
    )


def training_composition(config: HeadConfig) -> Composition:
    """The same with as many digits as the config says, and half as many at least."""
    return dataclasses.replace(
        eval_composition(config),
        min_objects=config.max_train_objects // 2,
        max_objects=config.max_train_objects,
    )
