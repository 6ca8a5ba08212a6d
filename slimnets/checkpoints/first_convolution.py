"""The first convolution's weights for images of another number of channels.

Source: adapt_input_conv of timm/models/_manipulate.py (Apache 2.0).
"""

from __future__ import annotations

import numpy as np

from slimnets.checkpoints.base import Shape
from slimnets.checkpoints.networks import every_root, is_at_top

MODES = ("sum", "repeat")
_COLOURS = 3
_CHANNELS = 2  # The axis of the input's channels in [height, width, input, output].


class Adaption:
    """Changes the root's weights for three channels into those for another number.

    `sum` is for one channel: the logits are those that three equal channels give.
    `repeat` is for any number N: the weights are repeated in turn, times 3 / N.

    Raises:
        ValueError: for another mode.
    """

    def __init__(self, mode: str | None):
        if mode is not None and mode not in MODES:
            raise ValueError(f"adapt_root={mode!r}; allowed are None, 'sum', 'repeat'.")
        self.mode = mode
        self._channels: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that get changed weights."""
        return tuple(self._channels)

    def accepts(self, name: str, theirs: Shape, ours: Shape) -> bool:
        """Whether a variable of shape `ours` can be had of weights of shape `theirs`.

        Raises:
            ValueError: if `sum` is asked for and the root takes more than one channel.
        """
        if self.mode is None or not is_root_of_colours(name, theirs, ours):
            return False
        if self.mode == "sum" and ours[_CHANNELS] != 1:
            raise ValueError(
                f"adapt_root='sum' is for one channel; {name} takes "
                f"{ours[_CHANNELS]}: use 'repeat'."
            )
        self._channels[name] = ours[_CHANNELS]
        return True

    def value(self, name: str, value: np.ndarray) -> np.ndarray:
        """Returns the weights as the variable needs them."""
        channels = self._channels.get(name)
        if channels is None:
            return value
        if self.mode == "sum":
            return value.sum(axis=_CHANNELS, keepdims=True)
        turns = np.arange(channels) % _COLOURS
        scale = np.asarray(_COLOURS / channels, value.dtype)
        return value[:, :, turns] * scale


def is_root_of_colours(name: str, theirs: Shape, ours: Shape) -> bool:
    """Whether only the number of channels of a root differs, and theirs is three."""
    if len(theirs) != 4 or len(ours) != 4:
        return False
    colours = (*ours[:_CHANNELS], _COLOURS, *ours[_CHANNELS + 1 :])
    if theirs != colours or theirs == ours:
        return False
    return any(is_at_top(name, root) for root in every_root())
