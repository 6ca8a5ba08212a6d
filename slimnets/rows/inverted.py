"""Networks of inverted residuals under timm's names: stages, root and head of a table.

Source: timm's efficientnet.py, mobilenetv3.py and _efficientnet_builder.py (Apache
2.0).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from slimnets.rows.arg_scopes import depthwise_arg_scope
from slimnets.rows.residual import HEAD, residual_row
from slimnets.rows.row import Row
from slimnets.rows.stage import Depths, Stage
from slimnets.units import Conv, fused_inverted_residual, inverted_residual
from slimnets.units.inverted import divisible

# Padding, decay of moving averages and epsilon, in TensorFlow's form and in torch's.
Form = tuple[str, float, float]
TENSORFLOW: Form = ("SAME", 0.99, 1e-3)
TORCH: Form = ("EVEN", 0.9, 1e-5)
# Of the unit's input, and with a sigmoid as its gate.
SQUEEZE = (
    *(("squeeze_ratio", 0.25), ("squeeze_input", True), ("gate_fn", tf.nn.sigmoid)),
)


@dataclasses.dataclass(frozen=True)
class Inverted:
    """A line of a table: units of one kind.

    Attributes:
        expansion: channels within for one of the input.
        depth: of the outputs.
        units: their number.
        stride: of the first.
        kernel: of its convolution.
        fused: whether that is not depthwise.
        options: further arguments of the units.
    """

    expansion: float
    depth: int
    units: int
    stride: int
    kernel: int
    fused: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def scaled_by(self, width: float, units: float, keeps: float = 0.9) -> Inverted:
        """Returns the same of other depths and numbers of units.

        Args:
            width: multiplies the depth.
            units: multiplies their number, which is rounded up.
            keeps: what rounding to a multiple of 8 leaves of the depth, at least.
        """
        return dataclasses.replace(
            self,
            depth=divisible(self.depth * width, keeps=keeps),
            units=math.ceil(self.units * units),
        )

    def stage(self, name: str, padding: str) -> Stage:
        """Returns the units as a stage."""
        own = (("expansion", self.expansion), ("kernel", self.kernel), *self.options)
        unit = fused_inverted_residual if self.fused else inverted_residual
        return Stage(
            *(name, unit, self.units, self.stride, self.depth),
            options=(*own, ("padding", padding)),
        )


def inverted_row(
    name: str,
    root: int,
    stages: Iterable[Inverted | tuple],
    head: Iterable[Any],
    form: Form,
    activation_fn: Callable,
    names: tuple,
    **fields: Any,
) -> Row:
    """Returns the row of a network of inverted residuals.

    Args:
        name: of the network.
        root: depth of its first convolution.
        stages: lines of its table, and tuples of single layers.
        head: what makes the features.
        form: `TENSORFLOW` or `TORCH`.
        activation_fn: of the convolutions.
        names: of `Row`.
        **fields: of `Row`.
    """
    padding, decay, epsilon = form
    return residual_row(
        name,
        tuple(
            line.stage(f"block{i}", padding) if isinstance(line, Inverted) else line
            for i, line in enumerate(stages, start=1)
        ),
        f"{name} of timm.",
        **{
            "root": (Conv("conv1", root, 3, 2, padding),),
            "head": dataclasses.replace(HEAD, features=tuple(head)),
            "arg_scope": _arg_scope(activation_fn, decay, epsilon),
            "depths": Depths(least=8, divisor=8),
            "weights": "torch",
            "names": names,
            "preprocessing": "torch",
            **fields,
        },
    )


@functools.cache
def _arg_scope(activation_fn: Callable, decay: float, epsilon: float) -> Callable:
    return functools.partial(
        depthwise_arg_scope,
        weight_decay=0.00001,
        batch_norm_decay=decay,
        activation_fn=activation_fn,
        batch_norm_epsilon=epsilon,
    )


def convolved(depth: int) -> tuple[Any, ...]:
    """Returns the head's layers: a 1x1 convolution of that depth before the pool."""
    return (Conv("conv_head", depth, 1), *HEAD.features)
