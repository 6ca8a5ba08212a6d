"""Datasets by name, and the tf.data pipelines that feed training and evaluation."""

from slimnets.lazy_names import lazily

# Imported when they are first asked for: `slimnets train --help` reads the defaults in
# data.input_config, and should not wait for TensorFlow.
_HOMES = {
    "AugmentationOptions": "input_config",
    "BadRecords": "bad_records",
    "Dataset": "datasets",
    "InputConfig": "input_config",
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
__getattr__ = lazily(__name__, _HOMES, _MODULES)
