"""A network's temperature: by what its logits are divided to be probabilities.

It stands in the metadata beside the weights, as `temperature`. It moves no class before
another; what predicts divides by it.
"""

from __future__ import annotations

import os

from slimnets.checkpoints.base import add_metadata
from slimnets.trained import Trained
from slimnets.training.measures import Evaluation
from slimnets.training.scores import fit_temperature, softmax

TEMPERATURE = "temperature"


def store_temperature(trained: Trained, evaluation: Evaluation) -> str:
    """Fits the temperature to an evaluation that kept its logits, and stores it.

    Args:
        trained: the network, whose metadata get it.
        evaluation: of it.

    Returns:
        One line: the temperature, and the expected likelihood before and after.

    Raises:
        ValueError: for images of several classes.
    """
    if evaluation.labels.ndim == 2:
        raise ValueError(
            "fit_temperature is for images of one class each, whose probabilities sum "
            "to 1."
        )
    logits, labels = evaluation.logits, evaluation.labels
    value = fit_temperature(logits, labels)
    add_metadata(trained.path, **{TEMPERATURE: value})

    def confidence(divisor: float) -> float:
        return float(softmax(logits / divisor).max(axis=1).mean())

    return (
        f"temperature {value:.4f}, mean confidence {confidence(1.0):.4f} before and "
        f"{confidence(value):.4f} after, accuracy {evaluation.accuracy:.4f}, in "
        f"{os.path.abspath(trained.path)}.json"
    )
