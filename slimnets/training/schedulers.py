"""Which processes a run has, as a cluster's scheduler tells each of them.

`slurm`: a process for each task of a job step (srun), on the nodes of
SLURM_STEP_NODELIST; several of a node listen on ports in a row. `k8s`: a pod for each
index of an indexed Job, with a headless service that names them. Its pods are told how
many they are by SLIMNETS_WORKERS, and the service's name by SLIMNETS_SERVICE.
SLIMNETS_PORT is the first port of either.

Source: https://slurm.schedmd.com/srun.html, output environment variables;
https://kubernetes.io/docs/concepts/workloads/controllers/job, completion mode.
"""

from __future__ import annotations

import os
import re

SCHEDULERS = ("slurm", "k8s")
_PORT = "2222"
_IN_BRACKETS = re.compile(r"\[([^\]]*)\]")


def scheduled(scheduler: str) -> tuple[list[str], int]:
    """The addresses of all processes in their order, and which of them this one is.

    Raises:
        ValueError: if the environment lacks a variable, or has one of another form.
    """
    try:
        first = _number("SLIMNETS_PORT", _PORT)
        return _of_slurm(first) if scheduler == "slurm" else _of_kubernetes(first)
    except KeyError as error:
        raise ValueError(
            f"cluster={scheduler} needs the environment variable {error.args[0]}, "
            "which is not set here."
        ) from None


def _of_slurm(first_port: int) -> tuple[list[str], int]:
    hosts = expand_hosts(os.environ["SLURM_STEP_NODELIST"])
    tasks = _tasks_of_nodes(os.environ["SLURM_STEP_TASKS_PER_NODE"])
    if len(hosts) != len(tasks):
        raise ValueError(
            f"cluster=slurm: SLURM_STEP_NODELIST has {len(hosts)} nodes, but "
            f"SLURM_STEP_TASKS_PER_NODE {len(tasks)}."
        )
    workers = [
        f"{host}:{first_port + place}"
        for host, number in zip(hosts, tasks, strict=True)
        for place in range(number)
    ]
    return workers, _number("SLURM_PROCID")


def expand_hosts(text: str) -> list[str]:
    """The hosts of a list as Slurm writes it: `gpu[01-03,7],login` are five."""
    hosts: list[str] = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        names = [""]
        # Plain text and what stood in brackets take turns.
        for place, piece in enumerate(_IN_BRACKETS.split(part)):
            ends = _numbers(piece) if place % 2 else [piece]
            names = [name + end for name in names for end in ends]
        hosts += names
    return hosts


def _numbers(text: str) -> list[str]:
    """`01-03,7` as 01, 02, 03, 7."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        found += [str(number).zfill(len(first)) for number in numbers]
    return found


def _tasks_of_nodes(text: str) -> list[int]:
    """`2(x3),1` as 2, 2, 2, 1."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(tasks) for tasks, times in found for _ in range(int(times or 1))]


def _of_kubernetes(port: int) -> tuple[list[str], int]:
    index = _number("JOB_COMPLETION_INDEX")
    service = os.environ["SLIMNETS_SERVICE"]
    # A pod of an indexed Job is called JOB-INDEX.
    job = os.environ["HOSTNAME"].partition(".")[0].removesuffix(f"-{index}")
    number = _number("SLIMNETS_WORKERS")
    return [f"{job}-{other}.{service}:{port}" for other in range(number)], index


def _number(variable: str, default: str | None = None) -> int:
    text = os.environ.get(variable, default)
    if text is None:
        raise KeyError(variable)
    if not text.isdecimal():
        raise ValueError(f"{variable}={text!r} in the environment is no whole number.")
    return int(text)
