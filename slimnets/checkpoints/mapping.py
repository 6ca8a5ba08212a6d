"""Names and layouts of other frameworks, as rules that are data.

A rule says how a slimnets variable, named relative to its network's scope, is called
elsewhere. The first rule that matches the whole name counts. Templates may use the
pattern's groups and what `groups_of` makes of the numbers among them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping

import numpy as np

from slimnets.checkpoints import torch_networks
from slimnets.checkpoints.torch_networks import Rules

_TORCH_PARTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "weights": "weight",
    "biases": "bias",
    "depthwise_weights": "weight",
}
_BIT_PARTS = {"weights": "kernel", "biases": "bias"}


@dataclasses.dataclass(frozen=True)
class Source:
    """How one kind of file calls and arranges variables.

    Attributes:
        parts: its names of a variable's last part.
        rules: see above.
        layout: of convolutions: `same` or `conv`; see `Foreign`.
        head: of the dense layers' weights.
        dense: the variables of dense layers, as a pattern.
    """

    parts: dict[str, str]
    rules: Rules
    layout: str = "conv"
    head: str = "conv"
    dense: str = "logits/.*"


SOURCES = {
    "torch_bit": Source(_TORCH_PARTS, torch_networks.BIT),
    "bit": Source(_BIT_PARTS, torch_networks.BIT_NPZ, "same", "same"),
} | {
    name: Source(_TORCH_PARTS, rules, head="dense", **options)
    for name, (rules, options) in torch_networks.RULES.items()
}

# Some number all units of a network in one row.
_PLACE = re.compile(r"block(?P<block>\d+)/unit_(?P<unit>\d+)/")
# Of torch alone: Keras's depthwise weights are arranged as slimnets'.
_LAYOUTS = {"depthwise_weights": "depthwise"}

# What files have beside the variables: a count that only a cumulative average would
# need, the fixed kernel of a blur pool, and how Keras's networks make their inputs.
NOT_VARIABLES = re.compile(
    r"(?:.*\.)?(?:num_batches_tracked|filt)"
    r"|normalization(?:_\d+)?/(?:mean|variance|count|[012])"
)

# The axes there of the kernels' axes here, by layout.
_AXES = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "grouped": (0, 1, 3, 2)}


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A variable elsewhere.

    Attributes:
        name: what it is called there.
        layout: how its values are arranged: `same`, `conv` (torch's `[out, in,
            height, width]`), `dense` (`[out, in]`) or `dense_in_out` (`[in, out]`)
            for a 1x1 convolution here, `dense_7x7` for a 7x7 one, `depthwise`
            (torch's `[channels, 1, height, width]`) or `grouped` (Keras's `[height,
            width, 1, channels]`).
    """

    name: str
    layout: str = "same"

    def to_slimnets(self, value: np.ndarray) -> np.ndarray:
        """Returns a value from there as it is arranged here. May raise ValueError."""
        if self.layout == "dense" and value.ndim == 4:  # Some heads are convolutions.
            return np.transpose(value, _AXES["conv"])
        if self.layout in _AXES:
            return np.transpose(value, _AXES[self.layout])
        if self.layout == "dense":
            return np.transpose(value)[np.newaxis, np.newaxis]
        if self.layout == "dense_in_out":
            return value[np.newaxis, np.newaxis] if value.ndim == 2 else value
        if self.layout == "dense_7x7":
            return value.reshape(7, 7, -1, value.shape[-1])
        return value

    def from_slimnets(self, value: np.ndarray) -> np.ndarray:
        """Returns a value from here as it is arranged there."""
        if self.layout in _AXES:
            return np.transpose(value, tuple(np.argsort(_AXES[self.layout])))
        if self.layout == "dense":
            return np.transpose(value[0, 0])
        if self.layout == "dense_in_out":
            return value[0, 0]
        if self.layout == "dense_7x7":
            return value.reshape(-1, value.shape[-1])
        return value


def foreign_names(names: Iterable[str], source: str | Rules) -> dict[str, Foreign]:
    """Returns what each variable is called, and how it is arranged, elsewhere.

    Args:
        names: slimnets' names relative to the network's scope:
            `block1/unit_1/bottleneck_v1/conv1/weights`; all of a network's for those
            that number its units in one row.
        source: a key of `SOURCES`, or a network's own rules of its names in torch.

    Raises:
        ValueError: for an unknown source, or a name that no rule covers.
    """
    if isinstance(source, str) and source not in SOURCES:
        raise ValueError(f"source={source!r}; allowed are {', '.join(SOURCES)}.")
    names = list(names)
    units = {_place(match) for name in names if (match := _PLACE.match(name))}
    ranks = {unit: rank for rank, unit in enumerate(sorted(units))}
    return {name: _foreign(name, source, ranks) for name in names}


def _place(match: re.Match[str]) -> tuple[int, int]:
    return int(match["block"]), int(match["unit"])


@functools.cache
def _source(source: str | Rules) -> Source:
    if isinstance(source, str):
        return SOURCES[source]
    return Source(_TORCH_PARTS, source, head="dense")


@functools.cache
def _rules(source: str | Rules) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(pattern), template) for pattern, template in _source(source).rules
    ]


def _foreign(
    name: str, source: str | Rules, ranks: Mapping[tuple[int, int], int]
) -> Foreign:
    for pattern, template in _rules(source):
        if match := pattern.fullmatch(name):
            kind = _source(source)
            groups = groups_of(match.groupdict())
            if place := _PLACE.match(name):
                groups["rank"] = ranks[_place(place)]
            part = groups["part"]
            groups["part"] = kind.parts.get(part, part)
            layout = kind.head if re.fullmatch(kind.dense, name) else kind.layout
            layout = layout if part == "weights" else _LAYOUTS.get(part, "same")
            return Foreign(template.format(**groups), layout)
    where = source if isinstance(source, str) else "the rules of its network"
    raise ValueError(f"The variable {name!r} has no counterpart in {where}.")


def groups_of(groups: dict[str, str]) -> dict[str, str | int]:
    """Adds what templates want to know of the unit and the convolution in it."""
    made: dict[str, str | int] = {}
    if "block" in groups:
        block = int(groups["block"])
        made |= {"block0": block - 1, "block2": block - 2, "stage": block + 1}
    if "unit" in groups:
        unit = int(groups["unit"])
        made |= {"unit0": unit - 1, "unit_letter": chr(ord("a") + unit - 1)}
        made["block_unit"] = f"block{groups['block']}/unit{unit:02d}"
    if "conv" in groups:
        conv = int(groups["conv"])
        made |= {"next_conv": conv + 1, "letter": "abcd"[conv - 1 : conv]}
        made["next_letter"] = "abcd"[conv : conv + 1]
    return {**groups, **made}
