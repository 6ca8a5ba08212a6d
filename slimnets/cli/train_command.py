"""Trains a network, or goes on with the run that --train_dir holds.

The directory gets checkpoints (graph code restores them with tf.train.Saver),
TensorBoard summaries, and beside each checkpoint a JSON file from which
`slimnets evaluate` takes what it needs. Ctrl-C stops the run after a
checkpoint; the same command goes on from there.
"""

import dataclasses
import os
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli.common import (
    define_dataset,
    define_debug,
    require,
    start_tensorflow,
)
from slimnets.training.config import TrainingConfig

ARGUMENTS = ()
_REQUIRED = ("model_name", "train_dir")

# Flags of TrainingConfig's fields of the same name, which have the defaults.
FIELDS = (
    ("string", "model_name", "Name of the network; slimnets list names all."),
    ("string", "train_dir", "Directory of checkpoints and summaries."),
    ("integer", "train_image_size", "Height and width of the images in training; the "
     "network's default size by default."),
    ("integer", "batch_size", "Images per step, over all devices."),
    ("integer", "max_number_of_steps", "When training ends."),
    ("string", "optimizer", "sgd, momentum, adam or rmsprop."),
    ("float", "momentum", "Of momentum and rmsprop."),
    ("float", "adam_beta1", "Of adam."),
    ("float", "adam_beta2", "Of adam."),
    ("float", "rmsprop_decay", "Of rmsprop."),
    ("float", "opt_epsilon", "Of adam and rmsprop."),
    ("float", "learning_rate", "The highest learning rate."),
    ("string", "learning_rate_decay_type", "fixed, cosine, linear or exponential."),
    ("float", "learning_rate_decay_factor", "Of exponential: of each decay."),
    ("float", "number_of_decays", "Of exponential: over the run."),
    ("integer", "warmup_steps", "Steps in which the learning rate rises linearly."),
    ("float", "label_smoothing", "Share of a label spread over all classes."),
    ("float", "weight_decay", "Factor of the L2 loss of the layers' weights."),
    ("integer", "seed", "Of initial weights, data order and augmentation."),
    ("string", "strategy", "one device, or mirrored over all GPUs."),
    ("string", "precision", "float32, bfloat16 or float16."),
    ("integer", "save_interval_steps", "Steps between checkpoints."),
    ("integer", "log_every_n_steps", "Steps between summaries."),
    ("integer", "keep_checkpoints", "How many of the latest checkpoints stay."),
)  # fmt: skip
_DATASET_FIELDS = ("dataset_name", "preprocessing_name", "eval_image_size")


def define_flags(flag_values: flags.FlagValues) -> None:
    defaults = {
        field.name: field.default for field in dataclasses.fields(TrainingConfig)
    }
    for kind, name, text in FIELDS:
        define = getattr(flags, f"DEFINE_{kind}")
        default = None if name in _REQUIRED else defaults[name]
        define(name, default, text, flag_values=flag_values)
    define_dataset(flag_values, defaults["dataset_name"])
    flags.DEFINE_boolean(
        "deterministic",
        False,
        "Have TensorFlow use deterministic kernels only.",
        flag_values=flag_values,
    )
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    started = time.monotonic()
    require(flag_values, "train", *_REQUIRED)
    start_tensorflow(flag_values.debug)
    import tensorflow as tf

    from slimnets.training import train

    if flag_values.deterministic:
        tf.config.experimental.enable_op_determinism()
    names = [name for _, name, _ in FIELDS] + list(_DATASET_FIELDS)
    config = TrainingConfig(**{name: flag_values[name].value for name in names})
    result = train(config)
    print(
        f"{result.evaluation}, {time.monotonic() - started:.0f} s, "
        f"files in {os.path.abspath(config.train_dir)}"
    )
