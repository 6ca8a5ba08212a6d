"""The embedded handwritten digits: 1,797 images, 8x8, ten classes.

Source and licence stand in embedded/README.md, beside the one file that holds them.
"""

import functools
import importlib.resources

import numpy as np

from slimnets.data.datasets import Dataset, register_dataset


@functools.cache
def _arrays() -> dict[str, np.ndarray]:
    path = importlib.resources.files("slimnets.data") / "embedded" / "digits.npz"
    with path.open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


def _load_split(split: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = _arrays()
    chosen = arrays["is_test"] == (split == "test")
    return arrays["images"][chosen][..., np.newaxis], arrays["labels"][chosen]


DIGITS = register_dataset(
    Dataset(
        name="digits",
        image_shape=(8, 8, 1),
        value_range=(0, 16),
        label_names=tuple("0123456789"),
        splits={"train": 1437, "test": 360},
        default_preprocessing="shift",
        loader=_load_split,
    )
)


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `[number, 8, 8, 1]` from 0 to 16 and labels uint8 `[number]`.

    `split` is "train" (1,437 images) or "test" (360); it is fixed and stratified.
    Any other raises ValueError.
    """
    return DIGITS.load(split)
