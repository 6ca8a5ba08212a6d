"""Folded graphs: the same values by fewer operations."""

import collections

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers, subsample
from slimnets.export import fold, freeze
from slimnets.export.agreement import largest_difference, sample_inputs
from slimnets.export.frozen import changed
from slimnets.export.onnx_ops import OPERATORS
from slimnets.export.tflite import subsampled_by_convolutions
from slimnets.units.views import NORMS
from tests.export.networks import QUICK, families, randomize, small_model
from tests.helpers import of_each_kind


def operations(graph_def):
    return collections.Counter(node.op for node in graph_def.node)


def outputs_of(frozen, inputs):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    return {k: v.numpy() for k, v in frozen.function()(**tensors).items()}


FIRST = (
    "resnet_v2_18", "wrn_16_8", "bit_r50x1", "pointnet_small", "lenet",
    "mobilenet_v3_small",
)  # fmt: skip


# Beside what the ONNX writer writes: what it starts from, and makes dilations of.
OTHERS = {"Const", "Placeholder", "SpaceToBatchND", "BatchToSpaceND"}


def assert_folding_keeps(model, shape, **options):
    frozen = freeze(model, shape)
    folded = frozen.folded(**options)
    inputs = sample_inputs(frozen.inputs)
    expected = outputs_of(frozen, inputs)
    assert largest_difference(outputs_of(folded, inputs), expected) < 1e-4
    assert largest_difference(outputs_of(frozen, inputs), expected) == 0
    after = operations(folded.graph_def)
    assert after.keys() <= OPERATORS.keys() | OTHERS, "the ONNX writer knows them"
    return after, operations(frozen.graph_def)


@pytest.mark.parametrize("name", of_each_kind(QUICK, FIRST))
def test_folding_changes_no_value(name):
    after, before = assert_folding_keeps(*small_model(name))
    assert not any(after[op] for op in NORMS)
    assert after["Identity"] <= 6, "only outputs are identities"
    assert sum(after.values()) < sum(before.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(families()) - set(QUICK)))
def test_folding_changes_no_value_of_the_other_families(name):
    assert_folding_keeps(*small_model(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_folding_without_explicit_padding_changes_no_value(name):
    after, _ = assert_folding_keeps(*small_model(name), explicit_padding=False)
    assert not any(after[op] for op in NORMS)


def single_layer(build, shape=(None, 9, 9, 8)):
    """Returns a Model of what `build` makes of images."""

    def network(inputs, is_training=False):
        params = {"is_training": is_training, "scale": True}
        with slimnets.arg_scope([layers.batch_norm], **params):
            return build(inputs)

    model = slimnets.Model(network)
    model.build(list(shape))
    randomize(model)
    return model


NORMALIZED = {"normalizer_fn": layers.batch_norm}
BEFORE = {
    "dense": lambda x: layers.conv2d(x, 6, 3, **NORMALIZED),
    "strided": lambda x: layers.conv2d(x, 6, 3, stride=2, **NORMALIZED),
    "dilated": lambda x: layers.conv2d(x, 6, 3, rate=2, **NORMALIZED),
    "grouped": lambda x: layers.conv2d(x, 6, 3, groups=2, **NORMALIZED),
    "biased": lambda x: layers.conv2d(x, 6, 3, biases_before_norm=True, **NORMALIZED),
    "separable": lambda x: layers.separable_conv2d(x, 6, 3, **NORMALIZED),
    "depthwise": lambda x: layers.separable_conv2d(x, None, 3, 2, **NORMALIZED),
    "dilated depthwise": lambda x: layers.separable_conv2d(
        x, None, 3, rate=2, **NORMALIZED
    ),
    "matrix": lambda x: layers.fully_connected(x[:, 0, 0], 6, **NORMALIZED),
    "row": lambda x: layers.conv1d(x[:, 0], 6, 1, **NORMALIZED),
    "before dense": lambda x: layers.conv2d(layers.batch_norm(x), 6, 1),
    "before valid": lambda x: layers.conv2d(
        layers.batch_norm(x), 6, 3, padding="VALID"
    ),
    "before grouped": lambda x: layers.conv2d(layers.batch_norm(x), 6, 1, groups=2),
    "before matrix": lambda x: layers.fully_connected(layers.batch_norm(x[:, 0, 0]), 6),
    "after and before": lambda x: layers.conv2d(
        layers.batch_norm(layers.conv2d(x, 8, 3)), 6, 1, groups=2
    ),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_a_norm_becomes_part_of_the_layer_beside_it(kind):
    shape = [None, 9, 9, 8]
    after, _ = assert_folding_keeps(single_layer(BEFORE[kind]), shape)
    assert not after["Mul"] and not after["AddV2"] and not any(map(after.get, NORMS))
    assert after["BiasAdd"] == after["Relu"]


def test_a_norm_that_padding_follows_keeps_its_shift():
    """Zeros that are padded are not normalized."""
    model = single_layer(lambda x: layers.conv2d(layers.batch_norm(x), 6, 3))
    after, _ = assert_folding_keeps(model, [None, 9, 9, 8])
    assert after["AddV2"] == after["Mul"] == 1


def test_a_preactivation_norm_costs_a_sum_where_its_scales_are_positive():
    def build(x):
        x = layers.batch_norm(x, activation_fn=tf.nn.relu)
        return layers.conv2d(x, 4, 3) + layers.conv2d(x, 4, 1)

    model = single_layer(build)
    gamma = model.variable_by_name("BatchNorm/gamma")
    gamma.assign(np.linspace(0.5, 2, 8))
    after, _ = assert_folding_keeps(model, [None, 9, 9, 8])
    assert not after["Mul"]
    gamma.assign(np.linspace(-0.5, 2, 8))
    after, _ = assert_folding_keeps(model, [None, 9, 9, 8])
    assert after["Mul"] == 1


def residual_network(x):
    """Three pre-activation units, the second of which is strided."""
    x = layers.conv2d(x, 8, 3, activation_fn=None)
    for stride in (1, 2, 1):
        net = layers.batch_norm(x, activation_fn=tf.nn.relu)
        net = layers.conv2d(net, 4, 3, stride, **NORMALIZED)
        net = layers.conv2d(net, 8, 1, activation_fn=None)
        x = subsample(x, stride) + net
    return layers.conv2d(layers.batch_norm(x, activation_fn=tf.nn.relu), 5, 1)


def set_gammas(model, least):
    for name, variable in model.variables_by_name.items():
        if name.endswith("gamma"):
            variable.assign(np.linspace(least, 2, variable.shape[0]))


def test_a_residual_sum_carries_the_shift_of_the_norm_that_follows():
    model = single_layer(residual_network)
    set_gammas(model, 0.5)
    after, _ = assert_folding_keeps(model, [None, 9, 9, 8])
    assert not after["Mul"] and after["AddV2"] == 3, "the residual sums themselves"
    set_gammas(model, -0.6)
    after, _ = assert_folding_keeps(model, [None, 9, 9, 8])
    assert after["Mul"] == 4 and after["AddV2"] == 3


def test_a_sum_that_is_asked_for_carries_no_shift():
    """As the features of a level are."""

    def network(inputs, is_training=False):
        with slimnets.arg_scope([layers.batch_norm], is_training=is_training):
            net = layers.conv2d(inputs, 8, 3, activation_fn=None)
            return layers.batch_norm(net, activation_fn=tf.nn.relu), {"sum": net}

    model = slimnets.Model(network)
    model.build([None, 9, 9, 8])
    randomize(model)
    frozen = freeze(model, [None, 9, 9, 8], levels=["sum"])
    inputs = sample_inputs(frozen.inputs)
    found, wanted = (outputs_of(each, inputs) for each in (frozen.folded(), frozen))
    assert "features/sum" in wanted
    assert largest_difference(found, wanted) < 1e-5


def test_tensorflow_fuses_every_convolution():
    """Its optimizer would give up over a sum that an activation and others read."""
    model = single_layer(residual_network)
    set_gammas(model, 0.5)
    folded = freeze(model, [None, 9, 9, 8]).folded().for_tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        tf.graph_util.import_graph_def(folded.graph_def, name="")
        metadata = v1.RunMetadata()
        session.run(
            f"{folded.outputs[0]}:0",
            {"images:0": np.zeros([1, 9, 9, 8], np.float32)},
            v1.RunOptions(output_partition_graphs=True),
            metadata,
        )
    (graph,) = metadata.partition_graphs
    fused = [node for node in graph.node if node.op.endswith("FusedConv2D")]
    assert len(fused) == operations(folded.graph_def)["Conv2D"]
    inputs = sample_inputs(folded.inputs)
    expected = {"features": model(inputs["images"]).numpy()}
    assert largest_difference(outputs_of(folded, inputs), expected) < 1e-5


def test_tflite_subsamples_by_convolutions():
    """Exactly: a product with one changes nothing."""

    def network(x):
        pooled = layers.max_pool2d(x, 3, stride=2, padding="SAME")
        return layers.conv2d(x, 8, 1, stride=2) + subsample(x, 2) + pooled

    model = single_layer(network)
    frozen = freeze(model, [None, 9, 9, 8]).folded(explicit_padding=False)
    other = changed(frozen, subsampled_by_convolutions)
    found = operations(other.graph_def)
    assert (found["MaxPool"], found["DepthwiseConv2dNative"]) == (1, 1)
    inputs = sample_inputs(frozen.inputs)
    expected = outputs_of(frozen, inputs)
    for name, value in outputs_of(other, inputs).items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_convolution_that_others_read_keeps_its_weights():
    def build(x):
        x = layers.conv2d(x, 8, 3, activation_fn=None)
        return layers.batch_norm(x) + x

    after, _ = assert_folding_keeps(single_layer(build), [None, 9, 9, 8])
    assert after["Mul"] == 1


def test_convolution_bias_and_relu_are_left_in_a_row():
    model, shape = small_model("resnet_v1_50")
    folded = freeze(model, shape, levels=[]).folded().graph_def
    nodes = {node.name: node for node in folded.node}
    biases = [node for node in folded.node if node.op == "BiasAdd"]
    assert len(biases) == operations(folded)["Conv2D"]
    assert all(nodes[node.input[0]].op == "Conv2D" for node in biases)
    assert operations(folded)["Mul"] == 0


def test_a_norm_in_training_mode_is_refused():
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 4, 4, 2])
        ones = [tf.ones([2])] * 2
        outputs = tf.compat.v1.nn.fused_batch_norm(images, *ones, is_training=True)
        tf.identity(outputs[0], "logits")
        with pytest.raises(ValueError, match="not a batch norm for inference"):
            fold(graph.as_graph_def(), ["logits"])


def test_a_model_without_variables_is_refused():
    with pytest.raises(ValueError, match="no variables yet"):
        freeze(slimnets.Model("lenet", num_classes=2), [None, 28, 28, 1])


def test_an_activation_with_a_gradient_of_its_own_is_but_what_it_computes():
    model = slimnets.Model(
        lambda images: layers.conv2d(images, 4, 1, activation_fn=tf.nn.silu)
    )
    model.build([None, 4, 4, 3])
    folded = operations(freeze(model, [None, 4, 4, 3]).folded().graph_def)
    assert "IdentityN" not in folded and folded["Sigmoid"] == 1
    assert_folding_keeps(model, [None, 4, 4, 3])
