"""Why a network does not learn, or learns and tests badly: layer by layer.

    print(diagnose(model, [(images, labels), ...]))

Nothing of the model changes. What is looked at: values that are no numbers, the inputs,
batch norms' averages against what the batches have, the scale of activations, channels
that are always zero, and gradients beside the weights that they change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.inspection import symptoms
from slimnets.inspection.observe import unit_of
from slimnets.inspection.symptoms import Activation, Norm
from slimnets.layers import recomputing
from slimnets.listing import table
from slimnets.model import Model

_MEAN, _VARIANCE = "moving_mean", "moving_variance"


@dataclasses.dataclass(frozen=True, repr=False)
class Diagnosis:
    """What was found, likeliest cause first; `str()` of it is for people.

    Attributes:
        network: its name.
        findings: sentences; none for a network that is sound.
        activations, norms: in the order in which they are computed.
        steps: for each trainable variable the length of its gradient beside its own.
    """

    network: str
    findings: tuple[str, ...]
    activations: tuple[Activation, ...]
    norms: tuple[Norm, ...]
    steps: Mapping[str, float]

    def __bool__(self) -> bool:
        return bool(self.findings)

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.network}: {len(self.findings)} findings>"

    def __str__(self) -> str:
        return "\n".join(self.findings or [f"{self.network}: nothing found"])

    def table(self) -> str:
        """Every activation and norm, one line each."""
        activations = [("activation", "mean", "deviation", "dead", "saturated")]
        for row in self.activations:
            values = f"{row.mean:.2g}", f"{row.deviation:.2g}"
            activations.append(
                (row.name, *values, f"{row.dead:.0%}", f"{row.saturated:.0%}")
            )
        norms = [("batch norm", "shift", "factor", "")]
        for norm in self.norms:
            said = ["frozen"] * norm.frozen + ["never updated"] * norm.fresh
            values = f"{norm.shift:.2g}", f"{norm.factor:.2g}"
            norms.append((norm.name, *values, ", ".join(said)))
        tables = table(activations, activations[0][1:]), table(norms, norms[0][1:3])
        return "\n\n".join(tables)


def diagnose(
    model: Model, batches: Iterable[tuple[Any, Any]], *, loss: Any = None
) -> Diagnosis:
    """Looks for what keeps a network from learning, or from testing as it trains.

    Args:
        model: a network of class logits. Its variables are as before at the end.
        batches: pairs of inputs, as the network takes them, and labels `[batch]`; a
            few of 32 or more are enough.
        loss: a function of labels and logits that gives a loss for each example;
            None for the cross entropy of softmax.

    Raises:
        ValueError: without batches, for labels that are none of the network's logits,
            or a network without end points.
    """
    batches = [(inputs, _as_labels(labels)) for inputs, labels in batches]
    if not batches:
        raise ValueError("There are no batches to look at.")
    logits = [model(inputs).numpy() for inputs, _ in batches]
    if loss is None:
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits
        _check_labels(logits, batches)
    losses = [
        loss(labels, each) for (_, labels), each in zip(batches, logits, strict=True)
    ]
    inference = float(np.mean([tf.reduce_mean(each) for each in losses]))
    state = {n: v for n, v in model.variables_by_name.items() if not v.trainable}
    before = {name: variable.numpy() for name, variable in state.items()}
    try:
        run = _training_pass(model, loss)
        measured = [_measure(model, state, *run(*batch)) for batch in batches]
    finally:
        for name, variable in state.items():
            variable.assign(before[name])
    names = list(measured[0].values)
    training = float(np.mean([each.loss for each in measured]))
    activations = tuple(
        _activation(name, [each.values[name] for each in measured]) for name in names
    )
    norms = tuple(_norms(before, [each.state for each in measured]))
    steps = {
        name: float(np.mean([each.steps[name] for each in measured]))
        for name in measured[0].steps
    }
    weights = {n: v.numpy() for n, v in model.variables_by_name.items()}
    findings = [
        *symptoms.of_numbers(weights, activations),
        *symptoms.of_inputs([inputs for inputs, _ in batches]),
        *symptoms.of_frozen_norms(norms),
        *symptoms.of_units(activations),
        *symptoms.of_scale(activations),
        *symptoms.of_norms(norms, training, inference),
        *symptoms.of_steps(_behind_zeros(weights, steps)),
        *symptoms.of_outputs(logits),
    ]
    return Diagnosis(model.network_name, tuple(findings), activations, norms, steps)


@dataclasses.dataclass
class _Measured:
    """One batch's loss, activations, statistics and gradients."""

    loss: float
    values: dict[str, np.ndarray]
    state: dict[str, np.ndarray]
    steps: dict[str, float]


def _as_labels(labels: Any) -> tf.Tensor:
    labels = tf.convert_to_tensor(labels)
    return tf.cast(labels, tf.int64) if labels.dtype.is_integer else labels


def _check_labels(logits: list[np.ndarray], batches: list) -> None:
    for outputs, (_, labels) in zip(logits, batches, strict=True):
        classes, labels = outputs.shape[-1], labels.numpy()
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(
                f"Labels go from {labels.min()} to {labels.max()}, but the network "
                f"has {classes} logits, 0 to {classes - 1}: are labels_offset "
                "and num_classes right?"
            )


def _training_pass(model: Model, loss: Callable) -> Callable:
    """A function of inputs and labels that gives the loss, activations and gradients,
    and leaves the batch's statistics in the moving averages."""

    @tf.function(autograph=False)
    def run(inputs: Any, labels: tf.Tensor) -> tuple[tf.Tensor, dict, list[tf.Tensor]]:
        with recomputing.batch_statistics():
            logits, end_points = model.with_end_points(inputs, True)
        variables = model.trainable_variables
        mean = tf.reduce_mean(loss(labels, logits))
        gradients = tf.gradients(mean, variables)
        return (
            mean,
            dict(end_points),
            [
                tf.zeros_like(v) if g is None else tf.convert_to_tensor(g)
                for g, v in zip(gradients, variables, strict=True)
            ],
        )

    return run


def _measure(
    model: Model, state: dict, loss: tf.Tensor, values: dict, gradients: list
) -> _Measured:
    names = {id(v): name for name, v in model.variables_by_name.items()}
    steps = {
        names[id(v)]: float(tf.norm(g) / tf.maximum(tf.norm(v), 1e-12))
        for v, g in zip(model.trainable_variables, gradients, strict=True)
        if v.shape.rank > 1
    }
    kept = {n: v.numpy() for n, v in values.items() if v.dtype.is_floating}
    return _Measured(float(loss), kept, {n: v.numpy() for n, v in state.items()}, steps)


def _behind_zeros(weights: Mapping, steps: Mapping[str, float]) -> dict[str, float]:
    """Leaves out units whose last gamma is 0, as some begin: nothing reaches them."""
    closed = {
        unit_of(name)
        for name, value in weights.items()
        if name.endswith("/gamma") and not value.any()
    }
    closed.discard("")
    return {name: step for name, step in steps.items() if unit_of(name) not in closed}


def _activation(name: str, batches: list[np.ndarray]) -> Activation:
    values = np.concatenate([np.float64(b).reshape(-1, b.shape[-1]) for b in batches])
    finite = bool(np.isfinite(values).all())
    largest = values.max()
    return Activation(
        name,
        float(values.mean()),
        float(values.std()),
        float((values == 0).all(0).mean()),
        float((values == largest).mean()) if largest > 0 else 0.0,
        finite,
    )


def _norms(before: dict, batches: list[dict]) -> Iterable[Norm]:
    """Each batch norm; what training leaves as it is is frozen."""
    for name in before:
        scope, _, last = name.rpartition("/")
        variance = f"{scope}/{_VARIANCE}"
        if last != _MEAN or variance not in before:
            continue
        fresh = not before[name].any() and bool((before[variance] == 1).all())
        means = np.stack([batch[name] for batch in batches])
        variances = np.stack([batch[variance] for batch in batches])
        frozen = bool((means == before[name]).all())
        # Of all batches together.
        mean = means.mean(0)
        spread = variances.mean(0) + means.var(0) + 1e-12
        shift = np.abs(mean - before[name]) / np.sqrt(spread)
        factor = np.exp(np.abs(np.log(spread / (before[variance] + 1e-12))))
        yield Norm(
            scope, float(np.median(shift)), float(np.median(factor)), fresh, frozen
        )
