"""When a run ends before its time: its measure has been no better for too long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimnets.training.training_config import TrainingConfig

# Less of what these names end in is better.
_LESS_IS_BETTER = ("error", "loss")
_PREFIX = "test_"


def metric_of(given: str | None, summaries: Mapping[str, float]) -> str:
    """The full name of a measure; of None, the first there is.

    Raises:
        ValueError: if it is not measured.
    """
    names = list(summaries)
    if given is None:
        return names[0]
    for name in names:
        if given in (name, name.removeprefix(_PREFIX)):
            return name
    allowed = ", ".join(name.removeprefix(_PREFIX) for name in names)
    raise ValueError(
        f"early_stop_metric={given!r} is not measured here; allowed are {allowed}."
    )


def reason_to_end(
    config: TrainingConfig,
    summaries: Mapping[str, float],
    history: Callable[[str, int], Sequence[tuple[int, float]]],
) -> str:
    """Why a run ends now, for people; empty if it goes on.

    Args:
        config: the run.
        summaries: what its evaluations measure.
        history: a function of a measure and the steps between evaluations, that gives
            their steps and values so far.

    Raises:
        ValueError: as `metric_of`.
    """
    metric = metric_of(config.early_stop_metric, summaries)
    measured = history(metric, config.eval_interval_steps)
    values = [value for _, value in measured]
    chosen = min if metric.endswith(_LESS_IS_BETTER) else max
    best = values.index(chosen(values))
    if len(values) - 1 - best < (config.early_stop_patience or 1):
        return ""
    where = ", which best/ has" if config.keep_best else ""
    return f"{metric} was best at step {measured[best][0]}, {values[best]:.4g}{where}"
