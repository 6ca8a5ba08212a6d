"""Everything that decides a training run, and the check of it before it starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is made.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

from slimnets.data.input_config import InputConfig
from slimnets.training.cluster import (
    CLUSTER_SETTINGS,
    check_asynchronous,
    check_cluster,
)
from slimnets.training.optimization_config import OptimizationConfig

# What has an effect only where another setting is given.
_NEEDS = {
    "keep_best": "eval_interval_steps",
    "early_stop_patience": "eval_interval_steps",
    "early_stop_metric": "early_stop_patience",
    "checkpoint_exclude_scopes": "checkpoint_path",
    "averages": "checkpoint_path",
    "rename": "checkpoint_path",
    "exclude": "checkpoint_path",
    "update_frozen_statistics": "trainable_scopes",
    "float_layers": "quantize_delay",
    "teacher_weight": "teacher",
    "teacher_temperature": "teacher",
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
        averages: whether averages are taken from there; None for the average where a
            variable has one.
        rename: texts PATTERN=REPLACEMENT, as of `load_weights`.
        exclude: patterns of names whose weights are new, as of `load_weights`.
        rules: a JSON file of rules by path, or what stands in it; see `layer_rules`.
        rule: texts PATTERN:KEYWORD=VALUE, rules that win over those.
        quantize_delay: trains for int8, by `rules.quantization_rules`, and rounds from
            this step on; None for a network of floats.
        float_layers: a regular expression of the scopes of layers that stay in float.
        gamma_l1: strength of an L1 loss of batch norms' gammas, which makes channels
            superfluous; see `export.slimming`.
        norm: the network's: `batch`, `frozen`, `sync` or `group`.
        freeze_at: how many of the network's stages do not train: 1 is the root, 2 the
            first block too.
        trainable_scopes: the only scopes, separated by commas, whose variables the
            optimizer changes, and whose batch norms take and update statistics.
        update_frozen_statistics: whether the other batch norms do so too, as in
            research/slim.
        teacher: a trained network, as of `open_trained`, whose probabilities this one
            is to have; None for none. See `training.distillation`.
        teacher_weight: the share of that in the loss, 0 to 1; 0.5 by default.
        teacher_temperature: at which probabilities are compared; 4 by default.
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
        early_stop_patience: after how many evaluations that are no better than the best
            before them the run ends; None for none.
        early_stop_metric: which of the evaluation's measures that is, such as
            `accuracy`; by default the first, which tells the best checkpoint too.
        keep_best: whether the checkpoint of the best evaluation stays, in the
            directory `best`.
        allow_changes: whether a run that goes on may do so with another batch_size or
            learning rate, or another schedule of it.
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
    averages: bool | None = None
    rename: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    rules: Any = None
    rule: Sequence[str] | None = None
    quantize_delay: int | None = None
    float_layers: str | None = None
    gamma_l1: float | None = None
    norm: str = "batch"
    freeze_at: int = 0
    trainable_scopes: str | None = None
    update_frozen_statistics: bool = False
    teacher: str | None = None
    teacher_weight: float | None = None
    teacher_temperature: float | None = None
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
    early_stop_patience: int | None = None
    early_stop_metric: str | None = None
    keep_best: bool = False
    allow_changes: bool = False
    max_recoveries: int = 2
    log_every_n_steps: int = 20
    image_summaries: int = 0
    histograms: bool = False
    graph_summary: bool = False

    def __post_init__(self) -> None:
        from slimnets import factory
        from slimnets.rows.scoping import check_norm
        from slimnets.rules.values import read_rules

        network = factory.network_info(self.model_name).network
        check_norm(self.norm)
        taken = inspect.signature(network).parameters
        if unknown := [name for name in self.network_options if name not in taken]:
            raise ValueError(
                f"{unknown[0]}={getattr(self, unknown[0])!r} is of no effect: the "
                f"network {self.model_name} does not take {unknown[0]}."
            )
        if isinstance(self.rules, str):
            object.__setattr__(self, "rules", read_rules(self.rules))
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
        self._check_teacher()
        self._check_early_stopping()

    @property
    def cluster_settings(self) -> dict[str, Any]:
        """The settings that say which processes the run has."""
        return {name: getattr(self, name) for name in CLUSTER_SETTINGS}

    @property
    def network_options(self) -> dict[str, Any]:
        """The arguments of the network that are not as usual."""
        usual = {"norm": "batch", "freeze_at": 0}
        values = {name: getattr(self, name) for name in usual}
        return {name: v for name, v in values.items() if v != usual[name]}

    @property
    def layer_rules(self) -> list[list]:
        """The rules by path: of quantization, of the file and of the texts."""
        from slimnets.rules import quantization_rules
        from slimnets.rules.values import parse_rule

        own = [*(self.rules or ()), *map(parse_rule, self.rule or ())]
        if self.quantize_delay is None:
            return own
        # A step of several parts runs the layers as often.
        delay = self.quantize_delay * self.accumulation_steps
        return [*map(list, quantization_rules(delay, self.float_layers)), *own]

    def to_json(self) -> dict[str, Any]:
        fields = dataclasses.fields(self)
        return {field.name: getattr(self, field.name) for field in fields}

    def _check_teacher(self) -> None:
        if self.teacher_weight is not None and not 0 <= self.teacher_weight <= 1:
            raise ValueError(
                f"teacher_weight={self.teacher_weight}; allowed is 0 to 1."
            )
        if self.teacher_temperature is not None and not self.teacher_temperature > 0:
            raise ValueError(
                f"teacher_temperature={self.teacher_temperature} must be above 0."
            )
        for name, wrong in (("loss", "sigmoid"), ("strategy", "parameter_server")):
            if self.teacher and getattr(self, name) == wrong:
                raise ValueError(f"teacher={self.teacher!r} is not for {name}={wrong}.")

    def _check_early_stopping(self) -> None:
        if not self.early_stop_patience:
            return
        for name, usual in (("strategy", "multi_worker"), ("recalibrate_batches", 0)):
            value = getattr(self, name)
            if (value == usual) == (name == "strategy"):
                raise ValueError(
                    f"{name}={value!r} is not for early_stop_patience="
                    f"{self.early_stop_patience}: it needs an end that is known."
                )

    def _check_needs(self) -> None:
        for name, other in _NEEDS.items():
            value = getattr(self, name)
            given = getattr(self, other)
            if other == "quantize_delay":  # Of which 0 is one too.
                given = given is not None
            if value not in (None, False, []) and not given:
                raise ValueError(f"{name}={value!r} is of no effect without {other}.")


_LEAST = {
    "seed": 0,
    "freeze_at": 0,
    "quantize_delay": 0,
    "recalibrate_batches": 0,
    "save_interval_steps": 1,
    "keep_checkpoints": 1,
    "eval_interval_steps": 0,
    "early_stop_patience": 1,
    "max_recoveries": 0,
    "log_every_n_steps": 1,
    "image_summaries": 0,
}
