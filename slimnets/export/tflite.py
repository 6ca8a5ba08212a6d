"""TFLite files, in float32, with float16 weights, or in int8."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import extras
from slimnets.export.frozen import Frozen, changed
from slimnets.export.graph import NodeGraph, is_channels_last
from slimnets.export.padding import biases_behind_dilations
from slimnets.export.quantized import for_tflite
from slimnets.export.refusals import refusals_of
from slimnets.export.saved_model import SERVING, Run, write_saved_model
from slimnets.quiet import standard_error_in

# XNNPACK of TensorFlow 2.18 counts them in a byte, and gives as many fewer.
_MOST_IMAGES = 255


def write_tflite(
    frozen: Frozen,
    path: str,
    precision: str,
    calibration: Sequence[Mapping[str, np.ndarray]] = (),
) -> None:
    """Writes a TFLite file with the signature `serving_default`.

    Args:
        frozen: a folded graph in float32, whose paddings are nodes of their own.
        path: the file.
        precision: `float32`; `float16`, in which weights are stored; or `int8`, in
            which everything is computed, between float32 inputs and outputs.
        calibration: for int8, inputs by name, a few images at a time; none for a
            network that was trained for it.
    """
    trained = frozen.quantized
    changes = [biases_behind_dilations]
    if precision != "int8":  # There a convolution would round.
        changes.append(subsampled_by_convolutions)
    elif trained:
        changes.append(for_tflite)
    frozen = changed(frozen, *changes)
    with tempfile.TemporaryDirectory() as directory:
        write_saved_model(frozen, directory, None)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=[SERVING]
        )
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8" and not trained:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _examples(calibration)
        with (
            _quietly(),
            refusals_of("TFLite's converter refuses this network"),
        ):
            content = converter.convert()
        pathlib.Path(path).write_bytes(content)


def subsampled_by_convolutions(graph: NodeGraph) -> None:
    """Puts depthwise convolutions with one in the place of max pools of one pixel.

    XNNPACK, which computes TFLite's operations, has no such pools: the network would
    fall into parts, and other kernels would have to compute what is between.
    """
    shapes = graph.shapes()
    for pool in graph.of("MaxPool"):
        of_pixels = list(pool.attr["ksize"].list.i) == [1, 1, 1, 1]
        if of_pixels and is_channels_last(pool):
            taken = graph.with_constant(
                "DepthwiseConv2dNative",
                f"{pool.name}/one",
                pool.input[0],
                np.ones([1, 1, shapes[pool.name][-1], 1]),
                graph.dtype(pool),
                strides=pool.attr["strides"],
                padding=pool.attr["padding"],
            )
            graph.bypass(pool.name, taken)


def _examples(
    calibration: Sequence[Mapping[str, np.ndarray]],
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields one image at a time, as the converter wants them for a signature."""
    for batch in calibration:
        for index in range(len(next(iter(batch.values())))):
            one = {name: values[index : index + 1] for name, values in batch.items()}
            yield SERVING, one


def load_tflite(path: str, threads: int | None = None) -> tuple[Run, list[str]]:
    """Returns what runs a TFLite file, and the names of its inputs."""
    interpreter_class = _interpreter_class()
    with _quietly():
        interpreter = interpreter_class(model_path=path, num_threads=threads)
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner(SERVING)

    details = runner.get_input_details()
    is_free = all(spec["shape_signature"][0] == -1 for spec in details.values())

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        number = len(next(iter(inputs.values())))
        if not number:  # Its interpreter would end the process.
            raise ValueError("TFLite computes one image or more; got none")
        size = _MOST_IMAGES if is_free else number
        found = []
        for start in range(0, number, size):
            part = {name: value[start : start + size] for name, value in inputs.items()}
            # The arrays that a runner gives are those of its next call.
            found.append({k: np.array(v) for k, v in runner(**part).items()})
        return {k: np.concatenate([each[k] for each in found]) for k in found[0]}

    return run, list(details)


def _interpreter_class() -> Any:
    """Returns LiteRT's interpreter, or that of TensorFlow where it still has one.

    Raises:
        ImportError: if there is neither.
    """
    try:
        return extras.require(
            "TFLite files are run by", "tflite", "ai_edge_litert.interpreter"
        ).Interpreter
    except ImportError:
        if not hasattr(tf.lite, "Interpreter"):
            raise
        return tf.lite.Interpreter


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps to itself what the converter and the interpreter print, which are notes.

    What goes wrong is raised. TensorFlow 2.21 warns that a later one has no
    interpreter; it uses it too.
    """
    with (
        open(os.devnull, "wb") as nowhere,
        standard_error_in(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        yield
