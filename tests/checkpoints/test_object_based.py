"""Object-based checkpoints of TF2, and SavedModels, give a Model's variables back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import load_weights, read_checkpoint
from slimnets.export import export_model
from tests.checkpoints.test_checkpoints import Network, assert_equal
from tests.helpers import assert_close, v1


def build(seed):
    model = slimnets.Model(
        "resnet_v2_cifar_20", num_classes=3, depth_multiplier=0.5, seed=seed
    )
    model.build([None, 8, 8, 3])
    return model


@pytest.fixture(scope="module")
def model():
    return build(1)


def values(model):
    return {name: v.numpy() for name, v in model.variables_by_name.items()}


def test_object_based_checkpoints_of_a_model_load(tmp_path, model):
    step = tf.Variable(3, dtype=tf.int64)
    plain = tf.train.Checkpoint(model)
    wrapped = tf.train.Checkpoint(step=step, nested=tf.train.Checkpoint(net=model))
    saved = tmp_path / "saved"
    tf.saved_model.save(model, str(saved))
    for path in (
        plain.write(str(tmp_path / "plain")),
        wrapped.save(str(tmp_path / "wrapped")),
        saved,
    ):
        other = build(2)
        exclude = ["step"] if "wrapped" in str(path) else []
        report = load_weights(path, other, exclude=exclude)
        assert_equal(values(other), values(model))
        assert report.complete


def test_two_models_in_one_checkpoint_are_told_apart(tmp_path, model):
    other = build(2)
    both = tf.train.Checkpoint(a=model, b=other)
    path = both.write(str(tmp_path / "x"))
    with pytest.raises(ValueError, match="object paths"):
        load_weights(path, model)
    load_weights(
        path,
        other,
        rename=[(r"a/_variables/(.*)", r"\1")],
        exclude=[r"b/.*"],
    )
    assert_equal(values(other), values(model))


class Metric(tf.Module):
    """What a metric keeps: sums for each of its thresholds."""

    def __init__(self):
        super().__init__()
        self.true_positives = tf.Variable(tf.zeros([200]))


def test_bookkeeping_is_known_by_what_it_is(tmp_path, model):
    """Not by its name: counters, optimizers of any kind, metrics and generators."""
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    whole = tf.train.Checkpoint(
        net=model,
        batches_so_far=tf.Variable(1),
        best=tf.Variable(0.5),
        adam=optimizer,
        precision=Metric(),
        random=tf.random.Generator.from_seed(1),
        iter=tf.Variable(3),
    )
    path = whole.save(str(tmp_path / "x"))
    other = build(2)
    report = load_weights(path, other)
    assert report.complete and "precision/true_positives" in report.ignored
    assert len(report.loaded) == len(values(model))
    assert_equal(values(other), values(model))


def test_another_network_beside_it_is_no_bookkeeping(tmp_path, model):
    class Head(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(tf.zeros([2, 3]))

    path = tf.train.Checkpoint(net=model, head=Head()).write(str(tmp_path / "x"))
    with pytest.raises(ValueError, match="1 unexpected") as caught:
        load_weights(path, build(2))
    assert "Likely cause" not in str(caught.value) and "head/w" in str(caught.value)
    assert load_weights(path, build(2), exclude=["head/.*"]).complete


def test_slots_of_tensorflows_own_optimizers_are_bookkeeping(tmp_path):
    weights = tf.Variable([[1.0, 2.0]])
    net = tf.Module()
    net.w = weights
    optimizer = v1.train.MomentumOptimizer(0.1, 0.9)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights)
    optimizer.apply_gradients([(tape.gradient(loss, weights), weights)])
    path = tf.train.Checkpoint(net=net, o=optimizer).write(str(tmp_path / "x"))
    network = Network({"net/w": (1, 2)})
    report = load_weights(path, network)
    assert report.complete and len(report.ignored) >= 1
    assert_equal(network.values(), {"net/w": weights.numpy()})


# Keras.


@pytest.fixture(scope="module")
def of_keras(rng_of_module):
    inputs = keras.Input([32, 32, 3])
    theirs = keras.applications.MobileNet(
        alpha=0.25, weights=None, classes=5, input_tensor=inputs, dropout=0.1
    )
    for variable in theirs.weights:
        if variable.dtype == "float32":
            value = rng_of_module.uniform(0.5, 1, variable.shape)
            variable.assign(value / np.sqrt(max(np.prod(variable.shape[:-1]), 1)))
    theirs.compile(optimizer="adam", loss="mse")
    theirs.optimizer.build(theirs.trainable_variables)
    return theirs


@pytest.fixture(scope="module")
def rng_of_module():
    return np.random.default_rng(0)


def checkpoint_of(theirs, directory):
    whole = tf.train.Checkpoint(model=theirs, epoch=tf.Variable(3))
    return whole.write(str(directory / "x"))


def saved_model_of(theirs, directory):
    tf.saved_model.save(theirs, str(directory))
    return directory


def exported_by(theirs, directory):
    theirs.export(str(directory), verbose=False)
    return directory


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("save", [checkpoint_of, saved_model_of, exported_by])
def test_kerass_own_networks_are_read_as_weights(tmp_path, of_keras, rng, save):
    model = slimnets.Model("mobilenet_v1_025", num_classes=5)
    model.build([None, 32, 32, 3])
    path = save(of_keras, tmp_path)
    assert load_weights(path, model).complete
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    theirs = of_keras(images, training=False)
    assert_close(tf.nn.softmax(model(images)), theirs, 1e-4)
    assert read_checkpoint(path).kind == "keras"


# Graphs without variables.


def test_a_frozen_graph_of_tensorflow_1_is_read_as_weights(tmp_path, model, rng):
    images = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    own = values(model)
    with tf.Graph().as_default() as graph, v1.Session() as session:
        inputs = v1.placeholder(tf.float32, [None, 8, 8, 3])
        options = {"num_classes": 3, "depth_multiplier": 0.5, "is_training": False}
        logits, _ = slimnets.build("resnet_v2_cifar_20", inputs, **options)
        variables = v1.global_variables()
        session.run([v.initializer for v in variables])
        for variable in variables:
            variable.load(own[variable.op.name], session)
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [logits.op.name]
        )
    path = tmp_path / "frozen_inference_graph.pb"
    path.write_bytes(frozen.SerializeToString())
    other = build(2)
    assert load_weights(path, other).complete
    assert_close(other(images), model(images), 1e-6)


@pytest.mark.parametrize("name", ["saved_model", "frozen_graph"])
def test_what_was_exported_for_inference_says_that_it_has_no_variables(
    tmp_path, model, name
):
    path = tmp_path / ("x.pb" if name == "frozen_graph" else "x")
    export_model(model, path, format=name, input_shape=[None, 8, 8, 3])
    with pytest.raises(ValueError, match="it holds no variables") as caught:
        load_weights(path, build(2))
    assert "tf.train.Checkpoint wrote it" not in str(caught.value)
