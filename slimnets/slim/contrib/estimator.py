"""What a model function reads of `tf.estimator`; TensorFlow 2.16 has no estimators."""

from __future__ import annotations

import collections


class ModeKeys:
    """The modes in which a model function is called."""

    TRAIN, EVAL, PREDICT = "train", "eval", "infer"


_FIELDS = (
    "mode", "predictions", "loss", "train_op", "eval_metric_ops", "export_outputs",
    "training_chief_hooks", "training_hooks", "scaffold", "evaluation_hooks",
    "prediction_hooks",
)  # fmt: skip

EstimatorSpec = collections.namedtuple(
    "EstimatorSpec", _FIELDS, defaults=[None] * (len(_FIELDS) - 1)
)
EstimatorSpec.__doc__ = "What a model function returns: its loss, train_op and others."
