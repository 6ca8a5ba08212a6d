"""Everything that decides a training run, and the check of it before it starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is made.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slimnets.data import Dataset

STRATEGIES = ("one", "mirrored")

# A run may go on with other values of these; its numbers do not depend on them.
_FREE = {"train_dir", "save_interval_steps", "log_every_n_steps", "keep_checkpoints"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A training run, by values that JSON and a command line can hold.

    Fields that default to None take the value of what they belong to: the network's
    image size, the dataset's preprocessing, the optimizer's momentum. An option that
    the chosen optimizer or schedule does not have must stay None.

    Attributes:
        model_name: a registered network.
        train_dir: the directory of checkpoints and summaries; a run that it holds is
            continued.
        dataset_name: a registered dataset.
        batch_size: images per step, over all replicas.
        max_number_of_steps: when the run ends.
        train_image_size: height and width of the images in training.
        eval_image_size: the same in evaluation; train_image_size by default.
        preprocessing_name: a name from `data.preprocessing_names()`.
        optimizer: a name from `optimizers.OPTIMIZERS`.
        learning_rate: the highest.
        learning_rate_decay_type: a name from `optimizers.DECAYS`.
        warmup_steps: steps in which the learning rate rises linearly.
        label_smoothing: see `losses.softmax_cross_entropy`.
        weight_decay: the factor of the L2 loss of the layers' weights.
        seed: of initial weights, data order and augmentation.
        strategy: `one` device, or `mirrored` over all GPUs.
        precision: see `Model`.
        save_interval_steps: steps between checkpoints.
        log_every_n_steps: steps between summaries.
        keep_checkpoints: how many of the latest checkpoints stay.
    """

    model_name: str
    train_dir: str
    dataset_name: str = "digits"
    batch_size: int = 64
    max_number_of_steps: int = 1000
    train_image_size: int | None = None
    eval_image_size: int | None = None
    preprocessing_name: str | None = None
    optimizer: str = "momentum"
    momentum: float | None = None
    adam_beta1: float | None = None
    adam_beta2: float | None = None
    rmsprop_decay: float | None = None
    opt_epsilon: float | None = None
    learning_rate: float = 0.1
    learning_rate_decay_type: str = "cosine"
    learning_rate_decay_factor: float | None = None
    number_of_decays: float | None = None
    warmup_steps: int = 0
    label_smoothing: float = 0.0
    weight_decay: float = 1e-4
    seed: int = 0
    strategy: str = "one"
    precision: str = "float32"
    save_interval_steps: int = 200
    log_every_n_steps: int = 20
    keep_checkpoints: int = 3

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}={value} must be at least {least}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} must be in [0, 1)."
            )
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy={self.strategy!r} is not one of {', '.join(STRATEGIES)}."
            )
        from slimnets.data import get_preprocessing

        self._network_info()
        get_preprocessing(self.preprocessing)
        self._check_options()

    @property
    def dataset(self) -> Dataset:
        from slimnets.data import get_dataset

        return get_dataset(self.dataset_name)

    @property
    def preprocessing(self) -> str:
        return self.preprocessing_name or self.dataset.default_preprocessing

    @property
    def image_size(self) -> int:
        """Height and width of the images in training."""
        size = self.train_image_size or self._network_info().default_image_size
        if size is None:
            raise ValueError(
                f"{self.model_name} has no default image size; set train_image_size."
            )
        return size

    def options(self, name: str) -> dict[str, float]:
        """The options that were set for `optimizer` or `learning_rate_decay_type`."""
        from slimnets.training.optimizers import TABLES, find

        entry = find(name, getattr(self, name), TABLES[name])
        values = {option: getattr(self, option) for option in entry.options}
        return {option: value for option, value in values.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def check_continues(self, other: dict[str, Any], where: str) -> None:
        """Raises ValueError unless this run can go on from that of `other`.

        Args:
            other: what `to_json` gave for the run that wrote a checkpoint.
            where: the checkpoint, for the message.
        """
        free = set(_FREE)
        if self.learning_rate_decay_type == "fixed":
            free.add("max_number_of_steps")
        mine = self.to_json()
        different = [
            f"{name}={other[name]!r} there, {mine[name]!r} here"
            for name in mine
            if name in other and name not in free and other[name] != mine[name]
        ]
        if different:
            raise ValueError(
                f"{where} is of another run ({'; '.join(different)}): "
                "choose another train_dir, or the same settings to go on with it."
            )

    def _network_info(self) -> Any:
        from slimnets import factory

        return factory.network_info(self.model_name)

    def _check_options(self) -> None:
        from slimnets.training.optimizers import TABLES, find

        accepted: dict[str, list[str]] = {}
        for name, table in TABLES.items():
            find(name, getattr(self, name), table)
            for choice, entry in table.items():
                for option in entry.options:
                    accepted.setdefault(option, []).append(f"{name}={choice}")
        for option, choices in accepted.items():
            chosen = {f"{name}={getattr(self, name)}" for name in TABLES}
            if getattr(self, option) is not None and not chosen & set(choices):
                raise ValueError(
                    f"{option} is of no effect here; it belongs to "
                    f"{' and '.join(choices)}."
                )


_LEAST = {
    "batch_size": 1,
    "max_number_of_steps": 1,
    "train_image_size": 1,
    "eval_image_size": 1,
    "warmup_steps": 0,
    "weight_decay": 0,
    "save_interval_steps": 1,
    "log_every_n_steps": 1,
    "keep_checkpoints": 1,
    "seed": 0,
}
