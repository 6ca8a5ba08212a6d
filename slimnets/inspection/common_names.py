"""Names for two subjects of `diff` that call one network's variables differently."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from slimnets.checkpoints.convert import NetworkWeights
from slimnets.checkpoints.mapping import NOT_VARIABLES
from slimnets.checkpoints.networks import name_of, network_of
from slimnets.checkpoints.targets import OF_TRAINING
from slimnets.inspection.subjects import Subject

# Kinds of types that are no numbers, but texts, such as a graph's.
TEXTS = "OSU"


def with_common_names(a: Subject, b: Subject) -> tuple[Subject, Subject, str]:
    """Returns A and B with the same names for the same variables, and how it was done.

    Nothing is done where most names are the same already, but for an outer scope.
    """
    if not a.variables or not b.variables or _are_common(a, b):
        return a, b, ""
    known = a.network or b.network
    if known:
        found = [_as_network(side, *(side.network or known)) for side in (a, b)]
        if _are_common(*found):
            return *found, f"those of {name_of(network_of(None, known[0]))}"
    if a.value and b.value:
        names = _by_values(a, b)
        if names:
            how = f"{len(names)} of B have those of the variables of A of equal values"
            return _without_bookkeeping(a), _renamed(b, a, names), how
    return a, b, ""


def _are_common(a: Subject, b: Subject) -> bool:
    names = [set(side.without_scope().variables or ()) for side in (a, b)]
    return 2 * len(names[0] & names[1]) >= min(map(len, names))


def _as_network(side: Subject, network: Any, options: Mapping[str, Any]) -> Subject:
    """A file's weights by the names and in the layouts of a network, if it fits."""
    if side.reader is None:
        return side
    with contextlib.suppress(ValueError, KeyError, TypeError):
        weights = NetworkWeights(side.reader, network_of(None, network), options)
        report, specs = weights.found.report, weights.specs
        shapes = {name: tuple(specs[name].shape) for name in report.loaded}
        shapes |= {name: side.variables[name] for name in report.unexpected}
        if report.loaded and not report.wrong_shape:
            return dataclasses.replace(
                side,
                variables=shapes,
                value=lambda name: (
                    weights.value(name) if name in report.loaded else side.value(name)
                ),
            )
    return side


def _without_bookkeeping(side: Subject) -> Subject:
    """A side without what is no weight in any framework, by its name."""
    shapes = {
        name: shape
        for name, shape in side.variables.items()
        if not (OF_TRAINING.fullmatch(name) or NOT_VARIABLES.fullmatch(name))
    }
    return dataclasses.replace(side, variables=shapes)


def _by_values(a: Subject, b: Subject) -> dict[str, str]:
    """Maps names of B to those of A whose values are the same, as far as there are."""
    waiting = collections.defaultdict(list)
    for name in _without_bookkeeping(a).variables:
        waiting[_content(a.value(name))].append(name)
    names = {}
    for name in _without_bookkeeping(b).variables:
        value = b.value(name)
        alike = waiting[_content(value)]
        for other in alike:
            if _rearranged(value, a.value(other)) is not None:
                names[name] = other
                alike.remove(other)
                break
    return names


def _content(value: np.ndarray) -> tuple[int, bytes]:
    """The same for all arrangements of the same values."""
    if value.dtype.kind in TEXTS:
        return value.size, b""
    ordered = np.sort(np.asarray(value).astype(np.float64), axis=None)
    return ordered.size, hashlib.sha256(ordered.tobytes()).digest()


def _rearranged(value: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """The value in the layout of one with equal values; None if it has no such."""
    if value.size == like.size and np.array_equal(value.ravel(), like.ravel()):
        return value.reshape(like.shape)
    inner = [size for size in like.shape if size != 1]
    for axes in itertools.permutations(range(np.squeeze(value).ndim)):
        turned = np.squeeze(value).transpose(axes)
        if list(turned.shape) == inner and np.array_equal(turned, np.squeeze(like)):
            return turned.reshape(like.shape)
    return None


def _renamed(b: Subject, a: Subject, names: Mapping[str, str]) -> Subject:
    """B with the names and shapes of A's variables of equal values."""
    old = {new: name for name, new in names.items()}
    rest = _without_bookkeeping(b).variables
    shapes = {
        names.get(name, name): a.variables[names[name]] if name in names else shape
        for name, shape in rest.items()
    }
    return dataclasses.replace(
        b,
        variables=shapes,
        value=lambda name: a.value(name) if name in old else b.value(name),
    )
