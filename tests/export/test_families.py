"""Every family in every format: what is written runs, and gives what the network does.

Exporting compares the two on sample images and refuses to write what differs; ONNX
files are checked by onnx.checker and run in ONNX Runtime, TFLite files in LiteRT or
TensorFlow's interpreter.
"""

import importlib.util
import math

import pytest
import tensorflow as tf

import slimnets
from slimnets.export import FORMATS, export_model
from slimnets.export.agreement import TOLERANCES
from tests.export.networks import families, small_model

# StableHLO is text here; XLA takes minutes to read more numbers than these.
MOST_NUMBERS = 10**7
NOT_KERAS = ("takes one input", "it cannot hold")
INSTALLED = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def formats(model):
    """The formats that can hold a network here."""
    left_out = set()
    if not INSTALLED:
        left_out.add("onnx")
    name, function = model.network_name, model.network_function
    if function is not slimnets.network_info(name).network:
        left_out.add("keras")  # A file names a registered network, and no thin one.
    if sum(math.prod(v.shape) for v in model.variables) > MOST_NUMBERS:
        left_out.add("stablehlo")
    return [name for name in FORMATS if name not in left_out]


@pytest.mark.slow
@pytest.mark.parametrize("network", families())
def test_every_format_gives_what_the_network_gives(network, tmp_path):
    model, shape = small_model(network)
    for name in formats(model):
        if name == "stablehlo":
            sizes = tf.nest.map_structure(lambda size: size or 2, shape)
        else:
            sizes = shape
        path = tmp_path / f"exported{FORMATS[name].ending}"
        try:
            report = export_model(model, path, format=name, input_shape=sizes)
        except ValueError as error:
            if f"TensorFlow {tf.__version__} gives no StableHLO" in str(error):
                continue  # As 2.16.
            if name == "keras" and any(reason in str(error) for reason in NOT_KERAS):
                continue
            raise AssertionError(f"{network} as {name}: {error}") from None
        assert report.difference <= TOLERANCES["float32"]
