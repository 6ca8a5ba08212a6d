"""StableHLO, the portable form of what XLA compiles, as text."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from slimnets.export.frozen import Frozen
from slimnets.export.graph import AttrValue, GraphDef, NodeDef, type_attribute
from slimnets.export.refusals import refusals_of
from slimnets.export.saved_model import Run

_STAGE = "stablehlo"
# Of the operation XlaCallModule; 9 is of a module with a public @main, on platforms.
_CALL, _CALL_VERSION = "call", 9
# The first line, a comment to MLIR, names what @main takes and gives.
_NAMES = "// slimnets "


def write_stablehlo(frozen: Frozen, path: str) -> None:
    """Writes a network as a StableHLO module.

    Its function `@main` takes inputs and gives outputs in float32, in the order of the
    names that stand, as JSON, in the comment of the first line.

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

    def compute(*values: tf.Tensor) -> list[tf.Tensor]:
        outputs = inner(**dict(zip(frozen.inputs, values, strict=True)))
        return [outputs[name] for name in frozen.outputs]

    function = tf.function(compute, jit_compile=True, autograph=False)
    # The compiler wants values, of which it reads shapes and types.
    zeros = [tf.zeros(spec.shape, spec.dtype) for spec in frozen.inputs.values()]
    what = f"TensorFlow {tf.__version__} gives no StableHLO of this network"
    with refusals_of(what):
        text = function.experimental_get_compiler_ir(*zeros)(stage=_STAGE)
    names = {"inputs": list(frozen.inputs), "outputs": list(frozen.outputs)}
    pathlib.Path(path).write_text(
        f"{_NAMES}{json.dumps(names)}\n{text}", encoding="utf-8"
    )


def load_stablehlo(path: str) -> tuple[Run, list[str]]:
    """Returns what runs a StableHLO module by XLA, and the names of its inputs.

    Raises:
        ValueError: if `write_stablehlo` has not written it.
    """
    text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    try:
        names = json.loads(text.partition("\n")[0].removeprefix(_NAMES))
        inputs, outputs = names["inputs"], names["outputs"]
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"{path} does not begin with the names of its inputs and outputs, as a "
            "StableHLO module from slimnets does."
        ) from None
    graph_def = _calling(text, inputs, len(outputs))

    def compute(*values: tf.Tensor) -> list[tf.Tensor]:
        with tf.device("/CPU:0"):
            return tf.graph_util.import_graph_def(
                graph_def,
                input_map=dict(zip(inputs, values, strict=True)),
                return_elements=[f"{_CALL}:{i}" for i in range(len(outputs))],
                name="",
            )

    function = tf.function(compute, autograph=False)

    def run(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = function(*(tf.constant(images[name]) for name in inputs))
        return {k: v.numpy() for k, v in zip(outputs, values, strict=True)}

    return run, inputs


def _calling(text: str, inputs: list[str], outputs: int) -> GraphDef:
    """Returns a graph of one call of a module.

    The operation is in every TensorFlow with XLA, but tf.raw_ops has no function that
    makes it.
    """
    lists = AttrValue.ListValue
    dtype = type_attribute(tf.float32)
    module = NodeDef(op="XlaCallModule", name=_CALL, input=inputs)
    unknown = [tf.TensorShape(None).as_proto()] * outputs
    for key, value in {
        "Tin": AttrValue(list=lists(type=[dtype.type] * len(inputs))),
        "Tout": AttrValue(list=lists(type=[dtype.type] * outputs)),
        "Sout": AttrValue(list=lists(shape=unknown)),
        "version": AttrValue(i=_CALL_VERSION),
        "module": AttrValue(s=text.encode()),
        "platforms": AttrValue(list=lists(s=[b"CPU"])),
    }.items():
        module.attr[key].CopyFrom(value)
    graph_def = GraphDef()
    for name in inputs:
        placeholder = graph_def.node.add(op="Placeholder", name=name)
        placeholder.attr["dtype"].CopyFrom(dtype)
    graph_def.node.append(module)
    return graph_def
