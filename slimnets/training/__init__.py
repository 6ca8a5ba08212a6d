"""Trains and evaluates networks: losses, optimizers, schedules, the loop."""

import importlib
from typing import Any

# Imported when they are first asked for: `slimnets train --help` reads the defaults in
# training.config, and should not wait for TensorFlow.
_HOMES = {
    "Evaluation": "evaluation",
    "Evaluator": "evaluation",
    "TrainingConfig": "config",
    "TrainingInterrupted": "signals",
    "TrainingResult": "loop",
    "evaluate": "evaluation",
    "evaluate_checkpoint": "evaluation",
    "train": "loop",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
