"""Everything that decides a training run, and the check of it before it starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is made.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from slimnets.data.config import InputConfig
from slimnets.training.cluster import (
    CLUSTER_SETTINGS,
    check_asynchronous,
    check_cluster,
)
from slimnets.training.optimization import OptimizationConfig

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
    *CLUSTER_SETTINGS,
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
        workers: of `multi_worker`: `host:port,...` of all processes; of
            `parameter_server`: of those that compute, each with its own share of the
            images, by its index, so that they see all of them together. None to take
            the cluster from TF_CONFIG.
        task_index: which of the workers, or of the parameter servers, this process is.
        chief: of `parameter_server`: `host:port` of the process that has the workers
            take steps, evaluates and writes.
        parameter_servers: of `parameter_server`: `host:port,...` of the processes that
            keep the weights.
        task_type: of `parameter_server`: what this process is, `chief`, `worker` or
            `ps`.
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
    chief: str | None = None
    parameter_servers: str | None = None
    task_type: str | None = None
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
        check_cluster(self.strategy, **self.cluster_settings)
        self.check_optimization()
        self.check_input()
        if self.strategy == "parameter_server":
            check_asynchronous(self)
        self._check_needs()

    @property
    def cluster_settings(self) -> dict[str, Any]:
        """The settings that say which processes the run has."""
        return {name: getattr(self, name) for name in CLUSTER_SETTINGS}

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
