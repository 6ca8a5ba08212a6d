"""Optimizers by name: Keras's, and LARS.

An entry says which options it has and their defaults; an option that the chosen entry
does not have is refused rather than ignored. Named as research/slim names them, where
it has them.
"""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from slimnets.training.choices import Entry, find
from slimnets.training.lars import Lars
from slimnets.training.schedules import Schedule

_BETAS = {"adam_beta1": 0.9, "adam_beta2": 0.999}
_ADAM = {**_BETAS, "opt_epsilon": 1e-8}
# Keras's names of the options.
_KERAS = {
    "momentum": "momentum",
    "adam_beta1": "beta_1",
    "adam_beta2": "beta_2",
    "opt_epsilon": "epsilon",
    "rmsprop_decay": "rho",
    "adadelta_rho": "rho",
    "adagrad_initial_accumulator_value": "initial_accumulator_value",
    "ftrl_initial_accumulator_value": "initial_accumulator_value",
    "ftrl_learning_rate_power": "learning_rate_power",
    "ftrl_l1": "l1_regularization_strength",
    "ftrl_l2": "l2_regularization_strength",
    "lars_trust": "trust",
}
_KERAS_IN_MUON = {"adam_beta1": "adam_beta_1", "adam_beta2": "adam_beta_2"}


def _keras(
    name: str,
    options: Mapping[str, float],
    names: Mapping[str, str] = _KERAS,
    **fixed: Any,
) -> Entry:
    def make(rate: Any, **values: float) -> keras.optimizers.Optimizer:
        arguments = {names.get(key, key): value for key, value in values.items()}
        optimizer = getattr(keras.optimizers, name)
        return optimizer(rate, name="optimizer", **arguments, **fixed)

    return Entry(make, options)


class _Adafactor(keras.optimizers.Adafactor):
    """Keras's, for variables whose names have slashes."""

    def add_variable(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        plain = re.sub("[/:]", "_", name or "")
        return super().add_variable(*args, name=plain or None, **kwargs)


class _Momentum(keras.optimizers.SGD):
    """Keras's with momentum, whose update is one operation in place."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.momentum == 0 or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=velocity.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


def _momentum(**fixed: Any) -> Entry:
    def make(rate: Any, momentum: float) -> keras.optimizers.Optimizer:
        return _Momentum(rate, momentum, name="optimizer", **fixed)

    return Entry(make, {"momentum": 0.9})


OPTIMIZERS = {
    "sgd": _keras("SGD", {}),
    "momentum": _momentum(),
    "nesterov": _momentum(nesterov=True),
    "rmsprop": _keras(
        "RMSprop", {"rmsprop_decay": 0.9, "momentum": 0.9, "opt_epsilon": 1.0}
    ),
    "adam": _keras("Adam", _ADAM),
    # AdamW is Adam with decoupled weight decay, which is added below.
    "adamw": _keras("Adam", _ADAM),
    "adamax": _keras("Adamax", _ADAM),
    "nadam": _keras("Nadam", _ADAM),
    "adagrad": _keras(
        "Adagrad", {"adagrad_initial_accumulator_value": 0.1, "opt_epsilon": 1e-7}
    ),
    "adadelta": _keras("Adadelta", {"adadelta_rho": 0.95, "opt_epsilon": 1e-8}),
    "adafactor": Entry(
        lambda rate: _Adafactor(rate, relative_step=False, name="optimizer")
    ),
    "ftrl": _keras(
        "Ftrl",
        {
            "ftrl_learning_rate_power": -0.5,
            "ftrl_initial_accumulator_value": 0.1,
            "ftrl_l1": 0.0,
            "ftrl_l2": 0.0,
        },
    ),
    "lamb": _keras("Lamb", {**_BETAS, "opt_epsilon": 1e-6}),
    "lion": _keras("Lion", {"adam_beta1": 0.9, "adam_beta2": 0.99}),
    "lars": Entry(
        lambda rate, momentum, lars_trust, opt_epsilon: Lars(
            rate, momentum, lars_trust, opt_epsilon, name="optimizer"
        ),
        {"momentum": 0.9, "lars_trust": 0.001, "opt_epsilon": 1e-9},
    ),
}
_muon = getattr(keras.optimizers, "Muon", None)
# Keras's of 3.10 to 3.12 takes no tf.Variables.
if _muon and "adam_weight_decay" in inspect.signature(_muon).parameters:
    OPTIMIZERS["muon"] = _keras(
        "Muon",
        {"momentum": 0.95, **_BETAS},
        _KERAS_IN_MUON,
        weight_decay=None,
        adam_weight_decay=None,
        # tf.Variables have no path, by which embeddings would be known.
        exclude_embeddings=False,
    )


def make_optimizer(
    name: str, learning_rate: Schedule | float, options: Mapping[str, float]
) -> keras.optimizers.Optimizer:
    """The optimizer called `name`; see `OPTIMIZERS` for its options.

    Raises:
        ValueError: for an unknown name or option.
        RuntimeError: if Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Training needs Keras on TensorFlow; the environment variable "
            f"KERAS_BACKEND chose {keras.backend.backend()}."
        )
    entry = find("optimizer", name, OPTIMIZERS)
    return entry.make(learning_rate, **{**entry.options, **options})


def change_updates(
    optimizer: keras.optimizers.Optimizer,
    factors: Sequence[float],
    weight_decays: Sequence[float],
) -> None:
    """Gives every variable its own learning rate, and decoupled weight decay.

    A variable first loses `rate * weight_decay` of itself (Loshchilov & Hutter,
    arXiv:1711.05101, with the learning rate as in every implementation), then gets the
    optimizer's update, with the learning rate times its factor.

    Args:
        optimizer: any of `OPTIMIZERS`.
        factors: of the learning rate, one for each variable that it is built of.
        weight_decays: the same for the decay, 0 for none.
    """
    if all(factor == 1 for factor in factors) and not any(weight_decays):
        return
    update = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = optimizer._get_variable_index(variable)
        rate = tf.cast(learning_rate, variable.dtype) * factors[index]
        if weight_decays[index]:
            variable.assign_sub(variable * (rate * weight_decays[index]))
        update(gradient, variable, rate)

    optimizer.update_step = update_step


def decays(name: str, shape: Sequence[int]) -> bool:
    """Whether weight decay is for a variable: weights of convolution and dense layers.

    Biases, norms' parameters and depthwise weights are left alone, as by the L2 loss.
    """
    return len(shape) > 1 and name.rpartition("/")[-1] == "weights"


def layer_factors(names: Sequence[str], decay: float) -> list[float]:
    """Factors of the learning rate that fall from the logits to the root.

    The root is layer 0, block k is layer k, and what comes after the last block is the
    layer above it, whose factor is 1; each layer below has `decay` times the factor of
    the one above (Clark et al., arXiv:2003.10555).

    Raises:
        ValueError: if the names have no blocks.
    """
    blocks = [re.search(r"(?:^|/)block(\d+)/", name) for name in names]
    inside = [index for index, block in enumerate(blocks) if block]
    if not inside:
        raise ValueError(
            "layer_rate_decay is of no effect: the network has no blocks that are "
            "called block1, block2 ..."
        )
    last = max(int(block[1]) for block in blocks if block)

    def layer(index: int) -> int:
        if blocks[index]:
            return int(blocks[index][1])
        return 0 if index < inside[0] else last + 1

    return [math.pow(decay, last + 1 - layer(index)) for index in range(len(names))]


def scope_factors(names: Sequence[str], scales: str) -> list[float]:
    """Factors of the learning rate by scope.

    Args:
        names: of the variables.
        scales: `scope=factor` separated by commas; the first that holds a variable
            counts, and any other variable has the factor 1.

    Raises:
        ValueError: if it cannot be read, or a scope holds no variable.
    """
    pairs = [_scale(text) for text in scales.split(",")]
    for scope, _ in pairs:
        if not any(in_scope(name, scope) for name in names):
            raise ValueError(
                f"learning_rate_scales: no trained variable is in the scope {scope!r}; "
                f"there is {', '.join(top_scopes(names))}."
            )
    return [
        next((factor for scope, factor in pairs if in_scope(name, scope)), 1.0)
        for name in names
    ]


def _scale(text: str) -> tuple[str, float]:
    scope, _, factor = text.partition("=")
    try:
        number = float(factor)
    except ValueError:
        number = -1.0
    if not scope.strip() or not number >= 0:
        raise ValueError(
            f"learning_rate_scales: {text!r} is not a scope and a factor of at least "
            "0, such as resnet_v2_50/logits=10."
        )
    return scope.strip(), number


def in_scope(name: str, scope: str) -> bool:
    """Whether a variable is, or is below, that scope."""
    return name == scope or name.startswith(scope.rstrip("/") + "/")


def top_scopes(names: Sequence[str]) -> list[str]:
    """The scopes of the first two parts of the names, for messages."""
    return list(dict.fromkeys("/".join(name.split("/")[:2]) for name in names))[:8]
