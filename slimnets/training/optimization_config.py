"""What decides how weights change: the loss, the optimizer, its schedule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from slimnets.settings import LOSS, OPTIMIZER, RATE, RUN, SPEED, documented, setting
from slimnets.training.default_rates import IMAGES_PER_RATE, default_rate

PRECISIONS = ("float32", "bfloat16", "float16")
WEIGHT_DECAYS = ("l2", "decoupled")
DEFAULT_STEPS = 1000
# What may be given in steps or in epochs.
SAME_IN_EPOCHS = (
    ("max_number_of_steps", "number_of_epochs"),
    ("warmup_steps", "warmup_epochs"),
    ("decay_steps", "decay_epochs"),
)
# Optimizers whose papers decay the weights themselves.
_DECOUPLED = ("adamw", "lamb", "lion", "muon")


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizationConfig:
    """How weights change, by values that JSON and a command line can hold.

    An option that the chosen optimizer or schedule does not have must stay None.
    """

    # fmt: off
    batch_size: int = setting(64, RUN, "Images per step, over all devices and all "
        "parts of a step.", least=1)
    max_number_of_steps: int | None = setting(None, RUN, "When training ends; 1000 by "
        "default.", least=1)
    number_of_epochs: float | None = setting(None, RUN, "When training ends, in "
        "epochs; instead of steps.", least=0)
    loss: str = setting("softmax", LOSS, "softmax, sigmoid for images of several "
        "classes, focal, or one that register_loss added.")
    focal_gamma: float | None = setting(None, LOSS, "How much less focal loss counts "
        "what is known already; 2 by default.", least=0)
    class_weights: str | None = setting(None, LOSS, "Factor of each class's loss: "
        "balanced, for the inverse of its share of the images, or a file of lines "
        "class,weight.")
    label_smoothing: float = setting(0.0, LOSS, "Share of a label spread over all "
        "classes.", least=0, below=1)
    auxiliary_loss_weight: float | None = setting(None, LOSS, "Weight of the loss of "
        "the end point AuxLogits; none by default.", least=0)
    weight_decay: float = setting(1e-4, LOSS, "Decay of the weights of convolution and "
        "dense layers.", least=0)
    weight_decay_type: str | None = setting(None, LOSS, "l2, a loss of half the "
        "squared weights; or decoupled, which takes the learning rate times the decay "
        "of a weight from it, the default of adamw, lamb, lion and muon.",
        choices=WEIGHT_DECAYS)
    optimizer: str = setting("momentum", OPTIMIZER, "sgd, momentum, nesterov, rmsprop, "
        "adam, adamw, adamax, nadam, adagrad, adadelta, adafactor, ftrl, lamb, lars, "
        "lion or muon.")
    momentum: float | None = setting(None, OPTIMIZER, "Share of the last update in the "
        "next, of momentum, nesterov, rmsprop, lars and muon; 0.9 by default, of muon "
        "0.95.")
    adam_beta1: float | None = setting(None, OPTIMIZER, "Decay of the gradients' "
        "average, of adam and its kin, lamb, lion and muon; 0.9 by default.")
    adam_beta2: float | None = setting(None, OPTIMIZER, "Decay of the squared "
        "gradients' average, of adam and its kin, lamb, lion and muon; 0.999 by "
        "default, of lion 0.99.")
    rmsprop_decay: float | None = setting(None, OPTIMIZER, "Decay of the squared "
        "gradients' average of rmsprop; 0.9 by default.")
    opt_epsilon: float | None = setting(None, OPTIMIZER, "What is added to a divisor, "
        "of all optimizers that divide by what may be small.")
    adadelta_rho: float | None = setting(None, OPTIMIZER, "Decay of the squared "
        "gradients' average of adadelta; 0.95 by default.")
    adagrad_initial_accumulator_value: float | None = setting(None, OPTIMIZER, "What "
        "adagrad's sums of squared gradients begin with; 0.1 by default.")
    ftrl_learning_rate_power: float | None = setting(None, OPTIMIZER, "Power of ftrl's "
        "accumulator that divides the learning rate; -0.5 by default.")
    ftrl_initial_accumulator_value: float | None = setting(None, OPTIMIZER, "What "
        "ftrl's accumulator begins with; 0.1 by default.")
    ftrl_l1: float | None = setting(None, OPTIMIZER, "Strength of ftrl's L1 "
        "regularization; 0.0 by default.")
    ftrl_l2: float | None = setting(None, OPTIMIZER, "Strength of ftrl's L2 "
        "regularization; 0.0 by default.")
    lars_trust: float | None = setting(None, OPTIMIZER, "The trust coefficient of "
        "lars; 0.001 by default.")
    gradient_clip_norm: float | None = setting(None, OPTIMIZER, "Largest norm of all "
        "gradients together.", least=1e-12)
    accumulation_steps: int = setting(1, OPTIMIZER, "Parts in which a step is "
        "computed, one after the other.", least=1)
    moving_average_decay: float | None = setting(None, OPTIMIZER, "Decay of averages "
        "of the weights, which are then evaluated; none by default.", least=0, most=1)
    batch_norm_decay: float | None = setting(None, OPTIMIZER, "Decay of batch norm's "
        "moving averages; the network's own by default. After n steps it is "
        "(1 + n) / (10 + n) at most, so that they soon forget where they began.",
        least=0, most=1)
    learning_rate: float | None = setting(None, RATE, "The highest learning rate; by "
        "default the optimizer's own for this batch size.", above=0)
    learning_rate_per_256: bool = setting(False, RATE, "The learning rate is for 256 "
        "images a step, and grows with the batch.")
    learning_rate_decay_type: str = setting("cosine", RATE, "fixed, constant, cosine, "
        "linear, polynomial, exponential or steps.")
    end_learning_rate: float | None = setting(None, RATE, "Learning rate at the end of "
        "cosine, linear and polynomial; 0 by default.", least=0)
    decay_power: float | None = setting(None, RATE, "Power of the polynomial schedule; "
        "2 by default.")
    learning_rate_decay_factor: float | None = setting(None, RATE, "Factor of the "
        "learning rate at each decay of exponential and steps; 0.1 by default.")
    number_of_decays: float | None = setting(None, RATE, "How often exponential decays "
        "over the run; 3 by default.")
    decay_steps: str | None = setting(None, RATE, "When the rate of the schedule steps "
        "falls, as 32000,48000.")
    decay_epochs: str | None = setting(None, RATE, "When the rate of the schedule "
        "steps falls, in epochs, as 30,60,80.")
    warmup_steps: int | None = setting(None, RATE, "Steps in which the learning rate "
        "rises linearly.", least=0)
    warmup_epochs: float | None = setting(None, RATE, "Epochs in which the learning "
        "rate rises linearly.", least=0)
    layer_rate_decay: float | None = setting(None, RATE, "Factor of the learning rate "
        "from block to block, from the last to the root.", least=0, most=1)
    learning_rate_scales: str | None = setting(None, RATE, "Factors of the learning "
        "rate by scope, as resnet_v2_50/logits=10,resnet_v2_50/conv1=0.")
    precision: str = setting("float32", SPEED, "What the network computes in; float16 "
        "comes with dynamic scaling of the loss.", choices=PRECISIONS)
    # fmt: on

    @property
    def steps_per_epoch(self) -> float:
        """Batches in the training split, with the share of one at its end."""
        return self.dataset.splits[self.train_split] / self.batch_size

    @property
    def number_of_steps(self) -> int:
        """When the run ends."""
        if self.number_of_epochs is not None:
            return max(1, round(self.number_of_epochs * self.steps_per_epoch))
        return self.max_number_of_steps or DEFAULT_STEPS

    @property
    def number_of_warmup_steps(self) -> int:
        if self.warmup_epochs is not None:
            return round(self.warmup_epochs * self.steps_per_epoch)
        return self.warmup_steps or 0

    @property
    def peak_learning_rate(self) -> float:
        """The highest learning rate of this batch size."""
        if self.learning_rate is None and not self.learning_rate_per_256:
            return default_rate(self.optimizer, self.batch_size)
        rate = self.learning_rate or default_rate(self.optimizer, IMAGES_PER_RATE)
        scale = self.batch_size / IMAGES_PER_RATE if self.learning_rate_per_256 else 1
        return rate * scale

    @property
    def decay_boundaries(self) -> list[float] | None:
        """The steps at which the learning rate falls, if they are given."""
        if self.decay_steps:
            return _numbers("decay_steps", self.decay_steps)
        if self.decay_epochs:
            per_epoch = self.steps_per_epoch
            epochs = _numbers("decay_epochs", self.decay_epochs)
            return [float(round(epoch * per_epoch)) for epoch in epochs]
        return None

    @property
    def decouples_weight_decay(self) -> bool:
        if self.weight_decay_type is None:
            return self.optimizer in _DECOUPLED
        return self.weight_decay_type == "decoupled"

    def options(self, name: str) -> dict[str, Any]:
        """The options that were set for `optimizer` or `learning_rate_decay_type`."""
        values = {option: self._option(option) for option in self._entry(name).options}
        return {option: value for option, value in values.items() if value is not None}

    @property
    def allowed_losses(self) -> Sequence[str]:
        """What `loss` may be."""
        from slimnets.training.losses import LOSSES

        return tuple(LOSSES)

    def check_optimization(self) -> None:
        """Raises ValueError for options that do not go together."""
        allowed = self.allowed_losses
        if self.loss not in allowed:
            raise ValueError(f"loss={self.loss!r} is not one of {'; '.join(allowed)}.")
        if self.focal_gamma is not None and "focal" not in self.loss.split(","):
            raise ValueError(
                f"focal_gamma={self.focal_gamma} is of no effect; it belongs to "
                "loss=focal."
            )
        if self.class_weights and self.loss == "sigmoid":
            raise ValueError(
                f"class_weights={self.class_weights!r} is not for loss=sigmoid, whose "
                "images have several classes each."
            )
        for pair in SAME_IN_EPOCHS:
            if all(getattr(self, name) is not None for name in pair):
                values = [f"{name}={getattr(self, name)}" for name in pair]
                raise ValueError(f"{' and '.join(values)}: give one of the two.")
        if self.batch_size % self.accumulation_steps:
            raise ValueError(
                f"batch_size={self.batch_size} is not a multiple of "
                f"accumulation_steps={self.accumulation_steps}."
            )
        self._check_options()

    def _entry(self, name: str) -> Any:
        """What is chosen of a table; an unknown choice raises ValueError."""
        from slimnets.training.choices import find

        return find(name, getattr(self, name), _tables()[name])

    def _option(self, name: str) -> Any:
        return self.decay_boundaries if name == "boundaries" else getattr(self, name)

    def _check_options(self) -> None:
        """Raises ValueError for an option that only other choices have."""
        accepted: dict[str, list[str]] = {}
        for name, table in _tables().items():
            self._entry(name)
            for choice, entry in table.items():
                for option in entry.options:
                    accepted.setdefault(option, []).append(f"{name}={choice}")
        chosen = {f"{name}={getattr(self, name)}" for name in _tables()}
        boundaries = accepted.pop("boundaries")
        for name in ("decay_steps", "decay_epochs"):
            accepted[name] = boundaries
        for option, choices in accepted.items():
            if getattr(self, option) is not None and not chosen & set(choices):
                raise ValueError(
                    f"{option} is of no effect here; it belongs to "
                    f"{' and '.join(choices)}."
                )
        if chosen & set(boundaries) and not self.decay_boundaries:
            raise ValueError(
                "learning_rate_decay_type=steps needs decay_steps or decay_epochs."
            )


def _tables() -> dict[str, Any]:
    """By the name of the setting that chooses from it."""
    from slimnets.training.optimizers import OPTIMIZERS
    from slimnets.training.schedules import DECAYS

    return {"optimizer": OPTIMIZERS, "learning_rate_decay_type": DECAYS}


def _numbers(name: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or sorted(set(numbers)) != numbers or numbers[0] <= 0:
        raise ValueError(
            f"{name}={text!r} is not a list of rising numbers above 0, such as "
            "30,60,80."
        )
    return numbers
