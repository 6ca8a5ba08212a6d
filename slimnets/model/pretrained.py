"""Weights that a Model is made with: a file, or public weights by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import absl.logging

from slimnets.checkpoints import Weights, WeightsReader, load_weights, open_weights
from slimnets.checkpoints.recognition import patterns_of_others, sizes_in
from slimnets.listing import listed
from slimnets.weights import fetch_weights

_NAMED = 4


def open_named(weights: str | os.PathLike, network_name: str) -> Weights:
    """Opens weights for a network.

    Args:
        weights: a path as of `read_checkpoint`, or a name as of `find_weights`.
        network_name: the network.

    Raises:
        ValueError: for what is neither; otherwise as `open_weights` and
            `fetch_weights`.
    """
    path = os.fspath(weights)
    is_there = os.path.exists(path) or os.path.exists(f"{path}.index")
    return open_weights(path if is_there else fetch_weights(path, network_name))


def options_in(weights: Weights, network_name: str) -> dict[str, Any]:
    """The arguments of a network that its weights are of, by their metadata."""
    known = weights.metadata
    own = known.get("model_name") == network_name and "task" not in known
    return dict(known.get("network_options", {})) if own else {}


def classes_in(
    weights: Weights, network_name: str, function: Callable, options: Mapping[str, Any]
) -> int | None:
    """The number of classes of weights, by their metadata or else their variables."""
    known = weights.metadata
    if known.get("model_name") == network_name and "num_classes" in known:
        return known["num_classes"]
    return sizes_in(weights, function, options)[0]


def input_shape_of(weights: WeightsReader, model: Any) -> list[int | None] | None:
    """The shape of the images that a Model of weights takes; None if its network has no
    size of its own."""
    size = weights.metadata.get("image_size") or model.default_image_size
    if not size:
        return None
    channels = weights.metadata.get("input_channels")
    if channels is None:
        function, options = model.network_function, model.network_options
        channels = sizes_in(weights, function, options)[1]
    return [None, size, size, channels]


def patterns_of_new(weights: Weights, model: Any) -> list[str]:
    """What `exclude` of `load_weights` leaves out for new logits, where public weights
    of a built Model's network are of another number of classes; else nothing."""
    known = weights.metadata
    if "weights" not in known or known.get("model_name") != model.network_name:
        return []
    same = (model.num_classes or None) == known.get("num_classes")
    return [] if same else patterns_of_others(weights, model)


def fill(model: Any, weights: Weights, classes: int | None) -> None:
    """Gives a Model that has no variables yet those of weights.

    Logits of another number of classes are new, which is said in absl's log.

    Args:
        model: the Model.
        weights: what `open_named` gave.
        classes: of the weights.

    Raises:
        ValueError: if they do not fit.
    """
    shape = input_shape_of(weights, model)
    if shape is None:
        raise ValueError(
            f"{model.network_name} has no default image size: build the Model, then "
            "load(path)."
        )
    model.build(shape)
    exclude = []
    if (model.num_classes or None) != classes:
        exclude = patterns_of_others(weights, model)
    report = load_weights(weights, model, exclude)
    if report.excluded:
        absl.logging.warning(
            "%s is of %s classes, %s of %d: new are %s.",
            weights.prefix,
            classes,
            model.network_name,
            model.num_classes,
            listed(report.excluded, _NAMED),
        )
