"""Clones of a model on several devices, whose gradients are summed.

Source: the public interface of research/slim's deployment/model_deploy.py.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1

Clone = collections.namedtuple("Clone", ["outputs", "scope", "device"])
DeployedModel = collections.namedtuple(
    "DeployedModel", ["train_op", "summary_op", "total_loss", "clones"]
)


class DeploymentConfig:
    """Which devices have the clones, the variables and the inputs."""

    def __init__(
        self,
        num_clones: int = 1,
        clone_on_cpu: bool = False,
        replica_id: int = 0,
        num_replicas: int = 1,
        num_ps_tasks: int = 0,
        worker_job_name: str = "worker",
        ps_job_name: str = "ps",
    ):
        """Makes a configuration.

        Raises:
            ValueError: for several replicas without parameter servers, or a replica's
                number that is none.
        """
        if num_replicas > 1 and num_ps_tasks < 1:
            raise ValueError("When using replicas num_ps_tasks must be positive")
        if num_ps_tasks > 0 and not (worker_job_name and ps_job_name):
            raise ValueError("Must specify worker_job_name and ps_job_name")
        if replica_id >= num_replicas:
            raise ValueError("replica_id must be less than num_replicas")
        self.num_clones, self.clone_on_cpu = num_clones, clone_on_cpu
        self.replica_id, self.num_replicas = replica_id, num_replicas
        self.num_ps_tasks = num_ps_tasks
        self.ps_device = f"/job:{ps_job_name}" if num_ps_tasks > 0 else ""
        self.worker_device = f"/job:{worker_job_name}" if num_ps_tasks > 0 else ""

    def caching_device(self) -> Callable | None:
        """Where variables of parameter servers are cached; None for nowhere."""
        return (lambda op: op.device) if self.num_ps_tasks > 0 else None

    def clone_device(self, clone_index: int) -> str:
        """The device of a clone. Raises ValueError for a number that is none."""
        self._check(clone_index)
        if self.clone_on_cpu:
            return f"{self.worker_device}/device:CPU:0"
        return f"{self.worker_device}/device:GPU:{clone_index}"

    def clone_scope(self, clone_index: int) -> str:
        """The name scope of a clone. Raises ValueError for a number that is none."""
        self._check(clone_index)
        return f"clone_{clone_index}" if self.num_clones > 1 else ""

    def optimizer_device(self) -> str:
        """The device of the optimizer."""
        if self.num_ps_tasks > 0 or self.num_clones > 0:
            return f"{self.worker_device}/device:CPU:0"
        return ""

    def inputs_device(self) -> str:
        """The device of the inputs."""
        return f"{self.worker_device}/device:CPU:0"

    def variables_device(self) -> Callable[[Any], str] | str:
        """The device of each variable."""
        if self.num_ps_tasks == 0:
            return f"{self.ps_device}/device:CPU:0"
        return v1.train.replica_device_setter(
            ps_tasks=self.num_ps_tasks,
            ps_device=f"{self.ps_device}/device:CPU:0",
            worker_device="/device:CPU:0",
        )

    def _check(self, clone_index: int) -> None:
        if clone_index >= self.num_clones:
            raise ValueError("clone_index must be less than num_clones")


def create_clones(
    config: DeploymentConfig,
    model_fn: Callable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
) -> list[Clone]:
    """Calls `model_fn` once for each clone, with shared variables."""
    clones = []
    for i in range(config.num_clones):
        scope, device = config.clone_scope(i), config.clone_device(i)
        with tf.name_scope(scope) if scope else v1.name_scope(None) as name:
            with (
                v1.device(config.variables_device()),
                v1.device(_but_variables(device)),
                v1.variable_scope(v1.get_variable_scope(), reuse=i > 0 or None),
            ):
                outputs = model_fn(*(args or ()), **(kwargs or {}))
            clones.append(Clone(outputs, name or "", device))
    return clones


def _but_variables(device: str) -> Callable[[tf.Operation], str]:
    """Puts what is no variable on a device."""
    kinds = ("Variable", "VariableV2", "VarHandleOp")
    return lambda op: op.device if op.type in kinds else device


def _clone_losses(clones: Sequence[Clone], regularization: Any) -> list[tf.Tensor]:
    """The loss of each clone, a share of the whole, the first with regularization."""
    losses = []
    for clone in clones:
        of_clone = v1.get_collection(v1.GraphKeys.LOSSES, clone.scope)
        if not of_clone:
            continue
        with tf.name_scope(clone.scope) if clone.scope else v1.name_scope(None):
            loss = tf.add_n(of_clone, name="clone_loss") / len(clones)
            if clone is clones[0] and regularization:
                loss = loss + tf.add_n(list(regularization), name="regularization_loss")
        losses.append(loss)
    return losses


def optimize_clones(
    clones: Sequence[Clone],
    optimizer: v1.train.Optimizer,
    regularization_losses: Sequence[tf.Tensor] | None = None,
    **kwargs: Any,
) -> tuple[tf.Tensor, list[tuple[tf.Tensor, tf.Variable]]]:
    """The sum of the clones' losses, and of their gradients by each variable.

    Args:
        clones: from `create_clones`.
        optimizer: whose `compute_gradients` takes `kwargs`.
        regularization_losses: None for those of the graph's collection.
        **kwargs: of `compute_gradients`.
    """
    if regularization_losses is None:
        regularization_losses = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    losses = _clone_losses(clones, regularization_losses)
    of_clones = [
        optimizer.compute_gradients(loss, colocate_gradients_with_ops=True, **kwargs)
        for loss in losses
    ]
    summed = []
    for pairs in zip(*of_clones, strict=True):
        gradients = [gradient for gradient, _ in pairs if gradient is not None]
        if gradients:
            whole = tf.add_n(gradients) if len(gradients) > 1 else gradients[0]
            summed.append((whole, pairs[0][1]))
    return tf.add_n(losses, name="total_loss"), summed


def deploy(
    config: DeploymentConfig,
    model_fn: Callable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    optimizer: v1.train.Optimizer | None = None,
    summarize_gradients: bool = False,
) -> DeployedModel:
    """Makes clones and, with an optimizer, what trains them."""
    before = set(v1.get_collection(v1.GraphKeys.SUMMARIES))
    clones = create_clones(config, model_fn, args, kwargs)
    train_op, total_loss = None, None
    with v1.device(config.optimizer_device()):
        if optimizer is not None:
            total_loss, gradients = optimize_clones(clones, optimizer)
            step = v1.train.get_or_create_global_step()
            updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS, clones[0].scope)
            updates.append(optimizer.apply_gradients(gradients, global_step=step))
            with tf.control_dependencies([tf.group(*updates)]):
                train_op = tf.identity(total_loss, name="train_op")
            if summarize_gradients:
                for gradient, variable in gradients:
                    v1.summary.histogram(f"{variable.op.name}/gradient", gradient)
        else:
            losses = _clone_losses(
                clones, v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
            )
            total_loss = tf.add_n(losses, name="total_loss") if losses else None
        summaries = set(v1.get_collection(v1.GraphKeys.SUMMARIES, clones[0].scope))
        if total_loss is not None:
            summaries.add(v1.summary.scalar("total_loss", total_loss))
        new = list(summaries | before)
        summary_op = v1.summary.merge(new, name="summary_op") if new else None
    return DeployedModel(train_op, summary_op, total_loss, clones)
