"""Trained networks: weights in a file, a run's directory or an export, ready to use.

    trained = open_trained("runs/digits")
    logits = trained.model(trained.prepare(image))

Every command opens weights here, so that one file is one network to all of them: with
the averages of training where there are any, its classes by their names, and its
images as it was trained with.
"""

from slimnets.checkpoints import open_weights
from slimnets.trained.filling import load_into
from slimnets.trained.opening import CLASSIFICATION, Trained, open_trained

__all__ = [
    "CLASSIFICATION",
    "Trained",
    "load_into",
    "open_trained",
    "open_weights",
]
