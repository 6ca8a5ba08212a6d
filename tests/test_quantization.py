"""Training for int8: what is rounded, from when on, and that exports give the same."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import export, layers
from slimnets.export.graph import NodeGraph
from slimnets.export.quantized import scales_of
from slimnets.rules import quantization_rules
from slimnets.units.inverted import inverted_residual
from slimnets.units.residual import bottleneck_v2
from tests.helpers import v1

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, size=[8, 8, 8, 3]).astype("f")
DATA = RANDOM.normal(size=[4, 5]).astype("f")


def rounded(data, low, high):
    """What Jacob et al., equation 12, gives for a range that holds zero."""
    scale = (high - low) / 255
    zero = np.round(-low / scale)
    return scale * (np.clip(np.round(data / scale + zero), 0, 255) - zero)


@pytest.mark.parametrize("delay", (0, 2))
def test_ranges_of_activations_follow_the_batches(delay):
    low, high = -6.0, 6.0
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, DATA.shape)
        is_training = v1.placeholder(tf.bool, [])
        outputs = layers.fake_quantized_activations(
            images, decay=0.3, delay=delay, is_training=is_training
        )
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        session.run(v1.global_variables_initializer())
        for step in range(4):
            data = DATA * (step + 1)
            share = 1 - min(0.3, (1 + step) / (10 + step))
            low += share * (data.min() - low)
            high += share * (data.max() - high)
            feed = {images: data, is_training: True}
            value, _ = session.run([outputs, updates], feed)
            expected = rounded(data, low, high) if step >= delay else data
            np.testing.assert_allclose(value, expected, atol=1e-4)
        value, _ = session.run([outputs, updates], {images: 9 * DATA, is_training: 0})
        np.testing.assert_allclose(value, rounded(9 * DATA, low, high), atol=1e-4)
        found = {v.op.name: session.run(v) for v in v1.global_variables()}
    expected = {"min": low, "max": high, "step": 4}
    assert {k.removeprefix("fake_quantized/"): v for k, v in found.items()} == (
        pytest.approx(expected)
    )


def test_gradients_end_outside_of_the_range():
    model = slimnets.Model(lambda x, is_training: layers.fake_quantized_activations(
        x, is_training=is_training))  # fmt: skip
    x = tf.constant([[-9.0, 1.0, 9.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x)
    assert tape.gradient(outputs, x).numpy().tolist() == [[0, 1, 0]]


def small(images, num_classes=None, is_training=False):
    """One of each kind of layer, sum and norm that is rounded."""
    norm = {"normalizer_fn": layers.batch_norm}
    with slimnets.arg_scope(
        [layers.batch_norm, layers.fake_quantized, layers.fake_quantized_activations],
        is_training=is_training,
    ), slimnets.arg_scope([layers.batch_norm], decay=0.5, scale=True):  # fmt: skip
        net = layers.activations(images, scope="inputs")
        net = layers.conv2d(net, 8, 3, scope="conv1", **norm)
        with slimnets.arg_scope([layers.conv2d], **norm):
            net = bottleneck_v2(net, 8, 4, scope="unit_1")
            net = layers.activations(layers.batch_norm(
                net, activation_fn=tf.nn.relu, scope="preact"), scope="preact/outputs"
            )  # fmt: skip
            net = layers.max_pool2d(net, 2)
            with slimnets.arg_scope(
                [layers.separable_conv2d], activation_fn=tf.nn.relu6, **norm
            ):
                net = inverted_residual(net, 8, expansion=2, scope="unit_2")
        net = layers.avg_pool2d(net, 4, scope="pool")
        return layers.fully_connected(
            layers.flatten(net), num_classes, activation_fn=None, scope="logits"
        )


def trained(rules, steps=12):
    model = slimnets.Model(small, num_classes=5, seed=1, rules=rules)
    for step in range(steps):
        model(IMAGES * (1 + step % 3), training=True)
    return model


@pytest.fixture(scope="module")
def model():
    return trained(quantization_rules())


def own(images, num_classes=None):
    """A network that knows of no training, as what is there already may be."""
    net = layers.conv2d(images, 4, 3, scope="conv1")
    return layers.fully_connected(layers.flatten(net), num_classes, scope="logits")


def test_ranges_of_any_network_stay_in_inference():
    model = slimnets.Model(own, num_classes=5, seed=1, rules=quantization_rules())
    state = []
    for training in (False, True, False):
        model(9 * IMAGES, training=training)
        state.append(float(model.variable_by_name("conv1/outputs/fake_quantized/max")))
    assert state[0] == 6 and state[1] == state[2] != 6
    frozen = export.freeze(model, IMAGES.shape).folded().in_precision("int8")
    found = frozen.function()(images=tf.constant(IMAGES))["logits"]
    np.testing.assert_allclose(found, model(IMAGES), atol=0.1)


def test_a_delay_of_steps_and_layers_of_floats():
    plain = trained(())
    late = trained(quantization_rules(delay=100, float_layers="conv1|unit_.*"))
    np.testing.assert_allclose(late(IMAGES), plain(IMAGES), 1e-4, 1e-5)
    own = {n for n in late.variables_by_name if n not in plain.variables_by_name}
    assert {n.rpartition("/fake_quantized")[0] for n in own} == {
        "inputs", "preact/outputs", "pool/means", "logits", "logits/outputs",
    }  # fmt: skip
    for name, variable in late.variables_by_name.items():
        if name.endswith("/step"):
            variable.assign(100)
    assert len(np.unique(late(IMAGES))) < 5 * 8
    assert not np.allclose(late(IMAGES), plain(IMAGES), 1e-4, 1e-5)
    with pytest.raises(ValueError, match="rounds nothing yet"):
        early = trained(quantization_rules(delay=100), 1)
        export.export_model(
            early, "x.onnx", format="onnx", precision="int8", input_shape=IMAGES.shape
        )


def test_weights_into_which_norms_are_folded_are_whole_multiples_of_scales(model):
    """Jacob et al., section 3.2: it is the folded weights that are rounded."""
    frozen = export.freeze(model, IMAGES.shape).folded()
    graph = NodeGraph(frozen.graph_def, frozen.outputs)
    convolutions = [n for n in graph.nodes.values() if "Conv2" in n.op or "Mat" in n.op]
    # One more for each norm that stands alone: three inside of units are folded.
    assert len(convolutions) == 1 + 3 + 3 + 1 + 2
    assert not any("Norm" in node.op for node in graph.nodes.values())
    for node in convolutions:
        assert scales_of(graph, node) is not None, node.name
    values = frozen.function()(images=tf.constant(IMAGES))["logits"]
    np.testing.assert_allclose(values, model(IMAGES), atol=1e-4)


FORMATS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name == "onnx" and not importlib.util.find_spec("onnxruntime"),
            reason="onnxruntime is not installed",
        ),
    )
    for name in ("tflite", "onnx")
]


@pytest.mark.parametrize("format", FORMATS)
def test_int8_gives_what_the_network_gives(model, format, tmp_path):
    """To a step of the logits of the network, and all but sums between two steps of its
    graph in int8."""
    path = str(tmp_path / f"net.{format}")
    export.export_model(
        model, path, format=format, precision="int8", input_shape=[None, 8, 8, 3]
    )
    images = np.random.default_rng(1).uniform(-1, 1, [256, 8, 8, 3]).astype("f")
    found = export.load(path)(images)["logits"]
    high, low = (
        float(model.variable_by_name(f"logits/outputs/fake_quantized/{name}"))
        for name in ("max", "min")
    )
    step = (high - low) / 255
    assert np.abs(found - model(images)).max() < 1.01 * step
    frozen = export.freeze(model, [None, 8, 8, 3]).folded().in_precision("int8")
    wanted = frozen.function()(images=tf.constant(images))["logits"]
    steps = np.abs(np.round((found - wanted) / step))
    assert steps.max() <= 1 and np.mean(steps) < 0.005


def test_audits_name_the_worst_end_point_first():
    plain = slimnets.Model("resnet_v2_cifar_20", num_classes=3)
    plain.build(IMAGES.shape)
    found = export.audit(plain, IMAGES, format="frozen_graph", precision="bfloat16")
    assert len({row.end_point for row in found.rows}) == len(found.rows) > 20
    errors = [row.error for row in found.worst_first]
    assert errors == sorted(errors, reverse=True) and 0 < errors[0] < 0.1
    assert str(found).splitlines()[2].startswith(found.worst_first[0].end_point)
