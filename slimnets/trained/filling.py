"""Filling a Model that is to be trained on with what was trained before."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from slimnets.checkpoints import LoadReport, Weights, load_weights, open_weights
from slimnets.checkpoints.recognition import class_axes
from slimnets.data.class_names import logits_of_labels, names_of_logits
from slimnets.data.labels import labels_beside
from slimnets.listing import listed
from slimnets.model import Model
from slimnets.model.pretrained import patterns_of_new
from slimnets.trained.opening import are_given

# So many layers stand in a message.
_NAMED = 4


def load_into(
    model: Model,
    path: str | os.PathLike,
    *,
    averages: bool | None = None,
    rename: Iterable[tuple[str, str]] = (),
    exclude: Callable[[Sequence[str]], Iterable[str]] = lambda names: (),
    label_names: Sequence[str] | None = None,
) -> str:
    """Fills a Model that is built, such as one that is to be trained on.

    Args:
        model: the network; its classes need not be the file's if their logits are left
            out by `exclude`, as those of public weights are in any case.
        path: a file or a checkpoint as of `open_trained`. One of a classifier, or of
            another head, fills the backbone of a head alone.
        averages: as of `open_trained`.
        rename: as of `load_weights`.
        exclude: a function of the file's names; gives patterns as of `load_weights`.
        label_names: of the model's classes; where the file has other ones, or in
            another order, its logits are put into this order.

    Returns:
        One line: how many variables are of what, and the scopes of those that are new.

    Raises:
        FileNotFoundError, ValueError: as `load_weights`; and if the file's classes
            have other names.
    """
    weights = open_weights(path, averages)
    patterns = [*exclude(list(weights)), *patterns_of_new(weights, model)]
    if _has_no_head(model, weights):
        return _fill_backbone(model, weights, patterns, rename)
    _check_classes(model, weights, patterns, label_names)
    report = load_weights(weights, model, patterns, rename)
    if label_names is not None and are_given(weights.prefix, weights.metadata):
        named = labels_beside(weights.prefix, weights.metadata)
        _order_classes(model, report, named, label_names, weights.prefix)
    return _told(report, weights, report.excluded)


def _told(report: LoadReport, weights: Weights, new: Sequence[str]) -> str:
    every = len(report.loaded) + len(new)
    return f"{len(report.loaded)} of {every} variables from {weights.source}" + (
        f"; new: {_scopes(new)}" if new else ""
    )


def _has_no_head(model: Model, weights: Weights) -> bool:
    """Whether the model is a head on a backbone, and a file has none of that head."""
    scopes = getattr(model.network_function, "head_scopes", ())
    return bool(scopes) and not any(_in(name, scopes) for name in weights)


def _fill_backbone(
    model: Model,
    weights: Weights,
    patterns: Sequence[str],
    rename: Iterable[tuple[str, str]],
) -> str:
    """Fills the backbone of a head; what else a file has, of classes or of another
    head, is left over."""
    scopes = vars(model.network_function)["head_scopes"]
    variables = model.variables_by_name
    backbone = {name: v for name, v in variables.items() if not _in(name, scopes)}
    names = [*backbone, *weights]
    report = load_weights(
        weights,
        backbone,
        [p for p in patterns if any(re.fullmatch(p, name) for name in names)],
        rename,
        allow_partial=True,
        network=model.network_options["backbone"],
    )
    if report.missing:
        raise ValueError(f"Cannot load {report}")
    return _told(report, weights, [n for n in variables if n not in report.loaded])


def _in(name: str, scopes: Iterable[str]) -> bool:
    return any(name.startswith(f"{scope}/") for scope in scopes)


def _check_classes(
    model: Model,
    weights: Weights,
    patterns: Sequence[str],
    label_names: Sequence[str] | None,
) -> None:
    """Raises ValueError if the layer of classes of a head would be that of others."""
    theirs = labels_beside(weights.prefix, weights.metadata)
    if label_names is None or not theirs or tuple(theirs) == tuple(label_names):
        return
    for scope in getattr(model.network_function, "class_scopes", ()):
        names = [n for n in model.variables_by_name if re.match(f"{scope}/", n)]
        if not all(any(re.fullmatch(p, name) for p in patterns) for name in names):
            raise ValueError(
                f"{weights.prefix} has the classes {listed(theirs, _NAMED)}, and the "
                f"run has {listed(label_names, _NAMED)}; leave their layer out for a "
                f"new one (exclude=['{scope}/.*'])."
            )


def _scopes(names: Sequence[str]) -> str:
    """The layers of variables, each by its name alone, the first few of them."""
    found = list(dict.fromkeys(name.split("/")[-2:][0] for name in names))
    return listed(found, _NAMED)


def _order_classes(
    model: Model,
    report: LoadReport,
    names: Sequence[str] | None,
    label_names: Sequence[str],
    path: str,
) -> None:
    """Puts the logits that were loaded into the order of other labels."""
    if names is None or tuple(names) == tuple(label_names):
        return
    axes = class_axes(model.network_function, model.network_options)
    heads = {n: axis for n, axis in axes.items() if n in report.loaded}
    if not heads:
        return
    layers = sorted({f"{name.rpartition('/')[0]}/.*" for name in heads})
    try:
        named = names_of_logits(names, model.num_classes, path)
        order = logits_of_labels(
            label_names, named, model.num_classes or 0, network=f"the checkpoint {path}"
        )
    except ValueError as error:
        raise ValueError(
            f"{str(error).rstrip('.')}; leave the logits out for new ones "
            f"(exclude={layers})."
        ) from None
    for name, axis in heads.items():
        variable = model.variable_by_name(name)
        variable.assign(tf.gather(tf.convert_to_tensor(variable), order, axis=axis))
