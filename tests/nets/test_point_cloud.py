"""Networks of point clouds: their parameters, invariances, inputs and losses."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.nets import point_cloud
from slimnets.units.points import Transform, orthogonality_loss, point_unit
from tests.helpers import assert_close, run_graph, v1

THIN = {"depth_multiplier": 0.125, "num_classes": 4}
LABELS = [0, 1, 2, 3]


def clouds(rng, points=17, dims=3, batch=4):
    return rng.normal(size=(batch, points, dims)).astype(np.float32)


def multi_inputs(rng):
    return {
        "clouds": [clouds(rng, 9, 5), clouds(rng, 12, 7)],
        "auxiliary": rng.normal(size=(4, 6)).astype(np.float32),
    }


def inputs_of(name, rng):
    return multi_inputs(rng) if name == "multi_cloud" else clouds(rng)


def randomized(model, rng, spread=0.3):
    """The model with every variable moved from where it begins."""
    for variable in model.variables:
        noise = spread * np.abs(rng.normal(size=variable.shape))
        variable.assign_add(noise.astype(np.float32))
    return model


@pytest.fixture(params=["pointnet", "multi_cloud"])
def name(request):
    return request.param


# Parameters.

# REFERENCES: the summary of the Keras model, layer by layer.
PER_CLOUD = ((2560, 256), (4160, 256), (20540, 1264), (100172, 1264))


def test_multi_cloud_has_the_tables_parameters_layer_by_layer():
    model = slimnets.Model("multi_cloud", num_classes=101)
    shapes = {"clouds": [[None, None, 39]] * 2, "auxiliary": [None, 46]}
    model.build(shapes)
    expected = {
        "auxiliary/fc_1": 18048,
        "auxiliary/fc_2": 147840,
        "head/fc_1": 390528,
        "head/fc_2": 147840,
        "logits": 38885,
    }
    for cloud in ("cloud_1", "cloud_2"):
        for unit, (conv, norm) in enumerate(PER_CLOUD, start=1):
            expected[f"{cloud}/block1/unit_{unit}/conv"] = conv
            expected[f"{cloud}/block1/unit_{unit}/norm"] = norm
    actual = {}
    for key, variable in model.variables_by_name.items():
        layer = key.removeprefix("multi_cloud/").rpartition("/")[0]
        actual[layer] = actual.get(layer, 0) + variable.shape.num_elements()
    assert actual == expected
    assert sum(actual.values()) == 1_004_085
    trainable = sum(v.shape.num_elements() for v in model.trainable_variables)
    assert trainable == 1_004_085 - 2 * (256 + 256 + 1264 + 1264) // 2


def test_pointnet_has_the_papers_3_5_million_parameters():
    with tf.Graph().as_default():
        points = v1.placeholder(tf.float32, [None, None, 3])
        _, end_points = slimnets.build("pointnet", points, num_classes=40)
        count = sum(v.shape.num_elements() for v in v1.trainable_variables())
        assert end_points["cloud_1/transform_1"].shape.as_list() == [None, 3, 3]
        assert end_points["cloud_1/transform_2"].shape.as_list() == [None, 64, 64]
        assert end_points["global_pool"].shape.as_list() == [None, 1024]
    assert round(count / 1e6, 1) == 3.5


# Laws.


def test_a_transform_leaves_its_input_unchanged_at_initialization(rng):
    points = clouds(rng)
    plain = slimnets.Model("pointnet", **THIN, seed=1, transforms=())
    moved = slimnets.Model("pointnet", **THIN, seed=1)
    assert_close(moved(points), plain(points), 1e-6)
    end_points = moved.end_points(points)
    for key, size in (("transform_1", 3), ("transform_2", 8)):
        matrices = end_points[f"pointnet/cloud_1/{key}"]
        np.testing.assert_array_equal(matrices, [np.eye(size)] * 4)
    randomized(moved, rng)
    assert np.ptp(moved.end_points(points)["cloud_1/transform_1"], axis=0).max() > 1e-3


def test_the_order_of_the_points_changes_nothing(name, rng):
    inputs = inputs_of(name, rng)
    model = slimnets.Model(name, **THIN)
    model(inputs)
    randomized(model, rng, 0.1)
    shuffled = tf.nest.map_structure(
        lambda x: rng.permutation(x, axis=1) if x.ndim == 3 else x, inputs
    )
    assert_close(model(shuffled), model(inputs), 1e-5)
    assert np.ptp(model(inputs), axis=0).max() > 0


def test_a_repeated_point_changes_nothing(rng):
    points = clouds(rng)
    model = slimnets.Model("pointnet", **THIN)
    assert_close(model(np.concatenate([points, points[:, :5]], 1)), model(points), 1e-5)


def test_one_trace_serves_every_number_of_points(name, rng):
    model = slimnets.Model(name, **THIN)
    dims = (5, 7) if name == "multi_cloud" else (3,)
    shapes = [[None, None, size] for size in dims]
    model.build(shapes)
    for points, batch in ((1, 2), (8, 3), (30, 1)):
        inputs = [clouds(rng, points + i, size, batch) for i, size in enumerate(dims)]
        assert model(inputs).shape == (batch, 4)
    assert model.trace_count == 1


def test_evaluation_is_deterministic_and_training_drops(rng):
    points = clouds(rng)
    model = slimnets.Model("pointnet", num_classes=4, depth_multiplier=0.25)
    np.testing.assert_array_equal(model(points), model(points))
    first, second = (model(points, training=True) for _ in range(2))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("rates", [(), (None, None), (0.0, None)])
def test_none_means_no_dropout(rng, rates):
    points = clouds(rng)
    model = slimnets.Model("pointnet", **THIN, dropout_rates=rates)
    first, second = (model(points, training=True) for _ in range(2))
    assert_close(first, second)


# Training.


def test_every_trainable_variable_has_a_gradient(name, rng):
    """After a step: what begins as the identity shows its subnet no gradient."""
    inputs = inputs_of(name, rng)
    model = slimnets.Model(name, **THIN, seed=0, dropout_rates=(None, None))
    model.build(tf.nest.map_structure(lambda x: tf.TensorShape(x.shape), inputs))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)
            loss = tf.reduce_mean(losses) + model.regularization_loss()
        gradients = tape.gradient(loss, model.trainable_variables)
        for variable, gradient in zip(
            model.trainable_variables, gradients, strict=True
        ):
            variable.assign_sub(0.1 * gradient)
        return loss, gradients

    step()
    loss, gradients = step()
    assert np.isfinite(loss)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.any(gradient), variable.name


def orthogonality(model, points):
    matrices = model.end_points(points)["cloud_1/transform_2"].numpy()
    product = matrices @ matrices.transpose(0, 2, 1)
    return np.mean(np.sum((product - np.eye(matrices.shape[-1])) ** 2, (1, 2)))


def test_orthogonality_loss_is_the_papers(rng):
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    assert abs(orthogonality_loss(tf.constant([rotation]))) < 1e-9
    matrices = tf.constant([2.0 * np.eye(3), np.eye(3)], tf.float32)
    assert_close(orthogonality_loss(matrices), (3 * 9 + 0) / 2)


def test_orthogonality_is_a_regularization_loss_in_graph_code(rng, tmp_path):
    points = clouds(rng)
    model = slimnets.Model("pointnet", **THIN)
    model(points)
    path = randomized(model, rng, 0.05).save(str(tmp_path / "weights"))

    def build():
        slimnets.build("pointnet", tf.constant(points), **THIN)
        return v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)

    (loss,) = run_graph(build, path)
    assert_close(loss, 0.001 * orthogonality(model, points), 1e-4)


def wide_transform(weight):
    return (None, Transform((8,), (8,), orthogonality=weight))


def trained_loss(model, points):
    model(points, training=True)
    return model.regularization_loss()


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
def test_orthogonality_is_in_a_models_regularization_loss(rng, wrap):
    """In eager code and in a function: where the model was called with training."""
    points = clouds(rng)
    model = slimnets.Model(
        "pointnet", **THIN, transforms=wide_transform(0.5), dropout_rates=()
    )
    # The first call makes the variables, and gives its loss: that of the identity.
    assert wrap(trained_loss)(model, points) == 0
    randomized(model, rng, 0.05)

    def loss_and_gradient():
        with tf.GradientTape() as tape:
            loss = trained_loss(model, points)
        matrix = model.variable_by_name("pointnet/cloud_1/transform_2/matrix/biases")
        return loss, tape.gradient(loss, matrix)

    loss, gradient = wrap(loss_and_gradient)()
    assert loss > 0.01 and np.any(gradient)
    model(points)
    outside = model.regularization_loss()
    assert outside == (0 if wrap is tf.function else loss)


def test_replicas_share_the_orthogonality_loss(rng, mirrored):
    points = clouds(rng)
    with mirrored.scope():
        model = slimnets.Model("pointnet", **THIN, transforms=wide_transform(0.5))
        model.build([2, None, 3])
        for variable in model.variables:
            noise = 0.05 * np.abs(rng.normal(size=variable.shape))
            variable.assign_add(noise.astype(np.float32))

    @tf.function
    def run(part):
        losses = mirrored.run(trained_loss, args=(model, part))
        return mirrored.experimental_local_results(losses)

    halves = mirrored.experimental_distribute_values_from_function(
        lambda context: points[2 * context.replica_id_in_sync_group :][:2]
    )
    together = run(halves)
    assert len(together) == 2 and together[0] != together[1]
    assert min(together) > 0.01


# Inputs.


def test_the_auxiliary_vector_is_optional(rng):
    inputs = multi_inputs(rng)
    both = slimnets.Model("multi_cloud", **THIN)
    without = slimnets.Model("multi_cloud", **THIN)
    assert both(inputs).shape == without(inputs["clouds"]).shape == (4, 4)
    names = set(both.variables_by_name) - set(without.variables_by_name)
    assert names and all(name.startswith("multi_cloud/auxiliary/") for name in names)
    assert both.end_points(inputs)["global_pool"].shape == (4, 39 + 39 + 48)
    # None, and a dict without the key, are the same as the list.
    same = {"clouds": inputs["clouds"], "auxiliary": None}
    for structure in (same, {"clouds": tuple(inputs["clouds"])}):
        with tf.Graph().as_default():
            slimnets.build("multi_cloud", structure, **THIN)
            built = [v.op.name for v in v1.global_variables()]
        assert built == list(without.variables_by_name)


@pytest.mark.parametrize("number", [1, 3])
def test_any_number_of_clouds(rng, name, number):
    model = slimnets.Model(name, **THIN)
    inputs = [clouds(rng, 5 + index, 2 + index) for index in range(number)]
    assert model(inputs).shape == (4, 4)
    end_points = model.end_points(inputs)
    assert f"cloud_{number}/global_pool" in end_points
    assert f"{name}/cloud_{number}/block1/unit_1/conv" in end_points
    assert not end_points.levels


def test_features_and_keys_do_not_depend_on_the_outer_scope(rng, name):
    inputs = inputs_of(name, rng)
    keys = []
    for classes, outer in ((None, "a"), (0, "b/c")):
        with tf.Graph().as_default(), v1.variable_scope(outer):
            net, end_points = slimnets.build(
                name,
                tf.nest.map_structure(tf.constant, inputs),
                num_classes=classes,
                dropout_rates=(),
            )
            assert net is end_points["head/fc_2"]
            assert "logits" not in end_points and "predictions" not in end_points
            keys.append(list(end_points))
    assert keys[0] == keys[1]


def test_the_callers_scopes_win(rng):
    regularizer = slimnets.layers.l2_regularizer(0.5)
    with (
        tf.Graph().as_default(),
        slimnets.arg_scope([slimnets.layers.batch_norm], scale=False),
        slimnets.arg_scope([slimnets.layers.conv1d], weights_regularizer=regularizer),
    ):
        slimnets.build("pointnet", tf.constant(clouds(rng)), **THIN)
        assert not [v for v in v1.global_variables() if "gamma" in v.op.name]
        # 3 + 3 layers of the points in the transforms, 5 in the blocks, the loss.
        assert len(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)) == 12


def test_predictions_are_of_prediction_fn(rng):
    model = slimnets.Model("pointnet", **THIN, prediction_fn=tf.sigmoid)
    points = clouds(rng)
    assert_close(model.end_points(points)["predictions"], tf.sigmoid(model(points)))


def cloud(*shape):
    return np.zeros(shape, np.float32)


WRONG = {
    "rank": (cloud(2, 8, 8, 3), r"cloud 1 must be \[batch, points, dims\].*8, 8, 3"),
    "no clouds": ([], "one or more clouds"),
    "no points": (cloud(2, 0, 3), "one point or more"),
    "second cloud": ([cloud(2, 8, 3), cloud(2, 3)], r"cloud 2 must be .*\(2, 3\)"),
    "not an array": ([cloud(2, 8, 3), "points"], "cloud 2 must be .*'points'"),
    "keys": ({"cloud": cloud(2, 8, 3)}, r"'clouds' and may have.*\['cloud'\]"),
    "auxiliary": (
        {"clouds": cloud(2, 8, 3), "auxiliary": cloud(2, 8, 3)},
        r"auxiliary vector must be \[batch, n\].*\(2, 8, 3\)",
    ),
    "batch": ([cloud(2, 8, 3), cloud(4, 8, 3)], "cloud 1 2, cloud 2 4"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_inputs_are_explained(case):
    inputs, message = WRONG[case]
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        slimnets.build("multi_cloud", inputs, **THIN)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"dropout_rates": (0.5,)}, "2 layers of the head"),
        ({"dropout_rates": (0.5, 1.0)}, r"None or a rate in \[0, 1\)"),
        ({"transforms": (None,) * 3}, "3 transforms for 2 blocks"),
        ({"num_classes": -1}, "num_classes=-1"),
    ],
)
def test_wrong_arguments_are_explained(kwargs, message):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        slimnets.build("pointnet", cloud(2, 8, 3), **kwargs)


def test_units_of_points_take_rate_1_only():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="rate=2"):
        point_unit(cloud(2, 8, 3), 4, rate=2)


def test_a_network_of_ones_own_blocks(rng):
    """The generator by itself: other units, an auxiliary vector without layers."""

    def unit(net, depth, rate):
        return slimnets.layers.conv1d(net, depth, 1, activation_fn=tf.nn.elu)

    def network(inputs, is_training=True):
        blocks = [slimnets.Block("mlp", unit, [{"depth": 5}, {"depth": 7}])]
        return point_cloud.point_cloud_network(
            inputs, blocks, 3, is_training, transforms=[Transform((4,), (4,))]
        )

    model = slimnets.Model(network)
    inputs = multi_inputs(rng)
    assert model(inputs).shape == (4, 3)
    end_points = model.end_points(inputs)
    assert end_points["global_pool"].shape == (4, 7 + 7 + 6)
    assert "point_cloud/cloud_2/mlp" in end_points
    assert model.regularization_loss() == 0


def test_a_saved_model_takes_several_inputs(rng, tmp_path):
    inputs = multi_inputs(rng)
    model = slimnets.Model("multi_cloud", **THIN)
    expected = model(inputs)
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert_close(loaded(tf.nest.map_structure(tf.constant, inputs), False), expected)


def test_unknown_dims_are_explained():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="known dims"):
        point_cloud.pointnet(v1.placeholder(tf.float32, [None, None, None]))
