"""Datasets by name, and the tf.data pipelines that feed training and evaluation."""

import importlib
from typing import Any

# Imported when they are first asked for: `slimnets train --help` reads the defaults in
# data.config, and should not wait for TensorFlow.
_HOMES = {
    "AugmentationOptions": "config",
    "BadRecords": "bad_records",
    "Dataset": "datasets",
    "InputConfig": "config",
    "dataset_names": "datasets",
    "evaluation_batches": "pipeline",
    "get_dataset": "datasets",
    "get_preprocessing": "preprocessing",
    "make_records": "record_writer",
    "preprocessing_names": "preprocessing",
    "register_dataset": "datasets",
    "training_batches": "pipeline",
}
_MODULES = ("digits", "shapes")

__all__ = sorted([*_HOMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
