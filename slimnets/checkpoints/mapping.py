"""Names and layouts of other frameworks, as rules that are data.

A rule says how a slimnets variable, named relative to its network's scope, is called
elsewhere. The first rule that matches the whole name counts. Templates may use the
pattern's groups and what `groups_of` makes of the numbers among them.

Source: timm's and torchvision's resnet.py, timm's resnetv2.py (BiT in torch) and BiT's
.npz files.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping

import numpy as np

from slimnets.checkpoints import torch_networks
from slimnets.checkpoints.torch_networks import NORMED as _NORMED
from slimnets.checkpoints.torch_networks import PART as _PART
from slimnets.checkpoints.torch_networks import UNIT as _UNIT
from slimnets.checkpoints.torch_networks import Rules

_NORM = {"gamma": "weight", "beta": "bias"} | {
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_TORCH_PARTS = {**_NORM, "weights": "weight", "biases": "bias"} | {
    "depthwise_weights": "weight"
}
_BIT_PARTS = {"weights": "kernel", "biases": "bias"}

# timm's ResNet: an average pool stands first in a downsampling shortcut of the `d`
# kind, and a deep root is a sequence with its activations counted.
_TORCH_UNITS: Rules = (
    (rf"{_UNIT}/conv(?P<conv>\d){_NORMED}", "layer{block}.{unit0}.bn{conv}.{part}"),
    (rf"{_UNIT}/conv(?P<conv>\d){_PART}", "layer{block}.{unit0}.conv{conv}.{part}"),
    (rf"{_UNIT}/se/fc(?P<fc>\d){_PART}", "layer{block}.{unit0}.se.fc{fc}.{part}"),
    (rf"logits{_PART}", "fc.{part}"),
)
_TORCH_SHORTCUT: Rules = (
    (rf"{_UNIT}/shortcut{_NORMED}", "layer{block}.{unit0}.downsample.1.{part}"),
    (rf"{_UNIT}/shortcut{_PART}", "layer{block}.{unit0}.downsample.0.{part}"),
)
_TORCH_AVERAGE_SHORTCUT: Rules = (
    (rf"{_UNIT}/shortcut{_NORMED}", "layer{block}.{unit0}.downsample.2.{part}"),
    (rf"{_UNIT}/shortcut{_PART}", "layer{block}.{unit0}.downsample.1.{part}"),
)
_TORCH_ROOT: Rules = (
    (rf"conv1(?:_3)?{_NORMED}", "bn1.{part}"),
    (rf"conv1{_PART}", "conv1.{part}"),
    (rf"conv1_1{_NORMED}", "conv1.1.{part}"),
    (rf"conv1_1{_PART}", "conv1.0.{part}"),
    (rf"conv1_2{_NORMED}", "conv1.4.{part}"),
    (rf"conv1_2{_PART}", "conv1.3.{part}"),
    (rf"conv1_3{_PART}", "conv1.6.{part}"),
    (rf"pool1{_NORMED}", "maxpool.1.{part}"),
    (rf"pool1{_PART}", "maxpool.0.{part}"),
)
_BIT_NAMES: Rules = (
    (rf"{_UNIT}/preact{_PART}", "stages.{block0}.blocks.{unit0}.norm1.{part}"),
    (
        rf"{_UNIT}/shortcut{_PART}",
        "stages.{block0}.blocks.{unit0}.downsample.conv.{part}",
    ),
    (
        rf"{_UNIT}/conv(?P<conv>\d){_NORMED}",
        "stages.{block0}.blocks.{unit0}.norm{next_conv}.{part}",
    ),
    (
        rf"{_UNIT}/conv(?P<conv>\d){_PART}",
        "stages.{block0}.blocks.{unit0}.conv{conv}.{part}",
    ),
    (rf"conv1{_PART}", "stem.conv.{part}"),
    (rf"postnorm{_PART}", "norm.{part}"),
    (rf"logits{_PART}", "head.fc.{part}"),
)

_BIT: Rules = (
    (rf"{_UNIT}/preact{_PART}", "resnet/{block_unit}/a/group_norm/{part}"),
    (
        rf"{_UNIT}/shortcut{_PART}",
        "resnet/{block_unit}/a/proj/standardized_conv2d/{part}",
    ),
    (
        rf"{_UNIT}/conv(?P<conv>\d){_NORMED}",
        "resnet/{block_unit}/{next_letter}/group_norm/{part}",
    ),
    (
        rf"{_UNIT}/conv(?P<conv>\d){_PART}",
        "resnet/{block_unit}/{letter}/standardized_conv2d/{part}",
    ),
    (rf"conv1{_PART}", "resnet/root_block/standardized_conv2d/{part}"),
    (rf"postnorm{_PART}", "resnet/group_norm/{part}"),
    (rf"logits{_PART}", "resnet/head/conv2d/{part}"),
)


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
    "torch": Source(
        _TORCH_PARTS, _TORCH_UNITS + _TORCH_SHORTCUT + _TORCH_ROOT, head="dense"
    ),
    "torch_d": Source(
        _TORCH_PARTS, _TORCH_UNITS + _TORCH_AVERAGE_SHORTCUT + _TORCH_ROOT, head="dense"
    ),
    "torch_bit": Source(_TORCH_PARTS, _BIT_NAMES),
    "bit": Source(_BIT_PARTS, _BIT, "same", "same"),
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
        if self.layout == "depthwise":
            return np.transpose(value, (2, 3, 0, 1))
        if self.layout in ("conv", "dense") and value.ndim == 4:
            return np.transpose(value, (2, 3, 1, 0))  # Some heads are convolutions.
        if self.layout == "conv":
            raise ValueError(f"{self.name!r} has {value.ndim} axes rather than 4.")
        if self.layout == "dense":
            return np.transpose(value)[np.newaxis, np.newaxis]
        if self.layout == "dense_in_out":
            return value[np.newaxis, np.newaxis] if value.ndim == 2 else value
        if self.layout == "dense_7x7":
            return value.reshape(7, 7, -1, value.shape[-1])
        if self.layout == "grouped":
            return np.swapaxes(value, 2, 3)
        return value

    def from_slimnets(self, value: np.ndarray) -> np.ndarray:
        """Returns a value from here as it is arranged there."""
        if self.layout == "conv":
            return np.transpose(value, (3, 2, 0, 1))
        if self.layout == "depthwise":
            return np.transpose(value, (2, 3, 0, 1))
        if self.layout == "dense":
            return np.transpose(value[0, 0])
        if self.layout == "dense_in_out":
            return value[0, 0]
        if self.layout == "dense_7x7":
            return value.reshape(-1, value.shape[-1])
        if self.layout == "grouped":
            return np.swapaxes(value, 2, 3)
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
