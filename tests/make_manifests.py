"""Writes what guards every registered network: run it after adding rows.

    python -m tests.make_manifests [PATTERN...]

With patterns, networks whose names match none of them stay as they are noted.
tests/golden/manifest.json.gz has each network's variables, by name and shape;
slimnets/nets/counts.json, which `slimnets list` shows, their numbers of parameters and
multiply-adds; slimnets/cli/networks.json, which it shows too, what the registry knows
of each; slimnets/inspection/layers.xz what `slimnets summary` shows of it. The tests
compare them with what is built; a difference in the variables of a network that exists
already means that its checkpoints no longer load.
"""

import fnmatch
import gzip
import json
import lzma
import math
import pathlib
import sys

import slimnets
from slimnets.cli import network_table
from slimnets.inspection import Summary, count_multiply_adds, layers_of, summarize
from slimnets.inspection.graphs import graph_of
from slimnets.inspection.summary import as_line, committed
from tests.helpers import GOLDEN, v1

MANIFEST = GOLDEN / "manifest.json.gz"
PACKAGE = pathlib.Path(slimnets.layers.__file__).parents[1]
COUNTS = PACKAGE / "nets" / "counts.json"
TABLE = PACKAGE / "cli" / "networks.json"
LAYERS = PACKAGE / "inspection" / "layers.xz"

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


def describe(name):
    """Returns a network's variables, its counts, and its summary by default."""
    shapes, num_classes = inputs_and_classes(name)
    _, graph = graph_of(name, num_classes, shapes)
    with graph.as_default():
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
    if not slimnets.network_info(name).default_image_size:
        return variables, counts, None
    if name in OTHERS or num_classes != 1000:
        return variables, counts, summarize(name)
    return variables, counts, Summary(name, tuple(layers_of(graph)))


def table():
    """Returns what the registry knows of slimnets' own networks."""
    infos = map(slimnets.network_info, slimnets.list_networks())
    return {
        info.name: {field: getattr(info, field) for field in network_table.FIELDS}
        for info in infos
        if info.family != "custom"
    }


def as_lines(rows):
    """Returns a JSON object with a line for each of its values."""
    lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(*patterns):
    names = slimnets.list_networks()
    manifest = json.loads(gzip.decompress(MANIFEST.read_bytes()))
    counts = json.loads(COUNTS.read_text())
    wanted = {name for p in patterns or "*" for name in fnmatch.filter(names, p)}
    summaries = {name: committed(name) for name in names if name not in wanted}
    for name in wanted:
        manifest[name], counts[name], summaries[name] = describe(name)
    manifest = {name: manifest[name] for name in names if name in manifest}
    counts = {name: counts[name] for name in names if name in counts}
    text = json.dumps(manifest, separators=(",", ":"))
    # Without a time of writing the same networks give the same file.
    MANIFEST.write_bytes(gzip.compress(text.encode(), mtime=0))
    COUNTS.write_text(as_lines(counts))
    TABLE.write_text(as_lines(table()))
    lines = [as_line(summaries[name]) for name in names if summaries.get(name)]
    LAYERS.write_bytes(lzma.compress("".join(lines).encode(), preset=9))


if __name__ == "__main__":
    main(*sys.argv[1:])
