"""SavedModel and frozen graph: TensorFlow's own formats, and what runs them."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.data.pixel_limit import decode_image
from slimnets.data.preprocessing import Preprocessing
from slimnets.export.frozen import IMAGES, LOGITS, PROBABILITIES, Frozen, outputs_of
from slimnets.export.graph import GraphDef
from slimnets.export.refusals import refusals_of
from slimnets.export.split_batches import Run, in_halves

SERVING, ENCODED = "serving_default", "encoded"
ENCODED_INPUT = "image_bytes"

# From images, and names of outputs, to those outputs in the caller's graph.
InGraph = Callable[[tf.Tensor, Sequence[str]], list[tf.Tensor]]


def write_saved_model(
    frozen: Frozen,
    path: str,
    recipe: Preprocessing | None,
    exif_orientation: bool = True,
) -> None:
    """Writes a SavedModel whose weights are constants, as runtimes fuse them best.

    Its signatures: `serving_default` takes the inputs by name; `encoded` takes
    `image_bytes`, strings of JPEG, PNG, GIF or BMP, `[batch]`, of images of any sizes,
    if the network takes one image and its preprocessing is known. TensorFlow Serving
    takes a directory of them by version: `NAME/1`, `NAME/2`.

    Args:
        frozen: what to write.
        path: the directory.
        recipe: how images become the input; None without `encoded`.
        exif_orientation: whether `encoded` turns photos upright, as EXIF says.
    """
    module = tf.Module(name="exported")
    function = frozen.function()
    module.serve = function
    signatures = {SERVING: function}
    if recipe is not None and _takes_encoded(frozen, recipe):
        module.serve_encoded = _encoded(frozen, recipe, exif_orientation)
        signatures[ENCODED] = module.serve_encoded
    with refusals_of("TensorFlow refuses to save this network"):
        tf.saved_model.save(module, path, signatures=signatures)


def _takes_encoded(frozen: Frozen, recipe: Preprocessing) -> bool:
    spec = frozen.inputs.get(IMAGES)
    if spec is None or spec.shape.rank != 4:
        return False
    _, height, width, channels = spec.shape
    square = height is not None and height == width
    return square and channels in (1, 3) and recipe.rank == 3


def _encoded(frozen: Frozen, recipe: Preprocessing, exif_orientation: bool) -> Any:
    """Returns the function from encoded images to the outputs."""
    batch, size, _, channels = frozen.inputs[IMAGES].shape

    def prepare(data: tf.Tensor) -> tf.Tensor:
        image = decode_image(
            data, channels, exif_orientation=exif_orientation, python=False
        )
        return recipe.prepare(image[tf.newaxis], size)[0]

    network = frozen.function()

    def compute(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = tf.TensorSpec([size, size, channels], tf.float32)
        images = tf.map_fn(prepare, image_bytes, fn_output_signature=spec)
        return network(images=images)

    spec = tf.TensorSpec([batch], tf.string, ENCODED_INPUT)
    return tf.function(compute, autograph=False).get_concrete_function(spec)


def load_saved_model(path: str) -> tuple[Run, list[str]]:
    """Returns what runs `serving_default`, and the names of its inputs."""
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures[SERVING]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        # A signature does not keep alive what it was loaded from.
        assert loaded is not None
        return outputs_of(signature, inputs)

    specs = signature.structured_input_signature[1]
    return in_halves(run, specs.values()), list(specs)


def in_graph(graph_def: GraphDef) -> InGraph:
    """Returns what imports a network of one input into the caller's graph."""

    def imported(images: tf.Tensor, names: Sequence[str]) -> list[tf.Tensor]:
        return tf.graph_util.import_graph_def(
            graph_def, {IMAGES: images}, [f"{name}:0" for name in names], name=""
        )

    return imported


def saved_graph(path: str) -> GraphDef:
    """The graph of a SavedModel that `write_saved_model` wrote, constants included.

    Raises:
        ValueError: if it is another's.
    """
    loaded = tf.saved_model.load(path)
    serve = getattr(loaded, "serve", None)
    if serve is None:
        raise ValueError(f"{path} is a SavedModel that slimnets export did not write.")
    # TensorFlow gives a function of one trace back as one of any, or as it was.
    (function,) = getattr(serve, "concrete_functions", [serve])
    return function.graph.as_graph_def()


def write_frozen_graph(frozen: Frozen, path: str) -> None:
    """Writes a GraphDef; the nodes of inputs and outputs have the fixed names."""
    pathlib.Path(path).write_bytes(
        frozen.graph_def.SerializeToString(deterministic=True)
    )


def frozen_graph(path: str) -> GraphDef:
    """Reads a GraphDef. Raises ValueError if it is none."""
    graph_def = GraphDef()
    try:
        graph_def.ParseFromString(pathlib.Path(path).read_bytes())
    except Exception:  # protobuf's DecodeError has no public home in TensorFlow.
        raise ValueError(f"{path} is no frozen graph.") from None
    return graph_def


def load_frozen_graph(path: str, outputs: tuple[str, ...]) -> tuple[Run, list[str]]:
    """Returns what runs a GraphDef, and the names of its inputs.

    Args:
        path: the file.
        outputs: names of its outputs; none for those that such files have.

    Raises:
        ValueError: if it cannot be read or has no such outputs.
    """
    graph_def = frozen_graph(path)
    nodes = {node.name: node for node in graph_def.node}
    found = outputs or tuple(n for n in nodes if n in (LOGITS, PROBABILITIES))
    missing = [name for name in found if name not in nodes]
    if missing or not found:
        raise ValueError(
            f"{os.path.basename(path)} has no outputs "
            f"{', '.join(missing) or 'logits and probabilities'}."
        )
    specs = {
        name: tf.TensorSpec(
            tf.TensorShape(node.attr["shape"].shape),
            tf.as_dtype(node.attr["dtype"].type),
            name,
        )
        for name, node in nodes.items()
        if node.op == "Placeholder"
    }
    run = functools.partial(outputs_of, Frozen(graph_def, specs, found).function())
    return in_halves(run, specs.values()), list(specs)
