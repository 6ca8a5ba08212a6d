"""The highest learning rate where none is given: by optimizer and batch size.

Of gradient descent it grows with the batch (Goyal et al., arXiv:1706.02677), of what
divides by the gradients' size with its root (Malladi et al., arXiv:2205.10287).
"""

from __future__ import annotations

import math

# What a batch size is compared to.
IMAGES_PER_RATE = 256
_LINEAR, _ROOT, _SAME = 1.0, 0.5, 0.0

# For 256 images a step, and the power of the batch by which it grows. Sources: He et
# al., arXiv:1512.03385 (momentum); research/slim (rmsprop, whose epsilon is 1); You et
# al., arXiv:1904.00962 (lamb) and arXiv:1708.03888 (lars, which scales it by layer);
# Chen et al., arXiv:2302.06675 (lion, a tenth of adam's); Keras's defaults (the rest).
_RATES = {
    "sgd": (0.1, _LINEAR),
    "momentum": (0.1, _LINEAR),
    "nesterov": (0.1, _LINEAR),
    "rmsprop": (0.01, _LINEAR),
    "adam": (1e-3, _ROOT),
    "adamw": (1e-3, _ROOT),
    "adamax": (1e-3, _ROOT),
    "nadam": (1e-3, _ROOT),
    "adagrad": (0.01, _ROOT),
    "adadelta": (1.0, _SAME),
    "adafactor": (1e-3, _ROOT),
    "ftrl": (0.01, _ROOT),
    "lamb": (5e-3, _ROOT),
    "lion": (1e-4, _ROOT),
    "lars": (1.0, _LINEAR),
    "muon": (0.02, _ROOT),
}


def default_rate(optimizer: str, batch_size: int) -> float:
    """The highest learning rate of an optimizer for so many images a step."""
    rate, power = _RATES[optimizer]
    return rate * math.pow(batch_size / IMAGES_PER_RATE, power)
