"""StableHLO, the portable form of what XLA compiles, as text."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from slimnets.export.frozen import Frozen
from slimnets.export.saved_model import Run

_STAGE = "stablehlo"


def write_stablehlo(frozen: Frozen, path: str) -> Run:
    """Writes a network as a StableHLO module, and returns what XLA makes of it.

    TensorFlow gives the text but has no public way to run it, so what is returned runs
    the function that the text is of.

    Raises:
        ValueError: for a batch that is free, or a TensorFlow that has no StableHLO.
    """
    for name, spec in frozen.inputs.items():
        if not spec.shape.is_fully_defined():
            raise ValueError(
                f"StableHLO has fixed sizes, but the shape of {name} is {spec.shape}: "
                "give a batch size."
            )
    inner = frozen.function()
    function = tf.function(
        lambda **inputs: inner(**inputs), jit_compile=True, autograph=False
    )
    # The compiler wants values, of which it reads shapes and types.
    zeros = {k: tf.zeros(spec.shape, spec.dtype) for k, spec in frozen.inputs.items()}
    try:
        text = function.experimental_get_compiler_ir(**zeros)(stage=_STAGE)
    except (ValueError, TypeError, AttributeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(
            f"TensorFlow {tf.__version__} gives no StableHLO of this network: {reason}"
        ) from None
    pathlib.Path(path).write_text(text, encoding="utf-8")

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = function(**{k: tf.constant(v) for k, v in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    return run
