"""What a dataset is, and the registry that finds one by its name."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images in memory, under the name that `--dataset_name` takes.

    Clouds of points stand in for images: their size is the number of points.

    Attributes:
        name: the registered name.
        image_shape: `(height, width, channels)` of one stored image, or
            `(points, dims)` of a cloud.
        value_range: the smallest and the largest value that a pixel may have.
        label_names: the name of every class, in label order.
        splits: the number of images in each split.
        default_preprocessing: a name from `preprocessing_names()`.
        loader: a function of a split's name; see `load`.
        test_split: the split that measures a trained network.
    """

    name: str
    image_shape: tuple[int, ...]
    value_range: tuple[float, float]
    label_names: tuple[str, ...]
    splits: Mapping[str, int]
    default_preprocessing: str
    loader: Callable[[str], tuple[np.ndarray, np.ndarray]]
    test_split: str = "test"

    @property
    def num_classes(self) -> int:
        return len(self.label_names)

    def input_shape(self, image_size: int) -> tuple[int, ...]:
        """The shape of one image, or cloud, of that size as the network gets it."""
        *sizes, channels = self.image_shape
        return (*[image_size] * len(sizes), channels)

    def check_split(self, split: str) -> None:
        """Raises ValueError when there is no split of that name."""
        if split not in self.splits:
            raise ValueError(
                f"Dataset {self.name!r} has no split {split!r}; "
                f"it has {', '.join(self.splits)}."
            )

    def load(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Reads a split: images `[number, height, width, channels]`, labels `[number]`.

        The order is fixed. Raises ValueError for an unknown split.
        """
        self.check_split(split)
        return self.loader(split)


_DATASETS: dict[str, Dataset] = {}


def register_dataset(dataset: Dataset) -> Dataset:
    """Adds `dataset` under its name; a name that is taken raises ValueError."""
    if dataset.name in _DATASETS:
        raise ValueError(f"A dataset named {dataset.name!r} is already registered.")
    _DATASETS[dataset.name] = dataset
    return dataset


def dataset_names() -> list[str]:
    """The names of all registered datasets, sorted."""
    return sorted(_DATASETS)


def get_dataset(name: str) -> Dataset:
    """The dataset called `name`; an unknown one raises ValueError with the nearest."""
    if name not in _DATASETS:
        near = difflib.get_close_matches(name, _DATASETS, n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(
            f"Unknown dataset {name!r}. {hint}Datasets: {', '.join(dataset_names())}."
        )
    return _DATASETS[name]
