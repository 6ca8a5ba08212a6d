"""Where Keras's .weights.h5 and .keras files have each variable of a network.

Layers are called by their class there, and numbered in the order of the network's
layers: `conv2d_3/kernel`. Names stand beside them since Keras 3.3.

Source: keras/src/saving/saving_lib.py (Apache 2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from slimnets.checkpoints.mapping import Foreign

# The order of what a network has before its stages, in a unit, and behind them. A
# shortcut's layers come where they are as far from the end as others.
_ROOT = ("Conv", "conv1", "norm1", "block1_conv1", "block1_conv2")
_WITHIN = (
    "preact", "downsample_norm", "downsample", "expand", "conv", "depthwise", "norm",
    "squeeze_excite/Conv", "squeeze_excite/Conv_1", "project", "conv1", "conv2", "fc1",
    "fc2", "layer_scale", "separable_conv1", "separable_conv2", "shortcut", "conv3",
    "separable_conv3",
)  # fmt: skip
_TAIL = (
    "block14_sepconv1", "block14_sepconv2", "Conv_1", "conv_head", "Conv_2", "postnorm",
    "head_norm", "Logits", "logits",
)  # fmt: skip
# What a layer is by a variable that it has.
_KINDS = {
    "moving_mean": "batch_normalization",
    "pointwise_weights": "separable_conv2d",
    "beta": "layer_normalization",
    "layer_scale": "layer_scale",
}


def places(foreign: Mapping[str, Foreign]) -> dict[str, str]:
    """Returns each variable's place: `conv2d_3/kernel`.

    A layer of a model inside of the network is in `sequential_1/conv2d`.

    Args:
        foreign: of all variables of a network, by names relative to its scope.
    """
    layers: dict[str, list[str]] = {}
    for name in sorted(foreign, key=_order):
        layers.setdefault(foreign[name].name.rpartition("/")[0], []).append(name)
    numbers: dict[tuple[str, str], dict[str, int]] = {}
    found = {}
    for layer, names in layers.items():
        place = ""
        models = layer.split("/")[:-1]
        kinds = (*("sequential" for _ in models), _kind(names, foreign))
        for part, kind in zip(layer.split("/"), kinds, strict=True):
            same = numbers.setdefault((place, kind), {})
            number = same.setdefault(part, len(same))
            place += f"{kind}_{number}/" if number else f"{kind}/"
        for name in names:
            found[name] = place + foreign[name].name.rpartition("/")[2]
    return {name: found[name] for name in foreign}


def _kind(names: list[str], foreign: Mapping[str, Foreign]) -> str:
    parts = {name.rpartition("/")[2] for name in names}
    for part, kind in _KINDS.items():
        if part in parts:
            return kind
    if any(foreign[name].layout.startswith("dense") for name in names):
        return "dense"
    alone = "depthwise_weights" in parts and foreign[names[0]].layout == "same"
    return "depthwise_conv2d" if alone else "conv2d"


def _order(name: str) -> tuple:
    """A key by which a network's variables lie in the order of its layers."""
    path = re.sub(r"/(?:BatchNorm/)?\w+$", "", name)
    first, _, inner = path.partition("/")
    stage = 0 if first in _ROOT else 1
    if first in _TAIL:
        stage = 2 + _TAIL.index(first)
    unit = re.match(r"unit_(\d+)/\w+/?", inner)
    layer = inner[unit.end() :] if unit else inner
    layer = layer or name.rpartition("/")[2]
    within = _WITHIN.index(layer) if layer in _WITHIN else 0
    number = int(unit[1]) if unit else 0
    return stage, _numbers(first), first, number, within, _numbers(layer), layer


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


# How EfficientNet B0 to B7 make their inputs of RGB: the means of ImageNet and the
# squares of the deviations, of values in [0, 1].
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def constants(source: str, channels: int) -> dict[str, np.ndarray]:
    """What a file of Keras's has beside a network's variables, by its place.

    Args:
        source: the rules of its names.
        channels: of the images; other than RGB are left as they are.
    """
    if source != "keras_efficientnet":
        return {}
    mean, deviation = _MEAN, _DEVIATION
    if channels != len(_MEAN):
        mean, deviation = (0.0,) * channels, (1.0,) * channels
    values = np.float32(mean), np.float32(deviation) ** 2, np.int32(0)
    return {f"normalization/{i}": np.asarray(v) for i, v in enumerate(values)}


def layer_name(name: str) -> str:
    """The layer of a variable: `conv2d_3` for `conv2d#3/kernel`."""
    return name.rpartition("/")[0].replace("#0", "").replace("#", "_")
