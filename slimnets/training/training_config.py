"""Everything that decides a training run, and the check of it before it starts.

The command line reads the defaults from here for its help. So that help comes at once,
this module imports TensorFlow only when a config is made.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Sequence
from typing import Any

from slimnets.data.input_config import InputConfig
from slimnets.settings import (
    DISTRIBUTION,
    FINE_TUNING,
    LOSS,
    OPTIMIZER,
    OUTPUT,
    REQUIRED,
    RUN,
    SPEED,
    check,
    documented,
    setting,
)
from slimnets.training.cluster import (
    CLUSTER_SETTINGS,
    check_asynchronous,
    check_cluster,
)
from slimnets.training.optimization_config import OptimizationConfig
from slimnets.training.schedulers import SCHEDULERS

CHECKPOINT_PATH = (
    "The weights: a file, a checkpoint's prefix, or the train_dir of a run, of which "
    "the latest is taken; or public weights by name."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsOptions:
    """What is taken of a file of weights, and by what names."""

    # fmt: off
    checkpoint_path: str | None = setting(None, FINE_TUNING, CHECKPOINT_PATH)
    averages: bool | None = setting(None, FINE_TUNING, "Take the moving averages of "
        "the weights; by default the average where a variable has one, else the "
        "variable.", needs="checkpoint_path")
    rename: Sequence[str] | None = setting(None, FINE_TUNING, "PATTERN=REPLACEMENT, as "
        "for re.sub: the name that a tensor of the file should have; "
        r"tower_0/(.*)=\1 takes a scope off. May be repeated.", needs="checkpoint_path")
    exclude: Sequence[str] | None = setting(None, FINE_TUNING, "Pattern of names, of "
        "variables and of tensors, that are left alone: .*/logits/.* for example. May "
        "be repeated.", needs="checkpoint_path")
    # fmt: on


@documented
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(WeightsOptions, InputConfig, OptimizationConfig):
    """A training run, by values that JSON and a command line can hold.

    Fields that default to None take the value of what they belong to: the network's
    image size, the dataset's preprocessing, the optimizer's momentum.
    """

    # fmt: off
    model_name: str = setting(REQUIRED, RUN, "Name of the network; slimnets list names "
        "all.")
    train_dir: str = setting(REQUIRED, RUN, "Directory of checkpoints and logs. A run "
        "that it holds is continued.")
    rules: Any = setting(None, RUN, "A JSON file of rules by path, or what stands in "
        "it: {PATTERN: {KEYWORD: VALUE}} gives the layers whose scopes the pattern "
        "matches another argument.")
    rule: Sequence[str] | None = setting(None, RUN, "One rule as "
        "PATTERN:KEYWORD=VALUE, block4/.*/conv2:normalizer_fn=group_norm for example. "
        "It wins over those before it; may be repeated.")
    quantize_delay: int | None = setting(None, RUN, "Train for int8: weights and "
        "activations are rounded as there from this step on. checkpoint_path may be of "
        "a network of floats.", least=0)
    float_layers: str | None = setting(None, RUN, "A regular expression of the scopes "
        "of layers that quantize_delay leaves in float: '(conv1|logits)'.",
        needs="quantize_delay")
    freeze_bn_delay: int | None = setting(None, RUN, "Batch norms normalize by their "
        "moving averages, which stay as they are, from this step on; for the last part "
        "of training for int8.", least=0)
    gamma_l1: float | None = setting(None, LOSS, "Strength of an L1 loss of batch "
        "norms' gammas, such as 1e-4, before slimnets slim-network.", above=0)
    norm: str = setting("batch", RUN, "The network's norm: batch, frozen, sync or "
        "group.")
    seed: int = setting(0, RUN, "Seed of initial weights, data order, augmentation and "
        "dropout.", least=0)
    allow_changes: bool = setting(False, RUN, "Let a run that goes on do so with "
        "another batch_size or learning rate, or another schedule of it.")
    checkpoint_path: str | None = setting(None, FINE_TUNING, "Where a new run takes "
        "its weights from: any file that slimnets convert reads, or public weights by "
        "name; by default they are new.")
    checkpoint_exclude_scopes: str | None = setting(None, FINE_TUNING, "Scopes, "
        "separated by commas, whose weights are not taken from checkpoint_path.",
        needs="checkpoint_path")
    freeze_at: int = setting(0, FINE_TUNING, "How many of the network's stages do not "
        "train: 1 is the root, 2 the first block too.", least=0)
    trainable_scopes: str | None = setting(None, FINE_TUNING, "The only scopes, "
        "separated by commas, that train; the statistics of batch norms in all others "
        "stay as they are.")
    update_frozen_statistics: bool = setting(False, FINE_TUNING, "With "
        "trainable_scopes, let all batch norms update their statistics, as TF-Slim "
        "does.", needs="trainable_scopes")
    teacher: str | None = setting(None, LOSS, "A trained network, a checkpoint or an "
        "export, whose probabilities this one is to have.")
    teacher_weight: float | None = setting(None, LOSS, "Share of the teacher in the "
        "loss; 0.5 by default.", least=0, most=1, needs="teacher")
    teacher_temperature: float | None = setting(None, LOSS, "At which probabilities "
        "are compared; 4 by default.", above=0, needs="teacher")
    teacher_end_points: Sequence[str] | None = setting(None, LOSS, "An activation of "
        "both networks, a level, C4, or an end point, whose strong places in an image "
        "are to be the teacher's, a checkpoint's; or STUDENT=TEACHER. May be repeated.",
        needs="teacher")
    teacher_end_points_weight: float | None = setting(None, LOSS, "Factor of their "
        "loss; 1000 by default.", least=0, needs="teacher_end_points")
    recalibrate_batches: int = setting(0, OPTIMIZER, "Batches over which batch norm's "
        "statistics are taken anew before each evaluation; 0 for none.", least=0)
    strategy: str = setting("one", DISTRIBUTION, "one device, mirrored over all GPUs, "
        "multi_worker, tpu, or parameter_server, whose workers update the weights "
        "without waiting for each other: each step is one worker's, with a batch of "
        "its own, and runs differ.")
    workers: str | None = setting(None, DISTRIBUTION, "Of multi_worker: host:port,... "
        "of all; or set TF_CONFIG. Of parameter_server: of those that compute; each "
        "reads the part of the images that its index says, so that they see all of "
        "them together.")
    task_index: int | None = setting(None, DISTRIBUTION, "Which of the workers this "
        "is; in multi_worker 0 is the chief. Of parameter_server: which worker, or "
        "which parameter server.")
    chief: str | None = setting(None, DISTRIBUTION, "Of parameter_server: host:port of "
        "the process that evaluates and writes.")
    parameter_servers: str | None = setting(None, DISTRIBUTION, "Of parameter_server: "
        "host:port,... of those that keep the weights.")
    task_type: str | None = setting(None, DISTRIBUTION, "Of parameter_server: what "
        "this process is, chief, worker or ps.")
    tpu: str | None = setting(None, DISTRIBUTION, "Address of the TPU; this machine's "
        "by default.")
    cluster: str | None = setting(None, DISTRIBUTION, "Of multi_worker: who has "
        "started the processes, whose environment says which they are; in place of "
        "workers and task_index.", choices=SCHEDULERS)
    data_service: str | None = setting(None, DISTRIBUTION, "grpc://host:port of the "
        "dispatcher of a tf.data service (slimnets data-service), whose workers make "
        "the batches of training.")
    profile_input: bool = setting(False, OUTPUT, "Measure the stages of the input "
        "before the first step, and how long steps waited for it.")
    recompute: bool = setting(False, SPEED, "Save memory: keep only the inputs of the "
        "root and of the units for the gradients.")
    jit: bool = setting(False, SPEED, "Compile the gradients of a step with XLA, on "
        "one device; not for grouped and depthwise convolutions on a CPU.")
    save_interval_steps: int = setting(200, OUTPUT, "Steps between checkpoints.",
        least=1)
    keep_checkpoints: int = setting(3, OUTPUT, "How many of the latest checkpoints "
        "stay.", least=1)
    eval_interval_steps: int = setting(0, OUTPUT, "Steps between evaluations; 0 for "
        "the end alone.", least=0)
    keep_best: bool = setting(False, OUTPUT, "Keep the best evaluation's weights in "
        "best/.", needs="eval_interval_steps")
    early_stop_patience: int | None = setting(None, OUTPUT, "End after so many "
        "evaluations that are no better than the best before them; never by default.",
        least=1, needs="eval_interval_steps")
    early_stop_metric: str | None = setting(None, OUTPUT, "Which measure that is: "
        "accuracy by default, top5_accuracy, calibration_error ...",
        needs="early_stop_patience")
    max_recoveries: int = setting(2, OUTPUT, "How often a loss that is not finite "
        "sends the run back to its last checkpoint before it ends.", least=0)
    log_every_n_steps: int = setting(20, OUTPUT, "Steps between summaries.", least=1)
    image_summaries: int = setting(0, OUTPUT, "How many images of a batch TensorBoard "
        "shows at each start, as the network sees them.", least=0)
    histograms: bool = setting(False, OUTPUT, "Variables' values in TensorBoard.")
    graph_summary: bool = setting(False, OUTPUT, "The network's graph in TensorBoard.")
    # fmt: on

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
        check(self)
        check_cluster(self.strategy, **self.cluster_settings)
        self.check_optimization()
        self.check_input()
        if self.strategy == "parameter_server":
            check_asynchronous(self)
        self._check_data_service()
        self._check_teacher()
        if self.freeze_bn_delay is not None and self.recalibrate_batches:
            raise ValueError(
                f"recalibrate_batches={self.recalibrate_batches} is not for "
                f"freeze_bn_delay={self.freeze_bn_delay}, by which statistics stay."
            )

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
        """The settings as JSON gives them back: a tuple is a list."""
        fields = dataclasses.fields(self)
        values = {field.name: getattr(self, field.name) for field in fields}
        return json.loads(json.dumps(values))

    def _check_data_service(self) -> None:
        if self.data_service is None:
            return
        wrong = {
            "max_bad_records": self.max_bad_records > 0,
            "strategy": self.strategy == "parameter_server",
        }
        for name in filter(wrong.get, wrong):
            raise ValueError(
                f"{name}={getattr(self, name)!r} is not for "
                f"data_service={self.data_service}: its workers name no bad images, "
                "and serve runs whose steps are all workers' together."
            )

    def _check_teacher(self) -> None:
        for name, wrong in (("loss", "sigmoid"), ("strategy", "parameter_server")):
            if self.teacher and getattr(self, name) == wrong:
                raise ValueError(f"teacher={self.teacher!r} is not for {name}={wrong}.")
