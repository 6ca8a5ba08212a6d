"""Everything that decides a training run, and the check of it before it starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is made.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets.data.config import InputConfig
from slimnets.training.optimization import OptimizationConfig

STRATEGIES = ("one", "mirrored", "multi_worker", "tpu")

# A run may go on with other values of these; its weights do not depend on them.
_FREE = {
    "train_dir",
    "dataset_dir",
    "save_interval_steps",
    "log_every_n_steps",
    "keep_checkpoints",
    "eval_interval_steps",
    "keep_best",
    "max_recoveries",
    "recompute",
    "jit",
    "image_summaries",
    "histograms",
    "graph_summary",
    "workers",
    "task_index",
    "tpu",
}
# Strategies of TensorFlow that somebody may look for.
_LEFT_OUT = {
    "parameter_server": " Its workers change the weights in no fixed order, so that a "
    "run could neither be repeated nor go on exactly; use multi_worker.",
}
# What has an effect only where another setting is given.
_NEEDS = {
    "keep_best": "eval_interval_steps",
    "checkpoint_exclude_scopes": "checkpoint_path",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(InputConfig, OptimizationConfig):
    """A training run, by values that JSON and a command line can hold.

    Fields that default to None take the value of what they belong to: the network's
    image size, the dataset's preprocessing, the optimizer's momentum.

    Attributes:
        model_name: a registered network.
        train_dir: the directory of checkpoints and logs; a run that it holds is
            continued.
        checkpoint_path: where a run that begins takes its weights from; None for new
            ones.
        checkpoint_exclude_scopes: scopes, separated by commas, whose weights are new.
        trainable_scopes: the only scopes, separated by commas, whose variables the
            optimizer changes; batch norms update their averages everywhere.
        seed: of initial weights, data order, augmentation and dropout.
        strategy: where to train; see `strategies.make_strategy`.
        workers: of `multi_worker`: `host:port,...` of all processes; None to take the
            cluster from TF_CONFIG.
        task_index: which of the workers this process is.
        tpu: of `tpu`: its address; None for this machine's.
        recompute: whether the network's root and the units of its blocks keep only
            their inputs for the backward pass, and compute the rest again.
        jit: whether XLA compiles the gradients of a step; for one replica.
        recalibrate_batches: over how many training batches batch norm's statistics
            are taken anew at the end; 0 for none.
        save_interval_steps: steps between checkpoints.
        keep_checkpoints: how many of the latest checkpoints stay.
        eval_interval_steps: steps between evaluations; 0 for one at the end.
        keep_best: whether the checkpoint of the best evaluation stays, in the
            directory `best`.
        max_recoveries: how often a loss that is not finite sends the run back to its
            last checkpoint before it ends.
        log_every_n_steps: steps between summaries.
        image_summaries: how many images of a batch TensorBoard shows at each start,
            as the network sees them.
        histograms: whether TensorBoard shows the variables' values.
        graph_summary: whether TensorBoard shows the network's graph.
    """

    model_name: str
    train_dir: str
    checkpoint_path: str | None = None
    checkpoint_exclude_scopes: str | None = None
    trainable_scopes: str | None = None
    seed: int = 0
    strategy: str = "one"
    workers: str | None = None
    task_index: int | None = None
    tpu: str | None = None
    recompute: bool = False
    jit: bool = False
    recalibrate_batches: int = 0
    save_interval_steps: int = 200
    keep_checkpoints: int = 3
    eval_interval_steps: int = 0
    keep_best: bool = False
    max_recoveries: int = 2
    log_every_n_steps: int = 20
    image_summaries: int = 0
    histograms: bool = False
    graph_summary: bool = False

    def __post_init__(self) -> None:
        from slimnets import factory

        factory.network_info(self.model_name)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}={value} must be at least {least}.")
        check_cluster(self.strategy, self.workers, self.task_index, self.tpu)
        self.check_optimization()
        self.check_input()
        self._check_needs()

    def to_json(self) -> dict[str, Any]:
        fields = dataclasses.fields(self)
        return {field.name: getattr(self, field.name) for field in fields}

    def check_continues(self, other: dict[str, Any], where: str) -> None:
        """Raises ValueError unless this run can go on from that of `other`.

        Args:
            other: what `to_json` gave for the run that wrote a checkpoint.
            where: the checkpoint, for the message.
        """
        from slimnets.training.schedules import ENDLESS

        free = set(_FREE)
        if self.learning_rate_decay_type in ENDLESS:
            free |= {"max_number_of_steps", "number_of_epochs"}
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

    def _check_needs(self) -> None:
        for name, other in _NEEDS.items():
            if getattr(self, name) and not getattr(self, other):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is of no effect without {other}."
                )


def check_cluster(
    strategy: str,
    workers: str | None = None,
    task_index: int | None = None,
    tpu: str | None = None,
) -> None:
    """Raises ValueError unless the strategy is one, and the others go with it."""
    if strategy not in STRATEGIES:
        raise ValueError(
            f"strategy={strategy!r} is not one of {', '.join(STRATEGIES)}."
            + _LEFT_OUT.get(strategy, "")
        )
    for name, value, needed in (
        ("workers", workers, "multi_worker"),
        ("tpu", tpu, "tpu"),
    ):
        if value is not None and strategy != needed:
            raise ValueError(
                f"{name}={value!r} is of no effect without strategy={needed}."
            )
    if workers is None and task_index is not None:
        raise ValueError(f"task_index={task_index} is of no effect without workers.")
    count = len(workers.split(",")) if workers else 0
    if workers is not None and (task_index is None or not 0 <= task_index < count):
        raise ValueError(
            f"task_index={task_index}: with workers={workers!r} it says which of them "
            f"this process is, 0 to {count - 1}."
        )


_LEAST = {
    "seed": 0,
    "recalibrate_batches": 0,
    "save_interval_steps": 1,
    "keep_checkpoints": 1,
    "eval_interval_steps": 0,
    "max_recoveries": 0,
    "log_every_n_steps": 1,
    "image_summaries": 0,
}
