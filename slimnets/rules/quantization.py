"""The rules of quantization-aware training; see `layers.fake_quantization`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# Variables of what is quantized, which a network of floats does not have.
VARIABLES = r".*/fake_quantized(_\d+)?/.*"
_PLACES = r".*/fake_quantized(_\d+)?"


def is_quantized(names: Iterable[str]) -> bool:
    """Whether these are names of variables of a network that is quantized."""
    return any(re.fullmatch(VARIABLES, name) for name in names)


def quantization_rules(
    delay: int = 0, float_layers: str | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Rules by which a network computes as int8 does: weights and activations.

    Args:
        delay: steps of training before which nothing is rounded.
        float_layers: a regular expression of the scopes of layers, or of what is around
            them, that stay as they are.
    """
    transforms = {
        "weight_transform": "fake_quantized",
        "activation_transform": "fake_quantized_activations",
    }
    rules: list[tuple[str, dict[str, Any]]] = [(".*", transforms)]
    if float_layers:
        rules.append((f"(?:{float_layers})(/.*)?", dict.fromkeys(transforms)))
    return [*rules, (_PLACES, {"delay": delay})]
