"""How a run begins: from new weights, from a checkpoint's, and which of them train."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from slimnets.checkpoints import LoadReport, load_weights, read_checkpoint
from slimnets.model import Model
from slimnets.training.optimizers import in_scope, top_scopes


def load_initial_weights(
    path: str, model: Model, exclude_scopes: str | None
) -> LoadReport:
    """Fills a new run's network from a checkpoint of any framework.

    Args:
        path: see `load_weights`.
        model: built.
        exclude_scopes: scopes, separated by commas, whose variables keep their initial
            values.

    Raises:
        FileNotFoundError, ValueError: as `load_weights`; and if a scope holds nothing.
    """
    names = [*model.variables_by_name, *read_checkpoint(path)]
    scopes = _scopes("checkpoint_exclude_scopes", exclude_scopes, names)
    patterns = [f"{re.escape(scope.rstrip('/'))}(/.*)?" for scope in scopes]
    return load_weights(path, model, exclude=patterns)


def variables_to_train(
    variables: Mapping[str, tf.Variable], trainable_scopes: str | None
) -> dict[str, tf.Variable]:
    """The trainable variables by name; of certain scopes only, if they are given.

    Raises:
        ValueError: if a scope holds none, or there are none at all.
    """
    trainable = {name: v for name, v in variables.items() if v.trainable}
    scopes = _scopes("trainable_scopes", trainable_scopes, list(trainable))
    if scopes:
        trainable = {
            name: variable
            for name, variable in trainable.items()
            if any(in_scope(name, scope) for scope in scopes)
        }
    if not trainable:
        raise ValueError("The network has no variables to train.")
    return trainable


def _scopes(flag: str, text: str | None, names: Sequence[str]) -> list[str]:
    scopes = [scope.strip() for scope in (text or "").split(",") if scope.strip()]
    for scope in scopes:
        if not any(in_scope(name, scope) for name in names):
            raise ValueError(
                f"{flag}: there are no variables in the scope {scope!r}; there is "
                f"{', '.join(top_scopes(names))}."
            )
    return scopes
