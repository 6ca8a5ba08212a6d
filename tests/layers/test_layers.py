"""Layers: TF-Slim's names, collections and defaults; values of plain operations."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf
import tf_slim

import slimnets
from slimnets import layers
from slimnets.layers import conv_operations, initializers
from tests.helpers import assert_close, run_graph, v1

NAMES = (
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "dropout",
    "flatten",
    "fully_connected",
    "instance_norm",
    "max_pool2d",
    "max_pool3d",
    "softmax",
)


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_defaults_are_tf_slims(name):
    theirs_name = {"conv1d": "convolution1d"}.get(name, name)
    theirs = inspect.signature(getattr(tf_slim, theirs_name)).parameters
    ours = inspect.signature(getattr(layers, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for key, parameter in theirs.items():
        plain = (bool, int, float, str, type(None))
        if isinstance(parameter.default, plain):
            assert ours[key].default == parameter.default, key


def names_and_collections(build):
    with tf.Graph().as_default() as graph:
        build(graph)
        return {
            "variables": [v.op.name for v in v1.global_variables()],
            "trainable": [v.op.name for v in v1.trainable_variables()],
            "model": [
                v.op.name for v in v1.get_collection(v1.GraphKeys.MODEL_VARIABLES)
            ],
            "mine": [v.op.name for v in v1.get_collection("mine")],
            "losses": len(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)),
        }


WEIGHT_LAYERS = {
    "conv1d": ([2, 9, 3], (4, 3), "Conv"),
    "conv2d": ([2, 9, 8, 3], (4, 3), "Conv"),
    "conv2d_transpose": ([2, 9, 8, 3], (4, 3), "Conv2d_transpose"),
    "conv3d": ([2, 5, 9, 8, 3], (4, 3), "Conv"),
    "fully_connected": ([2, 3], (4,), "fully_connected"),
}


@pytest.mark.parametrize("name", WEIGHT_LAYERS)
@pytest.mark.parametrize("trainable", [True, False])
def test_variables_and_collections(name, trainable):
    shape, args, scope = WEIGHT_LAYERS[name]

    def build(graph):
        inputs = v1.placeholder(tf.float32, shape)
        layer = getattr(layers, name)
        kwargs = {
            "weights_regularizer": layers.l2_regularizer(0.1),
            "variables_collections": {"biases": ["mine"]},
            "trainable": trainable,
        }
        layer(inputs, *args, **kwargs)
        layer(inputs, *args, normalizer_fn=layers.batch_norm, **kwargs)
        layer(inputs, *args, biases_initializer=None, scope="own", **kwargs)
        layer(inputs, *args, biases_initializer=None, scope="own", reuse=True, **kwargs)

    normed = [f"{scope}_1/BatchNorm/{n}" for n in ("beta", "moving_mean")]
    weights = [f"{scope}/weights", f"{scope}/biases", f"{scope}_1/weights"]
    found = names_and_collections(build)
    variables = [*weights, *normed, f"{scope}_1/BatchNorm/moving_variance"]
    assert found["variables"] == found["model"] == [*variables, "own/weights"]
    assert found["trainable"] == (
        [*weights, normed[0], "own/weights"] if trainable else [normed[0]]
    )
    assert found["mine"] == [f"{scope}/biases"]
    assert found["losses"] == 3


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride,rate", [(1, 1), (2, 1), (1, 2), ((1, 2), 1), (2, 3)])
def test_conv2d_equals_the_plain_operation(padding, stride, rate, rng):
    x = rng.normal(size=(2, 9, 10, 3)).astype(np.float32)

    def build():
        net = layers.conv2d(
            x,
            4,
            [3, 2],
            stride,
            padding,
            rate=rate,
            activation_fn=None,
            biases_initializer=v1.random_normal_initializer(),
        )
        weights, biases = v1.trainable_variables()
        strides = list(stride) if isinstance(stride, tuple) else stride
        return net, tf.nn.conv2d(x, weights, strides, padding, dilations=rate) + biases

    assert_close(*run_graph(build))


@pytest.mark.parametrize("stride,rate", [(1, 1), (2, 1), (1, 2)])
def test_conv1d_equals_the_plain_operation(stride, rate, rng):
    x = rng.normal(size=(2, 9, 3)).astype(np.float32)

    def build():
        net = layers.conv1d(x, 4, 3, stride, rate=rate, activation_fn=None)
        weights = v1.trainable_variables()[0]
        return net, tf.nn.conv1d(x, weights, stride, "SAME", dilations=rate)

    assert_close(*run_graph(build))


@pytest.mark.parametrize("stride", [1, (1, 2, 2)])
def test_conv3d_adds_up_frames(stride, rng):
    """A kernel of two frames is the sum of two convolutions, one of the next frame."""
    x = rng.normal(size=(2, 4, 9, 8, 3)).astype(np.float32)

    def build():
        options = {"activation_fn": None, "padding": "VALID", "scope": "conv"}
        net = layers.conv3d(x, 4, (2, 3, 3), stride, **options)
        weights = v1.trainable_variables()[0]
        second = layers.conv3d(
            np.moveaxis(x, -1, 1), 4, (2, 3, 3), stride, data_format="NCDHW",
            reuse=True, **options,
        )  # fmt: skip
        step = stride if stride == 1 else 2
        frames = [
            sum(tf.nn.conv2d(x[:, i + k], weights[k], step, "VALID") for k in (0, 1))
            for i in range(3)
        ]
        return net, tf.transpose(second, [0, 2, 3, 4, 1]), tf.stack(frames, 1)

    first, second, expected = run_graph(build)
    assert_close(first, expected)
    assert_close(second, expected)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size,kernel,stride", [(4, 3, 2), (5, 4, 2), (3, 2, 3)])
def test_a_transposed_convolution_is_the_transpose(padding, size, kernel, stride, rng):
    """<spread(y), x> = <y, convolve(x)> for all x and y."""
    y = rng.normal(size=(2, size, size + 1, 3)).astype(np.float32)

    def build():
        options = {"activation_fn": None, "biases_initializer": None, "scope": "conv"}
        net = layers.conv2d_transpose(y, 4, kernel, stride, padding, **options)
        second = layers.conv2d_transpose(
            np.moveaxis(y, -1, 1), 4, kernel, stride, padding, "NCHW", reuse=True,
            **options,
        )  # fmt: skip
        more = max(kernel - stride, 0) if padding == "VALID" else 0
        sides = [side * stride + more for side in (size, size + 1)]
        assert net.shape == (2, *sides, 4)
        x = tf.random.stateless_normal(net.shape, [1, 2])
        back = tf.nn.conv2d(x, v1.trainable_variables()[0], stride, padding)
        products = tf.reduce_sum(net * x), tf.reduce_sum(y * back)
        return *products, net, tf.transpose(second, [0, 2, 3, 1])

    spread, convolved, first, second = run_graph(build)
    assert_close(spread, convolved, 1e-4)
    assert_close(first, second)


def test_instance_norm_is_group_norm_of_single_channels(rng):
    x = rng.normal(3.0, 2.0, size=(2, 5, 6, 4)).astype(np.float32)

    def build():
        inits = {
            name: v1.constant_initializer(rng.normal(size=4))
            for name in ("beta", "gamma")
        }
        net = layers.instance_norm(x, param_initializers=inits, scope="norm")
        assert [v.op.name for v in v1.trainable_variables()] == [
            "norm/beta", "norm/gamma",
        ]  # fmt: skip
        first = layers.instance_norm(
            np.moveaxis(x, -1, 1), data_format="NCHW", scope="norm", reuse=True
        )
        grouped = layers.group_norm(
            x, 4, 3, reduction_axes=(1, 2), scope="norm", reuse=True
        )
        return net, tf.transpose(first, [0, 2, 3, 1]), grouped

    net, first, grouped = run_graph(build)
    assert_close(net, grouped)
    assert_close(first, grouped)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size,stride,rate", [(9, 1, 2), (10, 2, 3), (11, 3, 2)])
def test_space_to_batch_equals_the_native_dilation(padding, size, stride, rate, rng):
    x = tf.constant(rng.normal(size=(2, size, size + 1, 3)), tf.float32)
    w = tf.constant(rng.normal(size=(3, 3, 3, 4)), tf.float32)
    args = (x, w, (stride, stride), (rate, rate), padding)
    expected = tf.nn.conv2d(x, w, stride, padding, dilations=rate)
    assert_close(
        conv_operations._by_space_to_batch(*args, channels_first=False), expected
    )
    first = tf.transpose(x, [0, 3, 1, 2])
    first = conv_operations._by_space_to_batch(first, *args[1:], channels_first=True)
    assert_close(tf.transpose(first, [0, 2, 3, 1]), expected)


@pytest.mark.parametrize("what", ["rate", "groups"])
def test_fallbacks_have_the_same_values_and_gradients(what, rng, monkeypatch):
    x = tf.constant(rng.normal(size=(2, 8, 9, 4)), tf.float32)
    groups = 2 if what == "groups" else 1
    w = tf.constant(rng.normal(size=(3, 3, 4 // groups, 6)), tf.float32)
    rate = (2, 2) if what == "rate" else (1, 1)
    results = []
    for native_works in (True, False):
        monkeypatch.setattr(conv_operations, "trains_natively", lambda _: native_works)  # noqa: B023
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = conv_operations.convolve(x, w, (1, 1), rate, "SAME", groups)
            loss = tf.reduce_sum(y**2)
        try:
            results.append((y, *tape.gradient(loss, [x, w])))
        except tf.errors.OpError:
            assert native_works  # This machine needs the fallback.
            return
    for actual, desired in zip(*results, strict=True):
        assert_close(actual, desired)


def test_pools_equal_numpy(rng):
    x = rng.normal(size=(1, 5, 6, 2)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(1, 2))
    windows = windows[:, ::2, ::2]

    def build():
        x_ = tf.constant(x)
        return layers.max_pool2d(x_, [3, 2]), layers.avg_pool2d(x_, [3, 2])

    largest, mean = run_graph(build)
    assert_close(largest, windows.max((-1, -2)))
    assert_close(mean, windows.mean((-1, -2)))


def test_pools_over_frames_equal_numpy(rng):
    x = rng.normal(size=(1, 4, 5, 6, 2)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3, 2), axis=(1, 2, 3))
    windows = windows[:, ::2, ::2, ::2]

    def build():
        first = tf.transpose(x, [0, 4, 1, 2, 3])
        largest = layers.max_pool3d(first, [2, 3, 2], data_format="NCDHW")
        return tf.transpose(largest, [0, 2, 3, 4, 1]), layers.avg_pool3d(x, [2, 3, 2])

    largest, mean = run_graph(build)
    assert_close(largest, windows.max((-1, -2, -3)))
    assert_close(mean, windows.mean((-1, -2, -3)))


def test_fully_connected_keeps_leading_dimensions(rng):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)

    def build():
        net = layers.fully_connected(x, 5)
        assert net.shape == (2, 3, 5)
        return net, tf.nn.relu(tf.einsum("abc,cd->abd", x, v1.trainable_variables()[0]))

    assert_close(*run_graph(build))


def test_flatten_and_softmax():
    with tf.Graph().as_default():
        assert layers.flatten(v1.placeholder(tf.float32, [None, 2, 3])).shape[1] == 6
        assert layers.flatten(v1.placeholder(tf.float32, [4, None, 3])).shape[0] == 4
    x = np.array([[[1.0, 2.0], [3.0, 3.0]]], np.float32)
    probabilities = run_graph(lambda: layers.softmax(tf.constant(x)))
    assert_close(probabilities, np.exp(x) / np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("as_tensor", [False, True])
def test_dropout_drops_in_training_only(as_tensor):
    ones = np.ones([100, 100], np.float32)

    def build(training):
        flag = v1.placeholder_with_default(training, []) if as_tensor else training
        return layers.dropout(ones, 0.8, is_training=flag)

    np.testing.assert_array_equal(run_graph(lambda: build(False) * 1), ones)
    dropped = run_graph(lambda: build(True))
    assert set(np.unique(dropped)) == {0.0, np.float32(1.25)}
    assert abs((dropped == 0).mean() - 0.2) < 0.02


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(
    "mode,fan", [("FAN_IN", 18), ("FAN_OUT", 450), ("FAN_AVG", 234)]
)
@pytest.mark.parametrize("uniform", [False, True])
def test_variance_scaling_has_the_variance_of_its_fan(mode, fan, uniform, seed):
    init = initializers.VarianceScaling(2.0, mode, uniform)

    def build():
        if seed is None:
            return init([3, 3, 2, 50]) * 1, init([3, 3, 2, 50]) * 1
        return init([3, 3, 2, 50], name="a"), init([3, 3, 2, 50], name="a")

    with tf.Graph().as_default() as graph, v1.Session() as session:
        graph.seed = seed
        first, second = session.run(build())
    assert np.array_equal(first, second) == (seed is not None)
    # Both by five standard deviations, for where there is no seed.
    assert abs(first.var() / (2.0 / fan) - 1) < 0.25
    assert abs(first.mean()) < 5 * first.std() / np.sqrt(first.size)


@pytest.mark.parametrize("reuse", [None, v1.AUTO_REUSE])
def test_initial_values_must_have_the_variables_shape(reuse):
    def wrong(shape, dtype=None):
        return np.zeros([3])

    with tf.Graph().as_default(), v1.variable_scope("", reuse=reuse):
        right = layers.fully_connected(
            tf.zeros([1, 2]), 3, biases_initializer=wrong, scope="right"
        )
        assert right.shape == (1, 3)
        with pytest.raises(ValueError, match="shape"):
            layers.fully_connected(
                tf.zeros([1, 2]), 4, biases_initializer=wrong, scope="wrong"
            )


@pytest.mark.parametrize("parts", [1, 2])
def test_each_variable_has_an_initial_value_of_its_own(parts):
    """Programs feed `initializer.inputs[1]` of many variables in one run."""
    partitioner = v1.fixed_size_partitioner(parts) if parts > 1 else None
    with tf.Graph().as_default(), v1.variable_scope("", partitioner=partitioner):
        net = tf.zeros([1, 9, 9, 4])
        for norm in (layers.batch_norm, layers.group_norm):
            params = {"scale": True} if norm is layers.batch_norm else {"groups": 2}
            net = layers.conv2d(net, 4, 3, normalizer_fn=norm, normalizer_params=params)
        net = layers.batch_norm(net, sync=True, zero_debias_moving_mean=True)
        net = layers.separable_conv2d(net, 4, 3, normalizer_fn=layers.batch_norm)
        layers.fully_connected(layers.flatten(net), 4)
        variables = v1.global_variables()
        feed = {
            variable.initializer.inputs[1]: np.full(variable.shape, number)
            for number, variable in enumerate(variables)
        }
        assert len(feed) == len(variables) > 15
        with v1.Session() as session:
            session.run([variable.initializer for variable in variables], feed)
            for number, variable in enumerate(variables):
                assert (session.run(variable) == number).all()


BAD = {
    "rank": (lambda x: layers.conv2d(x[0], 3, 3), "rank 4"),
    "padding": (lambda x: layers.conv2d(x, 3, 3, padding="SOME"), "SOME"),
    "format": (lambda x: layers.conv2d(x, 3, 3, data_format="NWC"), "NWC"),
    "kernel": (lambda x: layers.conv2d(x, 3, [3, 3, 3]), "kernel_size"),
    "stride": (lambda x: layers.conv2d(x, 3, 3, stride=0), "stride=0"),
    "groups": (lambda x: layers.conv2d(x, 3, 3, groups=2), "groups=2"),
    "pool": (lambda x: layers.max_pool2d(x[0], 3), "rank 4"),
    "pool of frames": (lambda x: layers.max_pool3d(x, 3), "rank 5"),
    "pool format": (lambda x: layers.max_pool3d(x, 3, data_format="NHWC"), "NCDHW"),
    "spread rank": (lambda x: layers.conv2d_transpose(x[0], 3, 3), "rank 4"),
    "spread padding": (lambda x: layers.conv2d_transpose(x, 3, 3, 1, "SOME"), "SOME"),
    "instances": (lambda x: layers.instance_norm(x, data_format="NWC"), "NWC"),
    "dense": (lambda x: layers.fully_connected(x[0, 0, 0], 3), "rank 2"),
    "decay": (lambda x: layers.l2_regularizer(-1.0), "-1.0"),
    "mode": (lambda x: layers.variance_scaling_initializer(mode="FAN"), "FAN_IN"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_raise_and_say_what_is_allowed(case):
    call, words = BAD[case]
    with tf.Graph().as_default(), pytest.raises(ValueError, match=words):
        call(v1.placeholder(tf.float32, [1, 8, 8, 3]))


def test_ops_of_a_layer_live_in_its_scope():
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [1, 8, 8, 3], name="images")
        with slimnets.arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm):
            layers.conv2d(images, 4, 3, scope="layer")
        outside = [op.name for op in graph.get_operations()]
        assert [n for n in outside if not n.startswith("layer/")] == ["images"]


def ancestors(operation):
    """All operations that run before `operation` does."""
    found, waiting = set(), [operation]
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return found


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        layers.batch_norm,
        functools.partial(layers.batch_norm, zero_debias_moving_mean=True),
        functools.partial(layers.batch_norm, fused=False),
        layers.spectral_norm,
        functools.partial(layers.magnitude_mask, end_step=9),
        functools.partial(layers.fake_quantized, delay=2),
        functools.partial(layers.fake_quantized_activations, delay=2),
    ],
    ids=range(7),
)
def test_what_a_step_computes_with_is_read_before_its_updates(layer, given):
    with tf.Graph().as_default():
        is_training = v1.placeholder(tf.bool, []) if given else True
        inputs = v1.placeholder(tf.float32, [2, 3, 3, 4])
        outputs = layer(inputs, is_training=is_training)
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        assert updates
        used = ancestors(outputs.op)
        before = set().union(*(ancestors(update) for update in updates))
        moved = {op.inputs[0].op for op in before if op.type.startswith("Assign")}
        reads = {op for op in used if op.type == "ReadVariableOp"}
        reads = {op for op in reads if op.inputs[0].op in moved}
        assert moved and reads <= before
