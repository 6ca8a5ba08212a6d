"""What was measured of a network's layers, and what it is a symptom of.

Each `of_` function gives sentences, none for what is sound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

# Inputs beyond it are pixels as they are, or nearly one value.
_LARGEST_INPUT, _SMALLEST_DEVIATION = 20.0, 1e-2
# Deviations between an average mean and the batches', and the factor of variances.
_SHIFT, _FACTOR = 1.0, 4.0
# Losses by the batches' statistics and by the averages.
_PARTED_RATIO, _PARTED = 2.0, 0.5
_LARGEST, _SMALLEST = 1e4, 1e-5
_DEAD, _SATURATED = 0.6, 0.6
_LARGEST_STEP, _SMALLEST_STEP = 30.0, 1e-7  # The second, of the largest.


@dataclasses.dataclass(frozen=True)
class Activation:
    """What batches make of an end point, in training mode.

    Attributes:
        name: the end point's key.
        mean, deviation: of its values.
        dead: share of its channels that are 0 everywhere.
        saturated: share of its values that are the largest one.
        finite: whether all values are numbers.
    """

    name: str
    mean: float
    deviation: float
    dead: float
    saturated: float
    finite: bool


@dataclasses.dataclass(frozen=True)
class Norm:
    """A batch norm: its averages, and the batches' own statistics.

    Attributes:
        name: its scope.
        shift: how far the means lie apart, in deviations of the batches; the middle of
            the channels'.
        factor: by which the one variance is larger than the other, likewise.
        fresh: whether its averages are what they were made with.
        frozen: whether training uses them, and not the batch's statistics.
    """

    name: str
    shift: float
    factor: float
    fresh: bool
    frozen: bool

    @property
    def differs(self) -> bool:
        """Whether inference computes with other statistics than the data have."""
        return self.shift > _SHIFT or self.factor > _FACTOR


def of_numbers(weights: dict, activations: tuple[Activation, ...]) -> list[str]:
    for name, value in weights.items():
        if not np.isfinite(value).all():
            return [f"The variable {name} has values that are no numbers."]
    for row in activations:
        if not row.finite:
            return [
                f"Values are no numbers from {row.name} on, though all weights and "
                "what comes before are."
            ]
    return []


def of_inputs(inputs: list) -> list[str]:
    for value in tf.nest.flatten(inputs):
        value = np.asarray(value, np.float64)
        low, high = value.min(), value.max()
        if max(-low, high) > _LARGEST_INPUT:
            return [
                f"The inputs go from {low:.3g} to {high:.3g}: they are pixels as they "
                "are, and no preprocessing has brought them to a range around 0."
            ]
        if value.std() < _SMALLEST_DEVIATION:
            return [
                f"The inputs hardly vary, from {low:.3g} to {high:.3g}: they may have "
                "been divided by 255 twice."
            ]
    return []


def of_frozen_norms(norms: tuple[Norm, ...]) -> list[str]:
    frozen = [norm for norm in norms if norm.frozen and norm.fresh]
    if not frozen:
        return []
    return [
        f"{frozen[0].name}, and {len(frozen) - 1} other batch norms, are frozen with "
        "the averages that they were made with, mean 0 and variance 1: they normalize "
        "nothing. Load trained weights, or let them train."
    ]


def of_norms(norms: tuple[Norm, ...], training: float, inference: float) -> list[str]:
    """What the averages of batch norms do.

    Args:
        norms: all of them.
        training: the mean loss in training mode.
        inference: the same of the same examples by the averages.
    """
    free = [norm for norm in norms if not norm.frozen]
    wrong = [norm for norm in free if norm.fresh or norm.differs]
    # Many small differences, one after the other, may be as bad as a large one.
    if inference > _PARTED_RATIO * training + _PARTED:
        wrong = wrong or free
    fresh = [norm for norm in wrong if norm.fresh]
    if fresh:
        return [
            f"The averages of {fresh[0].name}, and of {len(fresh) - 1} other batch "
            "norms, are still what they were made with, mean 0 and variance 1: in "
            "graph code the operations in UPDATE_OPS have to run with each step."
        ]
    if wrong:
        norm = max(wrong, key=lambda each: each.shift + np.log(each.factor))
        return [
            f"Training and inference part at {wrong[0].name}, with a loss of "
            f"{training:.2g} and {inference:.2g} of the same images: the averages of "
            f"{len(wrong)} of {len(norms)} batch norms are not those of the data, most "
            f"of all at {norm.name} (means {norm.shift:.2g} deviations apart, "
            f"variances by a factor of {norm.factor:.2g}). A decay too near 1 for the "
            "number of steps leaves them behind (batch_norm_decay, "
            "recalibrate_batches); so do data that are prepared in another way."
        ]
    return []


def of_scale(activations: tuple[Activation, ...]) -> list[str]:
    for row in activations:
        if row.finite and row.deviation > _LARGEST:
            return [
                f"Activations explode: {row.name} is the first with a deviation of "
                f"{row.deviation:.2g}."
            ]
        if row.finite and row.deviation < _SMALLEST and row.dead < 1:
            return [
                f"Activations vanish: {row.name} is the first with a deviation of "
                f"{row.deviation:.2g}."
            ]
    return []


def of_units(activations: tuple[Activation, ...]) -> list[str]:
    for row in activations:
        if row.dead > _DEAD:
            return [
                f"{row.dead:.0%} of the channels of {row.name} are 0 for every image: "
                "dead units, as too large a step or a large negative bias leaves them."
            ]
        if row.saturated > _SATURATED:
            return [
                f"{row.saturated:.0%} of the values of {row.name} are its largest: the "
                "activation function is saturated."
            ]
    return []


def of_steps(steps: Mapping[str, float]) -> list[str]:
    least = _SMALLEST_STEP * max(steps.values(), default=0.0)
    without = [name for name, step in steps.items() if step <= least]
    if without:
        return [
            f"No gradient reaches {without[0]}, and {len(without) - 1} other trainable "
            f"variables of {len(steps)}."
        ]
    name = max(steps, key=steps.get, default=None)
    if name and steps[name] > _LARGEST_STEP:
        return [
            f"The gradient of {name} is {steps[name]:.2g} times as long as what it "
            "changes: the loss or the inputs are too large, or the weights too small."
        ]
    return []


def of_outputs(logits: list[np.ndarray]) -> list[str]:
    values = np.concatenate(logits)
    spread, size = values.std(0).max(), np.abs(values).max()
    if np.isfinite(size) and len(values) > 1 and spread < 1e-4 * size:
        return ["The logits are the same for all images, up to 1e-4 of their size."]
    return []
