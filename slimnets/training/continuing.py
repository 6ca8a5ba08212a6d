"""Going on with a run: its own settings, and which of them may change, and how.

As `training_config`, whose configs it compares, this module imports no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from slimnets.settings import OUTPUT, RATE, grouped
from slimnets.training.cluster import CLUSTER_SETTINGS
from slimnets.training.optimization_config import SAME_IN_EPOCHS
from slimnets.training.run_files import metadata_of
from slimnets.training.training_config import TrainingConfig

# A run's weights do not depend on these, so nothing need be said of them.
_FREE = {
    "train_dir",
    "dataset_dir",
    "data_service",
    "recompute",
    "jit",
    "allow_changes",
    *CLUSTER_SETTINGS,
    *grouped(TrainingConfig, OUTPUT),
}
# Nor are these a run's own.
_OF_NOW = {"train_dir", "allow_changes", "data_service", "profile_input"}
# These change what is still to come and nothing of what was; that is said.
_ENDS = {"max_number_of_steps", "number_of_epochs"}
_TOLD = {"max_bad_records", *_ENDS}
# These make another run of it from here on, which `allow_changes` must ask for.
_SCHEDULE = grouped(TrainingConfig, RATE) - {
    "layer_rate_decay",
    "learning_rate_scales",
}
_ASKED = {"batch_size", *_SCHEDULE}
# Of the run's own settings, these do not stay where another one is given.
_GIVE_WAY = {
    "learning_rate_decay_type": _SCHEDULE - {"learning_rate", "learning_rate_per_256"},
    **{first: {second} for first, second in SAME_IN_EPOCHS},
    **{second: {first} for first, second in SAME_IN_EPOCHS},
}


def own_settings(train_dir: str | None, given: Set[str] = frozenset()) -> dict:
    """The settings of the run that a directory holds, but for those that are given.

    Those of the processes it ran on are not the run's.

    Args:
        train_dir: a directory that need not be one of a run.
        given: names of settings that have other values now.

    Returns:
        Values by name; empty where there is no run.
    """
    config = metadata_of(train_dir or "").get("config", {})
    gone = set(given) | set(CLUSTER_SETTINGS) | _OF_NOW
    for setting in given:
        gone |= _GIVE_WAY.get(setting, set())
    return {name: value for name, value in config.items() if name not in gone}


def changes(
    config: TrainingConfig, other: Mapping[str, Any], where: str, step: int
) -> str:
    """What is different from here on in a run that goes on, for people.

    Args:
        config: what to go on with.
        other: what `to_json` gave for the run that wrote a checkpoint.
        where: the checkpoint, for messages.
        step: its step.

    Returns:
        One line; empty where all is as it was.

    Raises:
        ValueError: if what is different makes it another run, or if it has gone on
            for longer than it now should.
    """
    from slimnets.training.schedules import ENDLESS

    mine = config.to_json()
    different = {
        name: f"{name}={other[name]!r} there, {mine[name]!r} here"
        for name in mine
        if name in other and name not in _FREE and other[name] != mine[name]
    }
    allowed = _TOLD | _ASKED if config.allow_changes else _TOLD
    if refused := [text for name, text in different.items() if name not in allowed]:
        asked = sorted(_ASKED & set(different)) if not config.allow_changes else []
        hint = f", or allow_changes for another {' and '.join(asked)}" if asked else ""
        raise ValueError(
            f"{where} is of another run ({'; '.join(refused)}): choose another "
            f"train_dir, or the same settings to go on with it{hint}."
        )
    if step > config.number_of_steps:
        raise ValueError(
            f"{where} is of step {step}, beyond the end of the run at step "
            f"{config.number_of_steps}: choose an end after it, or another train_dir."
        )
    told = [
        f"{name}={mine[name]!r} ({other[name]!r} before)"
        for name in different
        if mine[name] is not None
    ]
    kind = config.learning_rate_decay_type
    if set(different) & (_ASKED if kind in ENDLESS else _ASKED | _ENDS):
        told.append(
            f"the {kind} schedule is computed anew for {config.number_of_steps} steps"
        )
    return ", ".join(told)
