"""What decides how weights change: the loss, the optimizer, its schedule."""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets.training.default_rates import IMAGES_PER_RATE, default_rate

PRECISIONS = ("float32", "bfloat16", "float16")
WEIGHT_DECAYS = ("l2", "decoupled")
DEFAULT_STEPS = 1000
# Optimizers whose papers decay the weights themselves.
_DECOUPLED = ("adamw", "lamb", "lion", "muon")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizationConfig:
    """How weights change, by values that JSON and a command line can hold.

    An option that the chosen optimizer or schedule does not have must stay None.

    Attributes:
        batch_size: images per step, over all replicas and all parts of a step.
        max_number_of_steps: when the run ends; 1000 by default.
        number_of_epochs: the same in epochs.
        loss: `softmax`, `sigmoid` for images of several classes, `focal`, or one that
            `register_loss` added.
        focal_gamma: of focal; 2 by default.
        class_weights: by what the loss of each class is multiplied: `balanced` for the
            inverse of its share of the images, or a file; see `training.class_weights`.
        label_smoothing: see `training.losses`.
        auxiliary_loss_weight: of the loss of the end point AuxLogits; None for none.
        optimizer: a name from `optimizers.OPTIMIZERS`, which says what the options
            after it belong to.
        learning_rate: the highest; by default what `default_rates` has.
        learning_rate_per_256: whether the learning rate is for 256 images per step,
            and grows with the batch (Goyal et al., arXiv:1706.02677).
        learning_rate_decay_type: a name from `schedules.DECAYS`, which says what the
            options after it belong to.
        decay_steps: of `steps`: after which steps the learning rate falls, as
            `32000,48000`.
        decay_epochs: the same in epochs.
        warmup_steps: steps in which the learning rate rises linearly.
        warmup_epochs: the same in epochs.
        layer_rate_decay: see `optimizers.layer_factors`; None for none.
        learning_rate_scales: see `optimizers.scope_factors`.
        gradient_clip_norm: the largest norm of all gradients together; None for any.
        accumulation_steps: in how many parts a step's batch is computed, one after
            the other.
        weight_decay: the factor of weight decay, of weights of convolution and dense
            layers only.
        weight_decay_type: `l2`, a loss of half the squared weights; or `decoupled`,
            which takes learning_rate * weight_decay of a weight from it. None is
            decoupled for adamw, lamb, lion and muon, else l2.
        moving_average_decay: of averages of all variables, which evaluation uses;
            None for none.
        batch_norm_decay: of batch norms' moving averages; None for the network's own.
            After n steps it is `min(batch_norm_decay, (1 + n) / (10 + n))`, so that
            the averages soon forget where they began.
        precision: see `Model`; float16 comes with dynamic scaling of the loss.
    """

    batch_size: int = 64
    max_number_of_steps: int | None = None
    number_of_epochs: float | None = None
    loss: str = "softmax"
    focal_gamma: float | None = None
    class_weights: str | None = None
    label_smoothing: float = 0.0
    auxiliary_loss_weight: float | None = None
    optimizer: str = "momentum"
    momentum: float | None = None
    adam_beta1: float | None = None
    adam_beta2: float | None = None
    rmsprop_decay: float | None = None
    opt_epsilon: float | None = None
    adadelta_rho: float | None = None
    adagrad_initial_accumulator_value: float | None = None
    ftrl_learning_rate_power: float | None = None
    ftrl_initial_accumulator_value: float | None = None
    ftrl_l1: float | None = None
    ftrl_l2: float | None = None
    lars_trust: float | None = None
    learning_rate: float | None = None
    learning_rate_per_256: bool = False
    learning_rate_decay_type: str = "cosine"
    end_learning_rate: float | None = None
    decay_power: float | None = None
    learning_rate_decay_factor: float | None = None
    number_of_decays: float | None = None
    decay_steps: str | None = None
    decay_epochs: str | None = None
    warmup_steps: int | None = None
    warmup_epochs: float | None = None
    layer_rate_decay: float | None = None
    learning_rate_scales: str | None = None
    gradient_clip_norm: float | None = None
    accumulation_steps: int = 1
    weight_decay: float = 1e-4
    weight_decay_type: str | None = None
    moving_average_decay: float | None = None
    batch_norm_decay: float | None = None
    precision: str = "float32"

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
        values = {
            option: self._option(option)
            for option in find_entry(name, getattr(self, name)).options
        }
        return {option: value for option, value in values.items() if value is not None}

    def check_optimization(self) -> None:
        """Raises ValueError for a value out of range or an option of no effect."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                bound = "" if most == _ANY else f" and at most {most}"
                raise ValueError(f"{name}={value} must be at least {least}{bound}.")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} must be in [0, 1)."
            )
        from slimnets.training.losses import LOSSES

        for name, allowed in {"loss": tuple(LOSSES), **_CHOICES}.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise ValueError(
                    f"{name}={value!r} is not one of {', '.join(allowed)}."
                )
        if self.focal_gamma is not None and self.loss != "focal":
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

    def _option(self, name: str) -> Any:
        return self.decay_boundaries if name == "boundaries" else getattr(self, name)

    def _check_options(self) -> None:
        """Raises ValueError for an option that only other choices have."""
        accepted: dict[str, list[str]] = {}
        for name, table in _tables().items():
            find_entry(name, getattr(self, name))
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


def find_entry(argument: str, choice: str) -> Any:
    """The entry of an optimizer or a schedule; an unknown one raises ValueError."""
    from slimnets.training.choices import find

    return find(argument, choice, _tables()[argument])


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


_ANY = float("inf")
_RANGES = {
    "batch_size": (1, _ANY),
    "max_number_of_steps": (1, _ANY),
    "number_of_epochs": (0, _ANY),
    "auxiliary_loss_weight": (0, _ANY),
    "focal_gamma": (0, _ANY),
    "end_learning_rate": (0, _ANY),
    "warmup_steps": (0, _ANY),
    "warmup_epochs": (0, _ANY),
    "layer_rate_decay": (0, 1),
    "gradient_clip_norm": (1e-12, _ANY),
    "accumulation_steps": (1, _ANY),
    "weight_decay": (0, _ANY),
    "moving_average_decay": (0, 1),
    "batch_norm_decay": (0, 1),
}
_CHOICES = {
    "weight_decay_type": WEIGHT_DECAYS,
    "precision": PRECISIONS,
}
SAME_IN_EPOCHS = (
    ("max_number_of_steps", "number_of_epochs"),
    ("warmup_steps", "warmup_epochs"),
    ("decay_steps", "decay_epochs"),
)
