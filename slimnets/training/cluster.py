"""Which processes a run has, and which settings go with its strategy.

As `config`, for which it checks, this module imports no TensorFlow.
"""

from __future__ import annotations

import json
import os
from typing import Any

from slimnets.training.schedulers import scheduled

STRATEGIES = ("one", "mirrored", "multi_worker", "tpu", "parameter_server")
TASK_TYPES = ("chief", "worker", "ps")
# The settings that name processes, with the strategies that have them.
CLUSTER_SETTINGS = {
    "cluster": ("multi_worker",),
    "workers": ("multi_worker", "parameter_server"),
    "task_index": ("multi_worker", "parameter_server"),
    "chief": ("parameter_server",),
    "parameter_servers": ("parameter_server",),
    "task_type": ("parameter_server",),
    "tpu": ("tpu",),
}
CLUSTER = "TF_CONFIG"

# What asynchronous updates do not allow: the values that a setting may have, and why.
_ASYNCHRONOUS = {
    "accumulation_steps": ((1,), "a worker's step is one update; take a larger batch"),
    "moving_average_decay": (
        (None,),
        "averages would be taken of weights that others change at the same time",
    ),
    "recalibrate_batches": ((0,), "no weights stand still on the workers"),
    "precision": (
        ("float32", "bfloat16"),
        "the workers would change the scale of the loss under each other's hands",
    ),
    "jit": ((False,), "XLA compiles nothing that reads another process's variables"),
    "image_summaries": ((0,), "the workers have the batches, the chief has none"),
    "graph_summary": ((False,), "the workers have the batches, the chief has none"),
}


def check_cluster(strategy: str, **given: Any) -> None:
    """Raises ValueError unless the strategy is one, and the others go with it.

    Args:
        strategy: its name.
        **given: values of `CLUSTER_SETTINGS`; those left out are None.
    """
    if strategy not in STRATEGIES:
        raise ValueError(
            f"strategy={strategy!r} is not one of {', '.join(STRATEGIES)}."
        )
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        needed = CLUSTER_SETTINGS[name]
        if strategy not in needed and name != "task_index":
            raise ValueError(
                f"{name}={value!r} is of no effect without "
                f"strategy={' or '.join(needed)}."
            )
    if strategy == "parameter_server":
        _check_roles(given)
        return
    if "cluster" in given:
        for name in ("workers", "task_index"):
            if name in given:
                raise ValueError(
                    f"{name}={given[name]!r} is of no effect with "
                    f"cluster={given['cluster']}, which says it."
                )
    workers, task_index = given.get("workers"), given.get("task_index")
    if workers is None and task_index is not None:
        raise ValueError(f"task_index={task_index} is of no effect without workers.")
    if workers is not None:
        _check_index("workers", workers, task_index)


def check_asynchronous(config: Any) -> None:
    """Raises ValueError for a setting that `parameter_server` cannot keep to.

    Args:
        config: a TrainingConfig of that strategy.
    """
    for name, (allowed, why) in _ASYNCHRONOUS.items():
        value = getattr(config, name)
        if value not in allowed:
            raise ValueError(
                f"{name}={value!r} is not for strategy=parameter_server, whose updates "
                f"are asynchronous: {why}. Allowed is "
                f"{' or '.join(map(repr, allowed))}."
            )
    if config.dataset.on_disk:
        raise ValueError(
            f"dataset_name={config.dataset_name!r} is not for "
            "strategy=parameter_server: its workers run the input as a graph without "
            "Python, which reading and checking encoded images needs. Allowed is a "
            "dataset in memory, such as digits or an .npz file; or "
            "strategy=multi_worker."
        )


def cluster_of(strategy: str, **given: Any) -> dict[str, Any] | None:
    """The cluster as TF_CONFIG has it; None if no setting names one.

    Args:
        strategy: `multi_worker` or `parameter_server`.
        **given: as of `check_cluster`, by which they are checked.
    """
    if given.get("cluster"):
        workers, index = scheduled(given["cluster"])
        given = {"workers": ",".join(workers), "task_index": index}
    if given.get("workers") is None:
        return None
    jobs = {"worker": _addresses(given["workers"])}
    task = {"type": "worker", "index": given["task_index"]}
    if strategy == "parameter_server":
        jobs |= {
            "chief": _addresses(given["chief"]),
            "ps": _addresses(given["parameter_servers"]),
        }
        task = {"type": given["task_type"], "index": given.get("task_index") or 0}
    return {"cluster": jobs, "task": task}


def set_cluster(strategy: str, **given: Any) -> dict[str, Any]:
    """Writes the cluster to the environment, where TensorFlow looks for it.

    Args:
        strategy: `multi_worker` or `parameter_server`.
        **given: as of `check_cluster`, by which they are checked.

    Returns:
        The cluster, as TF_CONFIG has it.

    Raises:
        ValueError: if the environment has another one, or none is given, or it lacks
            what the strategy needs.
    """
    there = os.environ.get(CLUSTER)
    cluster = cluster_of(strategy, **given)
    found = _parsed(there) if there else None
    if cluster is None and found is None:
        needed = "workers=host:port,... and task_index, or cluster"
        if strategy == "parameter_server":
            needed = (
                "chief=host:port, workers=host:port,..., "
                "parameter_servers=host:port,... and task_type"
            )
        raise ValueError(
            f"strategy={strategy} needs {needed}, or the environment variable "
            f"{CLUSTER}."
        )
    if cluster is None:
        if strategy == "parameter_server":
            _check_environment(found)
        return found
    if found is not None and found != cluster:
        named = [f"{k}={v!r}" for k, v in given.items() if v is not None]
        raise ValueError(
            f"{', '.join(named)} differ from the environment's {CLUSTER}={there!r}: "
            "give one of them."
        )
    os.environ[CLUSTER] = json.dumps(cluster)
    return cluster


def _check_roles(given: dict[str, Any]) -> None:
    """Checks the settings of `parameter_server`: all of them, or none."""
    if not given:
        return
    needed = ("chief", "workers", "parameter_servers", "task_type")
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(
            f"strategy=parameter_server is given {', '.join(given)}, but lacks "
            f"{', '.join(missing)}: give {', '.join(needed)}, or none of them and the "
            f"environment variable {CLUSTER}."
        )
    if len(_addresses(given["chief"])) != 1:
        raise ValueError(f"chief={given['chief']!r} must be one host:port.")
    kind, index = given["task_type"], given.get("task_index")
    if kind not in TASK_TYPES:
        raise ValueError(
            f"task_type={kind!r} is not one of {', '.join(TASK_TYPES)}; the chief "
            "evaluates."
        )
    if kind == "chief" and index is not None:
        raise ValueError(f"task_index={index} is of no effect with task_type=chief.")
    if kind != "chief":
        name = "workers" if kind == "worker" else "parameter_servers"
        _check_index(name, given[name], index)


def _check_index(name: str, addresses: str, index: int | None) -> None:
    count = len(_addresses(addresses))
    if index is None or not 0 <= index < count:
        raise ValueError(
            f"task_index={index}: with {name}={addresses!r} it says which of them "
            f"this process is, 0 to {count - 1}."
        )


def _check_environment(found: dict[str, Any]) -> None:
    jobs, task = found.get("cluster", {}), found.get("task", {})
    kind, index = task.get("type"), task.get("index")
    for job in TASK_TYPES:
        if not jobs.get(job):
            raise ValueError(
                f"{CLUSTER} has no {job}: strategy=parameter_server needs one chief, "
                "and at least one worker and one ps."
            )
    if kind not in TASK_TYPES:
        raise ValueError(
            f"{CLUSTER} has the task type {kind!r}; strategy=parameter_server has "
            f"{', '.join(TASK_TYPES)}, and the chief evaluates."
        )
    if index not in range(len(jobs[kind])):
        raise ValueError(
            f"{CLUSTER} has the index {index!r} for this process, which is one of "
            f"{len(jobs[kind])} of the type {kind}, counted from 0."
        )


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{CLUSTER}={text!r} is not a JSON object.")
    return found


def _addresses(text: str) -> list[str]:
    return [address.strip() for address in text.split(",") if address.strip()]
