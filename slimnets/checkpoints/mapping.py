"""Names and layouts of other frameworks, as rules that are data.

A rule says how a slimnets variable, named relative to its network's scope, is called
elsewhere. The first rule that matches the whole name counts. Templates may use the
pattern's groups and, of the numbers among them, `unit0` (the unit counted from 0)
and `stage` (the block counted from 2).

Source: timm's and torchvision's resnet.py, keras.applications.resnet, timm's
resnetv2.py (BiT in torch) and BiT's .npz files.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

import numpy as np

_NORM = {"gamma": "weight", "beta": "bias"} | {
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_TORCH_PARTS = {**_NORM, "weights": "weight", "biases": "bias"}
_KERAS_PARTS = {"weights": "kernel", "biases": "bias"}
_UNIT = r"block(?P<block>\d+)/unit_(?P<unit>\d+)/\w+"
_PART = r"/(?P<part>\w+)"
_NORMED = r"/(?:BatchNorm|GroupNorm)" + _PART

Rule = tuple[str, str]

# timm's ResNet: an average pool stands first in a downsampling shortcut of the `d`
# kind, and a deep root is a sequence with its activations counted.
_TORCH_UNITS: tuple[Rule, ...] = (
    (rf"{_UNIT}/conv(?P<conv>\d){_NORMED}", "layer{block}.{unit0}.bn{conv}.{part}"),
    (rf"{_UNIT}/conv(?P<conv>\d){_PART}", "layer{block}.{unit0}.conv{conv}.{part}"),
    (rf"{_UNIT}/se/fc(?P<fc>\d){_PART}", "layer{block}.{unit0}.se.fc{fc}.{part}"),
    (rf"logits{_PART}", "fc.{part}"),
)
_TORCH_SHORTCUT: tuple[Rule, ...] = (
    (rf"{_UNIT}/shortcut{_NORMED}", "layer{block}.{unit0}.downsample.1.{part}"),
    (rf"{_UNIT}/shortcut{_PART}", "layer{block}.{unit0}.downsample.0.{part}"),
)
_TORCH_AVERAGE_SHORTCUT: tuple[Rule, ...] = (
    (rf"{_UNIT}/shortcut{_NORMED}", "layer{block}.{unit0}.downsample.2.{part}"),
    (rf"{_UNIT}/shortcut{_PART}", "layer{block}.{unit0}.downsample.1.{part}"),
)
_TORCH_ROOT: tuple[Rule, ...] = (
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
_KERAS: tuple[Rule, ...] = (
    (rf"{_UNIT}/preact{_PART}", "conv{stage}_block{unit}_preact_bn/{part}"),
    (rf"{_UNIT}/shortcut{_NORMED}", "conv{stage}_block{unit}_0_bn/{part}"),
    (rf"{_UNIT}/shortcut{_PART}", "conv{stage}_block{unit}_0_conv/{part}"),
    (
        rf"{_UNIT}/conv(?P<conv>\d){_NORMED}",
        "conv{stage}_block{unit}_{conv}_bn/{part}",
    ),
    (
        rf"{_UNIT}/conv(?P<conv>\d){_PART}",
        "conv{stage}_block{unit}_{conv}_conv/{part}",
    ),
    (rf"conv1{_NORMED}", "conv1_bn/{part}"),
    (rf"conv1{_PART}", "conv1_conv/{part}"),
    (rf"postnorm{_PART}", "post_bn/{part}"),
    (rf"logits{_PART}", "predictions/{part}"),
)
_BIT_NAMES: tuple[Rule, ...] = (
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

# A source's kinds of rules: its names of a variable's parts, and its rules.
SOURCES: dict[str, tuple[dict[str, str], tuple[Rule, ...]]] = {
    "torch": (_TORCH_PARTS, _TORCH_UNITS + _TORCH_SHORTCUT + _TORCH_ROOT),
    "torch_d": (_TORCH_PARTS, _TORCH_UNITS + _TORCH_AVERAGE_SHORTCUT + _TORCH_ROOT),
    "torch_bit": (_TORCH_PARTS, _BIT_NAMES),
    "keras": (_KERAS_PARTS, _KERAS),
}


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A variable elsewhere.

    Attributes:
        name: what it is called there.
        layout: how its values are arranged: `same`, `conv` (torch's `[out, in,
            height, width]`), `dense` (`[out, in]`) or `dense_in_out` (`[in, out]`)
            for a 1x1 convolution here.
    """

    name: str
    layout: str = "same"

    def to_slimnets(self, value: np.ndarray) -> np.ndarray:
        """Returns a value from there as it is arranged here."""
        if self.layout == "conv":
            return np.transpose(value, (2, 3, 1, 0))
        if self.layout == "dense":
            if value.ndim == 4:  # A head that is a 1x1 convolution there too.
                return np.transpose(value, (2, 3, 1, 0))
            return np.transpose(value)[np.newaxis, np.newaxis]
        if self.layout == "dense_in_out":
            return value[np.newaxis, np.newaxis]
        return value

    def from_slimnets(self, value: np.ndarray) -> np.ndarray:
        """Returns a value from here as it is arranged there."""
        if self.layout == "conv":
            return np.transpose(value, (3, 2, 0, 1))
        if self.layout == "dense":
            return np.transpose(value[0, 0])
        if self.layout == "dense_in_out":
            return value[0, 0]
        return value


def foreign_names(names: Iterable[str], source: str) -> dict[str, Foreign]:
    """Returns what each variable is called, and how it is arranged, elsewhere.

    Args:
        names: slimnets' names relative to the network's scope:
            `block1/unit_1/bottleneck_v1/conv1/weights`.
        source: a key of `SOURCES`.

    Raises:
        ValueError: for an unknown source, or a name that no rule covers.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r}; allowed are {', '.join(SOURCES)}.")
    parts, rules = SOURCES[source]
    compiled = [(re.compile(pattern), template) for pattern, template in rules]
    return {name: _foreign(name, source, parts, compiled) for name in names}


def _foreign(name, source, parts, rules) -> Foreign:
    for pattern, template in rules:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        groups = match.groupdict()
        part = groups["part"]
        groups["part"] = parts.get(part, part)
        if "unit" in groups:
            block, unit = int(groups["block"]), int(groups["unit"])
            groups |= {"unit0": unit - 1, "block0": block - 1, "stage": block + 1}
        if "conv" in groups:
            groups["next_conv"] = int(groups["conv"]) + 1
        return Foreign(template.format(**groups), _layout(name, part, source))
    raise ValueError(f"The variable {name!r} has no counterpart in {source}.")


def _layout(name: str, part: str, source: str) -> str:
    if part != "weights":
        return "same"
    if name.startswith("logits/"):
        return "dense_in_out" if source == "keras" else "dense"
    return "same" if source == "keras" else "conv"
