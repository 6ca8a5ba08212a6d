"""Every registered network: lint finds nothing, and its summary leaves nothing out.

Thin networks of most kinds in the fast suite; all of them, as large as they are, in
the slow one.
"""

import inspect
import math

import pytest
import tensorflow as tf

import slimnets
from slimnets.inspection import count_multiply_adds
from slimnets.inspection.graphs import placeholders
from slimnets.rows.builder import network_of
from slimnets.rows.row import Row
from tests.helpers import v1
from tests.make_manifests import inputs_and_classes
from tests.nets import slim_networks

NAMES = slimnets.list_networks()
# The others of many layers, even where they are thin, are left to the slow suite.
KINDS = (
    "resnet_v1_50", "resnet_v2_50", "seresnext50_32x4d", "resnetrs50", "resnetblur50",
    "wrn_16_8", "bit_r50x1", "multi_cloud", "convnext_tiny", "densenet121",
    "inception_v1", "lenet", "mobilenet_v1", "mobilenet_v3_small",
)  # fmt: skip


def thin(name):
    """A network of the same kinds of layers, and inputs that are enough for it."""
    network = slimnets.network_info(name).network
    row = getattr(network, "row", None)
    shapes, _ = inputs_and_classes(name)
    if isinstance(row, Row) and name not in slim_networks.NAMES:
        network, shapes = network_of(row.thin()), [None, 33, 33, 3]
    options = {}
    if "depth_multiplier" in inspect.signature(network).parameters:
        options["depth_multiplier"] = 0.125
    return network, shapes, options


def full(name):
    return slimnets.network_info(name).network, inputs_and_classes(name)[0], {}


def assert_reads_well(form, name, tensor):
    network, shapes, options = form(name)
    with tf.Graph().as_default() as graph:
        training = v1.placeholder(tf.bool, [], name="is_training") if tensor else True
        network(placeholders(shapes), num_classes=3, is_training=training, **options)
        sizes = [math.prod(v.shape.as_list()) for v in v1.global_variables()]
        trained = [math.prod(v.shape.as_list()) for v in v1.trainable_variables()]
    report = slimnets.lint_graph(graph)
    assert not report and str(report) == "nothing found"
    summary = slimnets.summarize(graph)
    assert (summary.trainable, summary.parameters) == (sum(trained), sum(sizes))
    known = {layer.name for layer in summary.layers}
    assert len(known) == len(summary.layers)
    for layer in summary.layers:
        assert bool(layer.inputs) == (layer.kind != "Input")
        assert known.issuperset(layer.inputs)
    if None not in tf.nest.flatten(shapes):
        assert summary.multiply_adds == count_multiply_adds(graph)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        *((name, True) for name in KINDS),
        *((name, False) for name in ("resnet_v1_50", "resnet_v2_50", "pointnet")),
    ],
)
def test_thin_networks_read_well(name, tensor):
    assert_reads_well(thin, name, tensor)


@pytest.mark.slow
@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_registered_networks_read_well(name, tensor):
    assert_reads_well(full, name, tensor)
