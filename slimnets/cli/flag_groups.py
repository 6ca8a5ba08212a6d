"""Under which headings the many flags of a command stand in its help."""

from __future__ import annotations

from collections.abc import Iterable

# A command of fewer flags has no headings.
_FEW = 16
REST = "further flags"
_RUN = "run and network"
_FINE_TUNING = "fine-tuning"
_DATA = "data"
_AUGMENTATION = "augmentation"
_LOSS = "loss and regularization"
_OPTIMIZER = "optimizer"
_RATE = "learning rate"
_DISTRIBUTION = "distribution"
_SPEED = "precision, speed and memory"
_OUTPUT = "evaluation, checkpoints and logs"

GROUPS = {
    _RUN: (
        "task", "model_name", "train_dir", "batch_size", "max_number_of_steps",
        "number_of_epochs", "rules", "rule", "norm",
        "seed", "allow_changes", "deterministic",
    ),
    _FINE_TUNING: (
        "checkpoint_path", "checkpoint_exclude_scopes", "averages", "rename", "exclude",
        "freeze_at", "trainable_scopes", "update_frozen_statistics",
    ),
    _DATA: (
        "dataset_name", "dataset_dir", "dataset_split_name", "labels_offset",
        "train_image_size", "eval_image_size", "preprocessing_name",
        "eval_crop_fraction", "exif_orientation", "max_bad_records",
        "records_pattern", "image_feature", "label_feature", "balanced_sampling",
        "max_train_objects", "min_digit_side", "max_digit_side", "digit_sharpness",
        "num_eval_images", "ignore_label",
    ),
    _AUGMENTATION: (
        "random_crop_area", "random_crop_aspect", "random_flip", "pad_and_crop",
        "autoaugment", "randaugment_layers", "randaugment_magnitude",
        "randaugment_magnitude_stddev", "color_jitter", "random_erasing",
        "mixup_alpha", "cutmix_alpha", "repeated_augmentation", "min_scale_factor",
        "max_scale_factor",
    ),
    _LOSS: (
        "loss", "focal_gamma", "class_weights", "label_smoothing",
        "auxiliary_loss_weight", "teacher", "teacher_weight", "teacher_temperature",
        "weight_decay", "weight_decay_type",
    ),
    _OPTIMIZER: (
        "optimizer", "momentum", "adam_beta1", "adam_beta2", "rmsprop_decay",
        "opt_epsilon", "adadelta_rho", "adagrad_initial_accumulator_value",
        "ftrl_learning_rate_power", "ftrl_initial_accumulator_value", "ftrl_l1",
        "ftrl_l2", "lars_trust", "gradient_clip_norm", "accumulation_steps",
        "moving_average_decay", "batch_norm_decay", "recalibrate_batches",
    ),
    _RATE: (
        "learning_rate", "learning_rate_per_256", "learning_rate_decay_type",
        "end_learning_rate", "decay_power", "learning_rate_decay_factor",
        "number_of_decays", "decay_steps", "decay_epochs", "warmup_steps",
        "warmup_epochs", "layer_rate_decay", "learning_rate_scales",
    ),
    _DISTRIBUTION: (
        "strategy", "workers", "task_index", "chief", "parameter_servers", "task_type",
        "tpu",
    ),
    _SPEED: ("precision", "recompute", "jit"),
    _OUTPUT: (
        "save_interval_steps", "keep_checkpoints", "eval_interval_steps", "keep_best",
        "early_stop_patience", "early_stop_metric", "max_recoveries",
        "log_every_n_steps", "image_summaries", "histograms", "graph_summary",
        "debug",
    ),
}  # fmt: skip


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """The flags of a command by heading; all under `flags` if they are few.

    Those that no group names, a command's own, come last.
    """
    names = list(names)
    if len(names) < _FEW:
        return {"flags": names}
    groups = {
        heading: [name for name in members if name in names]
        for heading, members in GROUPS.items()
    }
    known = {name for members in GROUPS.values() for name in members}
    groups[REST] = [name for name in names if name not in known]
    return {heading: members for heading, members in groups.items() if members}
