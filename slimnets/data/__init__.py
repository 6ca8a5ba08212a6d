"""Datasets by name, and the tf.data pipelines that feed training and evaluation."""

from slimnets.data import digits, shapes
from slimnets.data.datasets import Dataset, dataset_names, get_dataset, register_dataset
from slimnets.data.pipeline import evaluation_batches, training_batches
from slimnets.data.preprocessing import get_preprocessing, preprocessing_names

__all__ = [
    "Dataset",
    "dataset_names",
    "digits",
    "evaluation_batches",
    "get_dataset",
    "get_preprocessing",
    "preprocessing_names",
    "register_dataset",
    "shapes",
    "training_batches",
]
