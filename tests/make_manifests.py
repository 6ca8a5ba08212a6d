"""Writes what guards every registered network: run it after adding rows.

    python -m tests.make_manifests

tests/golden/manifest.json.gz has each network's variables, by name and shape;
slimnets/nets/counts.json, which `slimnets list` shows, their numbers of parameters and
multiply-adds. The tests compare both with what is built; a difference in a network
that exists already means that its checkpoints no longer load.
"""

import gzip
import json
import math
import pathlib

import tensorflow as tf

import slimnets
from slimnets.inspection import count_multiply_adds
from tests.helpers import GOLDEN, v1

MANIFEST = GOLDEN / "manifest.json.gz"
COUNTS = pathlib.Path(slimnets.layers.__file__).parents[1] / "nets" / "counts.json"

# Inputs and classes of the networks that are not for square color images.
OTHERS = {
    "lenet": ([1, 28, 28, 1], 10),
    "pointnet": ([1, 1024, 3], 40),
    "pointnet_small": ([1, 256, 3], 5),
    "multi_cloud": (
        {"clouds": [[1, 100, 39], [1, 50, 39]], "auxiliary": [1, 46]},
        101,
    ),
}


def inputs_and_classes(name):
    """Returns the shapes a network is counted at, and the number of classes."""
    if name in OTHERS:
        return OTHERS[name]
    size = slimnets.network_info(name).default_image_size
    return [1, size, size, 3], 1000 if size > 32 else 10


def placeholders(shapes):
    """Returns a placeholder for each shape in a structure of lists and dicts."""
    if isinstance(shapes, dict):
        return {key: placeholders(value) for key, value in shapes.items()}
    if isinstance(shapes[0], list):
        return [placeholders(value) for value in shapes]
    return v1.placeholder(tf.float32, shapes)


def describe(name):
    """Returns a network's variables and its counts."""
    shapes, num_classes = inputs_and_classes(name)
    with tf.Graph().as_default() as graph:
        slimnets.build(name, placeholders(shapes), num_classes=num_classes)
        variables = {v.op.name: v.shape.as_list() for v in v1.global_variables()}
        trainable = [v.op.name for v in v1.trainable_variables()]
        multiply_adds = count_multiply_adds(graph)
    sizes = {key: math.prod(shape) for key, shape in variables.items()}
    counts = {
        "num_classes": num_classes,
        "trainable": sum(sizes[key] for key in trainable),
        "parameters": sum(sizes.values()),
        "multiply_adds": multiply_adds,
    }
    return variables, counts


def main():
    described = {name: describe(name) for name in slimnets.list_networks()}
    manifest = {name: variables for name, (variables, _) in described.items()}
    counts = {name: counts for name, (_, counts) in described.items()}
    text = json.dumps(manifest, separators=(",", ":"))
    # Without a time of writing the same networks give the same file.
    MANIFEST.write_bytes(gzip.compress(text.encode(), mtime=0))
    lines = [f"  {json.dumps(name)}: {json.dumps(c)}" for name, c in counts.items()]
    COUNTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
