"""Lint finds each planted fault, and nothing in any registered network."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.nets.rows import Row, network_of
from tests.helpers import v1

ROWS = [
    name
    for name in slimnets.list_networks()
    if isinstance(getattr(slimnets.network_info(name).network, "row", None), Row)
]
KINDS = ("resnet_v1_50", "resnet_v2_50", "seresnext50_32x4d", "resnetrs50", "wrn_16_8")
KINDS += ("keras_resnet50", "bit_r50x1", "resnetblur50", "resnet_v1_cifar_20")


def kinds(report):
    return {finding.kind for finding in report}


def images():
    return v1.placeholder(tf.float32, [None, 33, 33, 3], name="images")


@pytest.mark.parametrize("tensor", [False, True])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in KINDS else pytest.mark.slow) for n in ROWS],
)
def test_registered_networks_are_clean(name, tensor):
    network = network_of(slimnets.network_info(name).network.row.thin())
    with tf.Graph().as_default() as graph:
        flag = v1.placeholder(tf.bool, [], name="is_training") if tensor else True
        network(images(), num_classes=3, is_training=flag, depth_multiplier=0.125)
    report = slimnets.lint_graph(graph)
    assert not report and str(report) == "nothing found"


def keras_of_tf1():
    """Wired as Keras of TensorFlow 1 did: the phase lives in the first norm."""
    phase = None
    net = images()
    for index in range(3):
        with v1.variable_scope(f"batch_normalization_{index}"):
            if phase is None:
                phase = v1.placeholder_with_default(False, [], "keras_learning_phase")
            gamma = v1.get_variable("gamma", [3], initializer=v1.ones_initializer())
            net = tf.where(phase, net * gamma, net + gamma)


def test_the_learning_phase_in_the_first_batch_norm_is_found():
    with tf.Graph().as_default() as graph:
        keras_of_tf1()
    report = slimnets.lint_graph(graph)
    assert kinds(report) == {"shared tensor"}
    (finding,) = report
    assert finding.name == "batch_normalization_0/keras_learning_phase"
    for words in (
        "batch_normalization_1",
        "batch_normalization_2",
        "read by 2",
        "outside",
    ):
        assert words in str(finding)


def test_an_inner_tensor_that_another_layer_reads_is_found():
    with tf.Graph().as_default() as graph:
        net = layers.conv2d(images(), 4, 3, scope="first")
        inner = graph.get_tensor_by_name("first/BiasAdd:0")
        layers.conv2d(net, 4, 3, scope="second")
        layers.conv2d(inner, 4, 3, scope="third")
    (finding,) = slimnets.lint_graph(graph)
    assert (finding.kind, finding.name) == ("shared tensor", "first/BiasAdd")


def train_graph(updates=True, regularize=True):
    """A training step that may forget what it should not."""
    with tf.Graph().as_default() as graph:
        with slimnets.arg_scope(
            [layers.conv2d],
            normalizer_fn=layers.batch_norm,
            weights_regularizer=layers.l2_regularizer(0.1),
        ):
            net = layers.conv2d(images(), 4, 3)
        loss = tf.reduce_mean(net)
        if regularize:
            loss += tf.add_n(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
        waiting = v1.get_collection(v1.GraphKeys.UPDATE_OPS) if updates else []
        with tf.control_dependencies(waiting):
            v1.train.GradientDescentOptimizer(0.1).minimize(loss)
    return graph


FORGOTTEN = {
    "lost update": {"updates": False},
    "lost regularizer": {"regularize": False},
}


@pytest.mark.parametrize("kind", FORGOTTEN)
def test_what_a_training_step_forgets_is_found(kind):
    assert not slimnets.lint_graph(train_graph())
    report = slimnets.lint_graph(train_graph(**FORGOTTEN[kind]))
    assert kinds(report) == {kind}
    assert len(report) == (2 if kind == "lost update" else 1)


@pytest.mark.parametrize("fault", ["norm", "dropout", None])
def test_training_mode_for_inference_is_found(fault):
    with tf.Graph().as_default() as graph:
        net = layers.conv2d(images(), 4, 3)
        net = layers.batch_norm(net, is_training=fault == "norm")
        layers.dropout(net, is_training=fault == "dropout")
    assert not slimnets.lint_graph(graph)
    report = slimnets.lint_graph(graph, inference=True)
    assert kinds(report) == ({"training mode"} if fault else set())


def test_unused_variables_are_found():
    with tf.Graph().as_default() as graph:
        layers.conv2d(images(), 4, 3)
        v1.get_variable("lonely", [3], initializer=v1.zeros_initializer())
        v1.train.Saver()
    (finding,) = slimnets.lint_graph(graph)
    assert (finding.kind, finding.name) == ("unused variable", "lonely")


def test_a_network_built_twice_on_the_same_inputs_is_found():
    with tf.Graph().as_default() as graph:
        inputs = images()
        build = functools.partial(
            slimnets.build, "resnet_v1_cifar_20", num_classes=2, scope="net"
        )
        build(inputs)
        build(inputs, reuse=True)
    assert kinds(slimnets.lint_graph(graph)) == {"duplicate"}
    with tf.Graph().as_default() as graph:
        layers.conv2d(images(), 4, 3, scope="same")
        layers.conv2d(images(), 4, 3, scope="same", reuse=True)
    assert not slimnets.lint_graph(graph)


def test_files_are_read(tmp_path):
    with tf.Graph().as_default() as graph:
        keras_of_tf1()
    v1.train.write_graph(graph, str(tmp_path), "graph.pb", as_text=False)
    v1.train.write_graph(graph, str(tmp_path), "graph.pbtxt", as_text=True)
    for name in ("graph.pb", "graph.pbtxt"):
        assert kinds(slimnets.lint_graph(tmp_path / name)) == {"shared tensor"}
    with tf.Graph().as_default():
        v1.summary.FileWriter(str(tmp_path / "logs"), graph).close()
    assert kinds(slimnets.lint_graph(tmp_path / "logs")) == {"shared tensor"}

    model = slimnets.Model("resnet_v1_cifar_20", num_classes=2)
    model.build([None, 16, 16, 3])
    tf.saved_model.save(
        model,
        str(tmp_path / "clean"),
        signatures=tf.function(lambda x: model(x)).get_concrete_function(
            tf.TensorSpec([None, 16, 16, 3], tf.float32)
        ),
    )
    assert not slimnets.lint_graph(tmp_path / "clean")
    tf.saved_model.save(
        model,
        str(tmp_path / "training"),
        signatures=tf.function(lambda x: model(x, training=True)).get_concrete_function(
            tf.TensorSpec([None, 16, 16, 3], tf.float32)
        ),
    )
    assert kinds(slimnets.lint_graph(tmp_path / "training")) == {"training mode"}


def test_what_is_no_graph_raises(tmp_path):
    (tmp_path / "noise.pb").write_bytes(np.random.default_rng(0).bytes(100))
    with pytest.raises(ValueError, match="not a GraphDef"):
        slimnets.lint_graph(tmp_path / "noise.pb")
    with pytest.raises(FileNotFoundError, match=r"none\.pb"):
        slimnets.lint_graph(tmp_path / "none.pb")
    with pytest.raises(ValueError, match="neither a SavedModel nor"):
        slimnets.lint_graph(tmp_path)
