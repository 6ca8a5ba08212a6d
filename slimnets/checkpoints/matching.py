"""Finds each variable's tensor: by name, or by the rules of another framework."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints import keras_networks, mapping, networks, wrappers
from slimnets.checkpoints.base import AVERAGE, Shape, WeightsReader
from slimnets.checkpoints.first_convolution import Adaption
from slimnets.checkpoints.load_report import LoadReport, likely_causes
from slimnets.checkpoints.mapping import Foreign
from slimnets.checkpoints.targets import OF_TRAINING
from slimnets.listing import nearest

_BLOCK = 16


@dataclasses.dataclass(frozen=True)
class Request:
    """What the caller of `load_weights` asks for; see there."""

    exclude: Iterable[str] = ()
    rename: Iterable[tuple[str, str]] = ()
    include: Iterable[str] | None = None
    network: networks.Network | None = None
    adapt_root: str | None = None


@dataclasses.dataclass(frozen=True)
class Match:
    """A comparison of a file with variables.

    Attributes:
        report: its outcome.
        tensors: for each variable with a tensor that tensor, as the file has it.
        adaption: how the root's weights change, if they do.
    """

    reader: WeightsReader
    report: LoadReport
    tensors: Mapping[str, Foreign]
    adaption: Adaption

    def value(self, name: str, dtype: Any) -> np.ndarray:
        """Reads the value of a variable in its own layout and type.

        Raises:
            ValueError: if it cannot be read, or is of another kind of type.
        """
        tensor = self.tensors[name]
        value = tensor.to_slimnets(self.reader[tensor.name])
        value = self.adaption.value(name, value)
        dtype = tf.as_dtype(dtype).base_dtype
        stored = tf.as_dtype(value.dtype)
        if _family(stored) != _family(dtype):
            raise ValueError(
                f"{tensor.name!r} in {self.reader.prefix} is of type {stored.name}; "
                f"its variable is of type {dtype.name}."
            )
        return _contiguous(value, dtype.as_numpy_dtype)


def _contiguous(value: np.ndarray, dtype: Any) -> np.ndarray:
    """The value in row-major order, without a copy where it is already."""
    if value.flags.c_contiguous:
        return value.astype(dtype, copy=False)
    # Blocks of a cache line make a transposition several times as fast.
    result = np.empty(value.shape, dtype)
    for start in range(0, value.shape[-1], _BLOCK):
        block = np.s_[..., start : start + _BLOCK]
        result[block] = value[block]
    return result


def _family(dtype: tf.DType) -> tuple[bool, bool]:
    return dtype.is_floating, dtype.is_integer


def match(
    reader: WeightsReader, variables: Mapping[str, Any], request: Request
) -> Match:
    """Compares a file with variables.

    Args:
        reader: the file.
        variables: a dict from names to whatever has a shape.
        request: the caller's wishes.

    Raises:
        ValueError: if the patterns of the request are wrong or of no use.
    """
    chosen = Chosen(request.exclude, request.include)
    renaming = Renaming(request.rename)
    names = renaming.names(reader, reader)
    renaming.check_used(reader.prefix)
    tensors = _best_spelled(reader, names, variables, request.network)
    adaption = Adaption(request.adapt_root)
    loaded, missing, wrong_shape = {}, [], {}
    for name in variables:
        if name not in chosen:
            continue
        if name not in tensors:
            missing.append(name)
            continue
        tensor, ours = tensors[name], tuple(variables[name].shape)
        theirs = _shape_here(tensor, reader.shapes[tensor.name])
        if theirs == ours or adaption.accepts(name, theirs, ours):
            loaded[name] = tensor.name
        else:
            wrong_shape[name] = (theirs, ours)
    spare = {name: t for name, t in tensors.items() if name not in variables}
    ignored = [name for name in spare if _is_aside(name, tensors, reader)]
    unexpected = [n for n in spare if n in chosen and n not in set(ignored)]
    chosen.check_used([*variables, *tensors])
    report = LoadReport(
        source=reader.prefix,
        loaded=loaded,
        missing=missing,
        unexpected=unexpected,
        wrong_shape=wrong_shape,
        excluded=[name for name in variables if name not in chosen],
        ignored=ignored,
        adapted=adaption.names,
    )
    causes = likely_causes(report, reader, request.network)
    report = dataclasses.replace(report, causes=causes)
    return Match(reader, report, {n: tensors[n] for n in loaded}, adaption)


def _is_aside(name: str, tensors: Mapping[str, Foreign], reader: WeightsReader) -> bool:
    return bool(
        tensors[name].name in reader.bookkeeping
        or OF_TRAINING.fullmatch(name)
        or mapping.NOT_VARIABLES.fullmatch(name)
        or (name.endswith(AVERAGE) and name.removesuffix(AVERAGE) in tensors)
    )


def _shape_here(tensor: Foreign, shape: Shape) -> Shape:
    """The shape of a tensor in slimnets' layout; its own if that is not possible."""
    try:
        return tensor.to_slimnets(np.broadcast_to(np.float32(0), shape)).shape
    except ValueError:
        return shape


def _best_spelled(
    reader: WeightsReader,
    names: Mapping[str, str],
    variables: Mapping[str, Any],
    network: networks.Network | None,
) -> dict[str, Foreign]:
    """As `_translated`, of the names with or without wrappers, whichever fit more."""
    whole, spellings = names, [names]
    if reader.wrapper:
        whole = {reader.stored_name(tensor): tensor for tensor in names.values()}
        spellings.append(whole)
    wrapper = wrappers.wrapper_of({n: reader.shapes[t] for n, t in whole.items()})
    for part in wrappers.parts_of(wrapper):
        short = wrappers.without(part, whole)
        spellings.append({name: whole[long] for name, long in short.items()})
    found = [_translated(reader, each, variables, network) for each in spellings]
    return max(found, key=lambda tensors: sum(name in variables for name in tensors))


def _translated(
    reader: WeightsReader,
    names: Mapping[str, str],
    variables: Mapping[str, Any],
    network: networks.Network | None,
) -> dict[str, Foreign]:
    """Maps variables' names, or else tensors' own names, to tensors."""
    sources = networks.sources_of(network, reader.kind) if network else ()
    plain = {name: Foreign(tensor) for name, tensor in names.items()}
    best, most = plain, sum(name in variables for name in names)
    for source in sources:
        foreign = networks.foreign_names(variables, source, network)
        unnamed = source in keras_networks.UNNAMED
        called = keras_networks.renumbered(names) if unnamed else names
        found = {
            n: dataclasses.replace(f, name=called[f.name])
            for n, f in foreign.items()
            if f.name in called
        }
        if len(found) > most:
            used = {f.name for f in found.values()}
            rest = {n: f for n, f in plain.items() if f.name not in used}
            best, most = {**rest, **found}, len(found)
    return best


class Chosen:
    """Which names the patterns leave, and which patterns were of no use."""

    def __init__(self, exclude: Iterable[str], include: Iterable[str] | None):
        self._exclude = _compiled("exclude", exclude)
        self._include = None if include is None else _compiled("include", include)

    def __contains__(self, name: str) -> bool:
        if any(pattern.fullmatch(name) for pattern in self._exclude):
            return False
        return self._include is None or any(p.fullmatch(name) for p in self._include)

    def check_used(self, names: Sequence[str]) -> None:
        """Raises ValueError for a pattern that matches none of `names`."""
        for pattern in [*self._exclude, *(self._include or ())]:
            if not any(pattern.fullmatch(name) for name in names):
                near = nearest(pattern.pattern, names, cutoff=0.4)
                hint = f" The nearest are {near}." if near else ""
                raise ValueError(
                    f"The pattern {pattern.pattern!r} matches no whole name of a "
                    f"variable or tensor.{hint}"
                )


def _compiled(argument: str, patterns: Iterable[str]) -> list[re.Pattern[str]]:
    if isinstance(patterns, str):
        patterns = [patterns]
    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise ValueError(
            f"{argument}: {error.pattern!r} is not a regular expression: {error}."
        ) from None


def rename_pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the pairs `(pattern, replacement)` of texts `PATTERN=REPLACEMENT`.

    Raises:
        ValueError: for a text without a `=`.
    """
    found = [text.rpartition("=") for text in texts]
    for text, (_, equals, _) in zip(texts, found, strict=True):
        if not equals:
            raise ValueError(f"rename={text!r} is not PATTERN=REPLACEMENT.")
    return [(old, new) for old, _, new in found]


class Renaming:
    """What tensors are to be called, and which patterns were of no use.

    Args:
        rename: pairs of a pattern and a replacement.
    """

    def __init__(self, rename: Iterable[tuple[str, str]]):
        self._rules = [(_compiled("rename", old)[0], new) for old, new in rename]
        self._used: set[tuple[re.Pattern[str], str]] = set()

    def names(self, reader: WeightsReader, tensors: Iterable[str]) -> dict[str, str]:
        """Maps the names that some of a file's tensors should have to their own.

        Raises:
            ValueError: if two of them would have one name.
        """
        plain: dict[str, str] = {}
        moved: dict[str, str] = {}
        for tensor in tensors:
            # A pattern may be of the name with its wrappers, too.
            called = dict.fromkeys((tensor, reader.stored_name(tensor)))
            found = [
                (rule, match)
                for name in called
                for rule in self._rules
                if (match := rule[0].fullmatch(name))
            ]
            if not found:
                plain[tensor] = tensor
                continue
            rule, match = found[0]
            self._used.add(rule)
            name = match.expand(rule[1])
            if name in moved:
                raise ValueError(
                    f"rename gives {moved[name]!r} and {tensor!r} one name, {name!r}."
                )
            moved[name] = tensor
        # A name that was asked for wins over one that happens to be there, so that
        # moving averages can take the place of what they average.
        return {**plain, **moved}

    def check_used(self, where: str) -> None:
        """Raises ValueError for a pattern that has matched nothing."""
        for rule in self._rules:
            if rule not in self._used:
                raise ValueError(
                    f"rename: {rule[0].pattern!r} matches no whole name in {where}."
                )
