"""Trains and evaluates networks: losses, optimizers, schedules, the loop."""

from slimnets.lazy_names import lazily

# Imported when they are first asked for: `slimnets train --help` reads the defaults in
# training.training_config, and should not wait for TensorFlow.
_HOMES = {
    "Evaluation": "evaluation",
    "Evaluator": "evaluation",
    "TrainingConfig": "training_config",
    "TrainingInterrupted": "signals",
    "TrainingResult": "loop",
    "evaluate": "evaluation",
    "register_loss": "losses",
    "register_metric": "measures",
    "evaluate_checkpoint": "evaluation",
    "train": "loop",
}

__all__ = sorted(_HOMES)
__getattr__ = lazily(__name__, _HOMES)
