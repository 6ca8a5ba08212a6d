"""The head of VGG, AlexNet and OverFeat: dense layers as convolutions."""

from __future__ import annotations

from typing import Any

from slimnets.rows.head_layers import (
    Dropout,
    GlobalPool,
    Kept,
    Logits,
    Predictions,
    Squeeze,
)
from slimnets.rows.heads import Head
from slimnets.units import Conv

Options = tuple[tuple[str, Any], ...]


def convolved_dense_head(
    depths: tuple[int, int],
    kernel: int,
    padding: str = "VALID",
    options: Options = (),
    logits_options: Options = (),
) -> Head:
    """Returns the layers `fc6`, `fc7` and `fc8`.

    Args:
        depths: of the first two.
        kernel: of the first, which makes an image one position.
        padding: of the first.
        options: further arguments of the first two.
        logits_options: further arguments of the last.
    """
    return Head(
        features=(
            Conv("fc6", depths[0], kernel, 1, padding, options, key="fc6"),
            Dropout("dropout6"),
            Conv("fc7", depths[1], 1, 1, None, options, key="fc7"),
            GlobalPool(),
        ),
        logits=(
            Dropout("dropout7"),
            Logits("fc8", options=logits_options),
            Squeeze("fc8/squeezed"),
            Kept("fc8"),
        ),
        end=(Predictions("predictions", default=None, keyed=True),),
    )
