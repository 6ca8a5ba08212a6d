"""How a run begins: from new weights, from a checkpoint's, and which of them train."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from slimnets.checkpoints.matching import rename_pairs
from slimnets.model import Model
from slimnets.rules import quantization
from slimnets.trained import load_into
from slimnets.training.optimizers import in_scope, top_scopes
from slimnets.training.training_config import TrainingConfig


def load_initial_weights(
    config: TrainingConfig, model: Model, label_names: Sequence[str] | None = None
) -> str:
    """Fills a new run's network from the checkpoint, of any framework, of its config.

    Args:
        config: what is taken from where, and what is left out.
        model: built.
        label_names: of its classes, if they have names; see `load_into`.

    Returns:
        One line: what was opened.

    Raises:
        FileNotFoundError, ValueError: as `load_into`; and if a scope holds nothing.
    """

    def exclude(tensors: Sequence[str]) -> list[str]:
        names = [*model.variables_by_name, *tensors]
        text = config.checkpoint_exclude_scopes
        scopes = _scopes("checkpoint_exclude_scopes", text, names)
        patterns = [f"{re.escape(scope.rstrip('/'))}(/.*)?" for scope in scopes]
        own, known = map(quantization.is_quantized, (model.variables_by_name, tensors))
        if own and not known:  # The weights are of a network of floats.
            patterns.append(quantization.VARIABLES)
        return [*patterns, *(config.exclude or ())]

    return load_into(
        model,
        config.checkpoint_path,
        averages=config.averages,
        rename=rename_pairs(config.rename or ()),
        exclude=exclude,
        label_names=label_names,
    )


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


def scopes_of(text: str | None) -> list[str]:
    """The scopes that a setting names, separated by commas."""
    return [scope.strip() for scope in (text or "").split(",") if scope.strip()]


def _scopes(flag: str, text: str | None, names: Sequence[str]) -> list[str]:
    scopes = scopes_of(text)
    for scope in scopes:
        if not any(in_scope(name, scope) for name in names):
            raise ValueError(
                f"{flag}: there are no variables in the scope {scope!r}; there is "
                f"{', '.join(top_scopes(names))}."
            )
    return scopes
