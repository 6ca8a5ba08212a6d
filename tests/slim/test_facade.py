"""`slim`: every name of tf_slim, each of them working, and tf_slim left as it was."""

import ast
import inspect
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import tensorflow as tf
import tf_slim

from slimnets import layers, slim
from tests.helpers import run_graph, v1

# What tf_slim's own layers say of TensorFlow's.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:UserWarning")

RUN_AGAIN = {
    name: sys.modules[name.replace("tf_slim", "slimnets.slim", 1)]
    for name in list(sys.modules)
    if name.partition(".")[0] == "tf_slim"
    and name != "tf_slim"
    and name.replace("tf_slim", "slimnets.slim", 1) in sys.modules
    and not name.startswith("tf_slim.nets")
}


def test_every_public_name_is_here():
    assert {n for n in dir(tf_slim) if not n.startswith("_")} <= set(slim.__all__)
    for name in slim.__all__:
        assert hasattr(slim, name)


def test_all_that_tf_slim_imports_has_run_again():
    assert len(RUN_AGAIN) > 30
    for name, module in RUN_AGAIN.items():
        assert module is not sys.modules[name]


@pytest.mark.parametrize("name", RUN_AGAIN)
def test_no_module_reads_what_its_modules_have_not(name):
    module = RUN_AGAIN[name]
    if name == "tf_slim.layers.layers":
        # batch_norm was its own user of a class that is gone.
        assert module.batch_norm is layers.batch_norm
        return
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read = vars(module).get(node.value.id)
            if isinstance(read, types.ModuleType):
                assert hasattr(read, node.attr), f"{node.value.id}.{node.attr}"


def test_what_slimnets_has_not_is_tf_slims_own_code():
    for name in ("get_variables", "l2_regularizer", "repeat", "summarize_tensor"):
        ours, theirs = getattr(slim, name), getattr(tf_slim, name)
        assert ours.__code__.co_code == theirs.__code__.co_code
        assert ours.__module__.startswith("slimnets.slim")
    assert slim.losses.hinge_loss.__wrapped__ is not tf_slim.losses.hinge_loss


def test_scopes_have_the_keys_of_tf_slim():
    scoped = [n for n in dir(tf_slim) if hasattr(getattr(tf_slim, n), "_key_op")]
    assert len(scoped) > 30
    for name in scoped:
        assert getattr(slim, name)._key_op == getattr(tf_slim, name)._key_op, name


def test_the_layers_of_slimnets_are_slimnets():
    for name in ("batch_norm", "fully_connected", "max_pool2d", "dropout"):
        assert getattr(slim, name) is getattr(layers, name)
    assert slim.conv2d.__wrapped__ is layers.conv2d
    assert slim.layers.conv2d is slim.conv2d is slim.convolution2d
    assert slim.learning.create_train_op.__globals__["training"] is slim.training


def test_variables_have_the_names_tf_slim_gives_them():
    def names(library):
        with tf.Graph().as_default():
            net = v1.placeholder(tf.float32, [2, 8, 8, 4], name="images")
            net = library.repeat(net, 2, library.conv2d, 4, 3)
            net = library.repeat(net, 2, library.conv2d, 4, 3, scope="named")
            net = library.repeat(net, 2, library.separable_conv2d, 4, 3, 1)
            net = library.conv2d_transpose(net, 4, 3, 2)
            net = library.conv2d_in_plane(net, 3)
            net = library.layer_norm(library.bias_add(net))
            net = library.stack(library.flatten(net), library.fully_connected, [5, 4])
            net = library.stack(net, library.relu, [3])
            library.linear(net, 2)
            return {v.op.name: tuple(v.shape) for v in v1.global_variables()}

    assert names(slim) == names(tf_slim)


STATE = """
import sys
import tensorflow as tf, tf_slim, tf_slim.nets
def state():
    return {n: dict(vars(m)) for n, m in list(sys.modules.items())
            if n.partition(".")[0] in ("tensorflow", "tf_slim", "keras") and m}
tf.keras.layers  # Lazy in TensorFlow.
before = state()
import slimnets
from slimnets import slim, nets, factory, layers
slim.learning, slim.nets.resnet_v1, slimnets.Model
after = state()
for name, module in before.items():
    for key, value in module.items():
        assert after[name].get(key) is value, (name, key)
    if name.startswith("tf_slim"):
        assert module.keys() == after[name].keys(), (name, after[name].keys() - module)
assert tf.executing_eagerly()

import slimnets.slim.layers.utils
from slimnets.slim.data import dataset, tfexample_decoder
from slimnets.slim.losses import metric_learning
from slimnets.slim.nets import resnet_v1, nets_factory, vgg
from slimnets.slim.ops.arg_scope import arg_scope
assert dataset is slim.dataset and arg_scope is slim.arg_scope
assert resnet_v1 is slim.nets.resnet_v1
"""


def test_sub_modules_are_found_and_importing_changes_nothing_in_tf_slim_or_tensorflow():
    run = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-1500:]


def test_arg_scopes_are_one_system(rng):
    x = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    pairs = [
        (tf_slim.arg_scope, tf_slim.conv2d_transpose, slim.conv2d_transpose),
        (slim.arg_scope, slim.conv2d_transpose, tf_slim.conv2d_transpose),
        (tf_slim.arg_scope, tf_slim.conv2d, slim.conv2d),
        (slim.arg_scope, slim.conv2d, tf_slim.conv2d),
    ]
    for opened_with, named, called in pairs:
        with tf.Graph().as_default(), opened_with([named], stride=2, scope="mine"):
            called(x, 5, 3)
            assert v1.global_variables()[0].op.name == "mine/weights"


def test_scopes_of_another_thread_are_not_seen():
    opened, done = threading.Event(), threading.Event()

    def other():
        with slim.arg_scope([slim.conv2d_transpose], scope="other"):
            opened.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    opened.wait(10)
    try:
        with tf.Graph().as_default():
            slim.conv2d_transpose(tf.zeros([1, 4, 4, 1]), 2, 3)
            assert not v1.global_variables()[0].op.name.startswith("other")
    finally:
        done.set()
        thread.join()


def test_layers_only_tf_slim_has(rng):
    """Each equal to numpy."""
    x = rng.normal(size=(2, 3, 4, 6)).astype(np.float32)

    def build():
        net = tf.constant(x)
        return {
            "unit": slim.unit_norm(net, 3),
            "maxout": slim.maxout(net, 3),
            "layer": slim.layer_norm(net),
            "bias": slim.bias_add(net, initializer=v1.ones_initializer()),
            "one_hot": slim.one_hot_encoding([2, 0], 3),
            "sequence": slim.images_to_sequence(net),
            "stack": slim.stack(slim.flatten(net), slim.fully_connected, [5, 4]),
            "repeat": slim.repeat(net, 2, slim.conv2d, 4, 3, scope="r"),
        }

    got = run_graph(build)
    np.testing.assert_allclose(
        got["unit"], x / np.linalg.norm(x, axis=3, keepdims=True), rtol=1e-5
    )
    grouped = x.reshape(2, 3, 4, 3, 2)
    np.testing.assert_allclose(got["maxout"], grouped.max(-1), rtol=1e-6)
    mean, var = x.mean((1, 2, 3), keepdims=True), x.var((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(got["layer"], (x - mean) / np.sqrt(var), atol=1e-4)
    np.testing.assert_allclose(got["bias"], x + 1.0, rtol=1e-6)
    np.testing.assert_array_equal(got["one_hot"], np.eye(3)[[2, 0]])
    np.testing.assert_allclose(
        got["sequence"], x.transpose(2, 0, 1, 3).reshape(4, 6, 6), rtol=1e-6
    )
    assert got["stack"].shape == (2, 4)
    assert got["repeat"].shape == (2, 3, 4, 4)


def test_nets_factory_has_every_network():
    factory = slim.nets.nets_factory
    assert factory.networks_map["resnet_v1_50"] is slim.nets.resnet_v1.resnet_v1_50
    assert len(factory.networks_map) == len(list(factory.networks_map)) > 50
    assert factory.arg_scopes_map["vgg_16"] is slim.nets.vgg.vgg_arg_scope
    assert "resnet_v2_50" in factory.arg_scopes_map
    with pytest.raises(KeyError):
        factory.networks_map["resnet_v1_51"]
    network = factory.get_network_fn("lenet", 10, weight_decay=1e-4)
    with tf.Graph().as_default():
        logits, _ = network(tf.zeros([1, 28, 28, 1]))
    assert logits.shape == (1, 10)
    assert network.default_image_size == 28
