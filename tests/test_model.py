"""Model: one network function, in TF2 under its own variables."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from tests.helpers import assert_close, run_graph, v1

THIN = {"depth_multiplier": 0.125, "num_classes": 4}


def thin(**kwargs):
    return slimnets.Model("resnet_v2_50", **THIN, **kwargs)


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, 33, 33, 3)).astype(np.float32)


def test_variables_have_graph_codes_names_shapes_and_order(images):
    model = thin()
    model.build(images.shape)
    with tf.Graph().as_default():
        slimnets.build("resnet_v2_50", v1.placeholder(tf.float32, images.shape), **THIN)
        expected = [(v.op.name, v.shape) for v in v1.global_variables()]
        trainable = [v.op.name for v in v1.trainable_variables()]
        decayed = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    actual = model.variables_by_name
    assert [(name, v.shape) for name, v in actual.items()] == expected
    assert [v.name[:-2] for v in model.trainable_variables] == trainable
    assert len(decayed) == sum(name.endswith("weights") for name in actual)
    weights = [v for name, v in actual.items() if name.endswith("weights")]
    assert_close(
        model.regularization_loss(),
        sum(0.5e-4 * np.sum(np.square(v)) for v in weights),
    )


def test_a_seed_gives_the_same_weights_in_graph_code_and_in_tf2(images):
    def build():
        slimnets.build("resnet_v2_50", tf.constant(images), **THIN)
        return {v.op.name: v for v in v1.global_variables()}

    model = thin(seed=7)
    model.build(images.shape)
    for name, value in run_graph(build, seed=7).items():
        np.testing.assert_array_equal(model.variable_by_name(name), value)
    other = thin(seed=8)
    other.build(images.shape)
    name = "resnet_v2_50/conv1/weights"
    assert not np.array_equal(
        other.variable_by_name(name), model.variable_by_name(name)
    )


def test_tensorflows_seed_gives_the_same_weights_each_time(images):
    def network(inputs, is_training=True):
        for i, init in enumerate(
            (layers.xavier_initializer(), tf.random_normal_initializer)
        ):
            for j in range(3):
                inputs = layers.conv2d(
                    inputs, 4, 1, weights_initializer=init, scope=f"conv{i}{j}"
                )
        return inputs

    def weights():
        tf.random.set_seed(5)
        model = slimnets.Model(network)
        model(images)
        return [v.numpy() for v in model.variables]

    first, again = weights(), weights()
    for value, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(value, same)
    assert all(value.any() for value in first[::2])


def test_weights_that_cannot_be_drawn_are_not_left_at_zero(images, monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    model = thin(seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(layers.initializers.VarianceScaling, "_spread", fail)
        with pytest.raises(MemoryError, match="no room"):
            model.build(images.shape)
    assert not model.variables
    model.build(images.shape)
    expected = thin(seed=1)
    expected.build(images.shape)
    for value, same in zip(model.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(value, same)


def test_one_trace_per_signature_and_no_variable_on_a_second_call(images):
    calls = []

    def network(images, num_classes=None, is_training=True):
        calls.append(is_training)
        return slimnets.build("resnet_v2_50", images, is_training=is_training, **THIN)

    model = slimnets.Model(network)
    first = model(images)
    made = dict(model.variables_by_name)
    assert_close(model(images), first)
    model(images, training=True)
    model(images, training=True)
    assert calls == [False, True]
    model(images[:1])
    assert calls == [False, True, False] and model.trace_count == 3

    step = tf.function(lambda x: model(x))
    for _ in range(3):
        assert_close(step(images), model(images), 1e-4)
    assert len(calls) == 4
    assert {k: id(v) for k, v in model.variables_by_name.items()} == {
        k: id(v) for k, v in made.items()
    }


def test_a_built_model_traces_once_for_all_batch_sizes(images):
    model = thin()
    model.build([None, 33, 33, 3])
    for batch in (1, 2):
        assert model(images[:batch]).shape == (batch, 4)
    assert model.trace_count == 1


def test_eager_function_and_graph_agree(images, tmp_path):
    model = thin(seed=1)
    eager = model(images)
    path = model.save(str(tmp_path / "weights"))

    def build():
        return slimnets.build("resnet_v2_50", tf.constant(images), **THIN)[0]

    assert_close(run_graph(build, path), eager)
    tf.config.run_functions_eagerly(True)
    try:
        assert_close(model(images), eager)
    finally:
        tf.config.run_functions_eagerly(False)


def test_end_points_and_features(images):
    model = thin()
    end_points = model.end_points(images)
    assert end_points["block3"].shape == (2, 2, 2, 128)
    assert_close(end_points["resnet_v2_50/spatial_squeeze"], model(images))
    features = model.features(images, ["C2", "block4"])
    assert_close(features["C2"], end_points["C2"])
    assert_close(features["block4"], end_points["C5"])
    with pytest.raises(KeyError, match="C5"):
        model.features(images, ["C7"])


def test_gradients_flow_to_every_trainable_variable(images):
    model = thin()

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_sum(tf.nn.log_softmax(logits)[:, 0])
        return loss, tape.gradient(loss, model.trainable_variables)

    model.build(images.shape)
    loss, values = gradients()
    assert np.isfinite(loss) and all(np.any(value) for value in values)


def test_saved_model_gives_the_same(images, tmp_path):
    model = thin()
    model.build([None, None, None, 3])
    expected = model(images)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert_close(loaded(images), expected)
    assert_close(loaded(images[:1, 1:]), model(images[:1, 1:]))


def test_object_based_checkpoints_restore(images, tmp_path):
    model, other = thin(seed=1), thin(seed=2)
    model.build(images.shape)
    other.build(images.shape)
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "objects"))
    tf.train.Checkpoint(model=other).read(path).assert_consumed()
    assert_close(other(images), model(images))


@pytest.mark.parametrize("built", [pytest.param(True, marks=pytest.mark.slow), False])
def test_replicas_train_as_one(mirrored, images, built):
    """Two replicas of one image each against one of both, frozen statistics."""
    with mirrored.scope():
        model = thin(seed=3)
        if built:
            model.build(images.shape)
    single = thin(seed=3)
    single.build(images.shape)

    def gradients(model, images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    @tf.function
    def both(data):
        per_replica = mirrored.run(lambda x: gradients(model, x), (data,))
        return [mirrored.reduce("SUM", g, axis=None) for g in per_replica]

    data = mirrored.experimental_distribute_values_from_function(
        lambda context: tf.constant(images[context.replica_id_in_sync_group][None])
    )
    for actual, desired in zip(both(data), gradients(single, images), strict=True):
        assert_close(actual, desired, 1e-4)
    for variable in model.variables:
        assert isinstance(variable, tf.distribute.DistributedValues)
        values = mirrored.experimental_local_results(variable)
        assert len(values) == 2
        np.testing.assert_array_equal(*values)


def test_keras_optimizers_train_it(images):
    model = thin(seed=0)
    model.build(images.shape)
    import keras

    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1], logits)
            )
        optimizer.apply(
            tape.gradient(loss, model.trainable_variables), model.trainable_variables
        )
        return loss

    losses = [float(step()) for _ in range(12)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_reduced_precision_keeps_variables_and_logits_in_float32(images, precision):
    model, full = thin(precision=precision, seed=1), thin(seed=1)
    logits = model(images)
    assert logits.dtype == tf.float32
    assert {v.dtype for v in model.variables} == {tf.float32}
    assert model.end_points(images)["block1"].dtype == tf.as_dtype(precision)
    assert_close(logits, full(images), 0.1)
    model(images, training=True)


def test_the_arg_scope_open_at_construction_is_the_models(images):
    with slimnets.arg_scope([layers.batch_norm], scale=False):
        model = thin()
    model.build(images.shape)
    assert not [name for name in model.variables_by_name if "gamma" in name]


def test_a_network_without_end_points_and_with_default_scopes():
    def network(inputs):
        net = layers.fully_connected(layers.fully_connected(inputs, 4), 2)
        return layers.dropout(net, 0.5, is_training=True)

    model = slimnets.Model(network)
    model(np.ones([2, 3], np.float32))
    tf.config.run_functions_eagerly(True)
    try:
        model(np.ones([2, 3], np.float32))
    finally:
        tf.config.run_functions_eagerly(False)
    assert len(model.variables) == 4
    with pytest.raises(ValueError, match="gives no end points"):
        model.end_points(np.ones([2, 3], np.float32))


def test_errors(images):
    with pytest.raises(ValueError, match="resnet_v2_50"):
        slimnets.Model("resnet_v2_5")
    with pytest.raises(TypeError, match="'output_stride'"):
        slimnets.Model("resnet_v2_50", output_strid=8)
    with pytest.raises(ValueError, match="float32, bfloat16, float16"):
        slimnets.Model("resnet_v2_50", precision="int8")
    with pytest.raises(TypeError, match="name or a function"):
        slimnets.Model(3)
    model = thin()
    with pytest.raises(RuntimeError, match="build"):
        model.regularization_loss()
    model.build(images.shape)
    with pytest.raises(ValueError, match=r"conv1/weights.*other channels"):
        model(images[..., :1])
    with pytest.raises(KeyError, match="resnet_v2_50/conv1/weights"):
        model.variable_by_name("resnet_v2_50/conv1/weight")


def test_one_level_may_be_asked_for_by_its_name(images):
    model = thin()
    (got,) = model.features(images, "C4").values()
    assert_close(got, model.features(images, ["C4"])["C4"])
    assert list(slimnets.features(model.end_points(images), "C3")) == ["C3"]


@pytest.mark.parametrize("keyword", ["pretrained", "include_top"])
def test_what_others_call_differently_is_told(keyword):
    with pytest.raises(TypeError, match=r"take.*weights='best'|num_classes=None"):
        thin(**{keyword: True})
