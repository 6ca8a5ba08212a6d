"""A dataset of research/slim by its name."""

from __future__ import annotations

from typing import Any

from slimnets import slim
from slimnets.slim.research.datasets import cifar10, flowers, imagenet, mnist

datasets_map = {
    "cifar10": cifar10,
    "flowers": flowers,
    "imagenet": imagenet,
    "mnist": mnist,
}


def get_dataset(
    name: str,
    split_name: str,
    dataset_dir: str,
    file_pattern: str | None = None,
    reader: Any = None,
) -> slim.dataset.Dataset:
    """The split of a dataset in a folder.

    Raises:
        ValueError: for a name that is none, or a split that it has not.
    """
    if name not in datasets_map:
        raise ValueError(f"Name of dataset unknown {name}")
    return datasets_map[name].get_split(split_name, dataset_dir, file_pattern, reader)
