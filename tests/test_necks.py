"""Laws of the necks: exact upsampling, levels, arg scopes, errors."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers, necks
from tests.helpers import assert_close, run_graph, v1


@pytest.mark.parametrize("height,width", [*itertools.product((1, 2, 7, 8), (3, 4))])
def test_upsampling_repeats_every_position_exactly(height, width, rng):
    coarse = rng.normal(size=(2, -(-height // 2), -(-width // 2), 3))
    fine = np.zeros((2, height, width, 1))
    found = necks.upsample_like(tf.constant(coarse), tf.constant(fine)).numpy()
    rows, columns = np.arange(height) // 2, np.arange(width) // 2
    np.testing.assert_array_equal(found, coarse[:, rows][:, :, columns])


def test_upsampling_of_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None] * 3 + [2])] * 2)
    def run(coarse, fine):
        return necks.upsample_like(coarse, fine)

    assert run(tf.ones([1, 3, 4, 2]), tf.ones([1, 5, 8, 2])).shape == (1, 5, 8, 2)
    with pytest.raises(ValueError, match="not half of"):
        necks.upsample_like(tf.ones([1, 4, 4, 2]), tf.ones([1, 5, 8, 2]))


@pytest.mark.parametrize("size,max_level", [*itertools.product((128, 100, 65), (5, 7))])
def test_every_level_is_half_the_one_before(size, max_level):
    def build():
        inputs = {
            level: tf.ones([1, -(-size // s), -(-size // s), 4])
            for level, s in (("C2", 4), ("C3", 8), ("C4", 16), ("C5", 32))
        }
        return slimnets.feature_pyramid(inputs, 6, max_level=max_level)

    found = run_graph(build)
    assert list(found) == [f"P{n}" for n in range(2, max_level + 1)]
    for level, net in found.items():
        side = -(-size // 2 ** int(level[1:]))
        assert net.shape == (1, side, side, 6)


def test_the_pyramid_is_the_papers_sum():
    """P3 = conv3x3(lateral3 + up(lateral4 + up(lateral5)))."""
    rng = np.random.default_rng(0)
    sizes = {"C3": 7, "C4": 4, "C5": 2}
    arrays = {k: rng.normal(size=(1, n, n, 3)).astype("f") for k, n in sizes.items()}

    def build():
        inputs = {k: tf.constant(a) for k, a in arrays.items()}
        pyramid = slimnets.feature_pyramid(inputs, 5, max_level=6, scope="fpn")
        variables = {v.op.name: v for v in v1.global_variables()}

        def conv(net, name, stride=1):
            net = tf.nn.conv2d(net, variables[f"fpn/{name}/weights"], stride, "SAME")
            return net + variables[f"fpn/{name}/biases"]

        total = conv(inputs["C5"], "lateral5")
        expected = [conv(total, "output5")]
        for level in (4, 3):
            side = inputs[f"C{level}"].shape[1]
            total = tf.repeat(tf.repeat(total, 2, 1), 2, 2)[:, :side, :side]
            total = total + conv(inputs[f"C{level}"], f"lateral{level}")
            expected.insert(0, conv(total, f"output{level}"))
        padded = tf.pad(expected[-1], [[0, 0], [1, 1], [1, 1], [0, 0]])
        weights = variables["fpn/output6/weights"]
        expected.append(
            tf.nn.conv2d(padded, weights, 2, "VALID") + variables["fpn/output6/biases"]
        )
        return list(pyramid.values()), expected

    for found, expected in zip(*run_graph(build), strict=True):
        assert_close(found, expected)


def test_pooled_extra_levels_have_no_variables():
    def build():
        inputs = {"C4": tf.reshape(tf.range(50.0), [1, 5, 5, 2])}
        with slimnets.arg_scope([slimnets.feature_pyramid], extra_levels="pool"):
            pyramid = slimnets.feature_pyramid(inputs, 3, max_level=6)
        return pyramid, tf.constant(len(v1.global_variables()))

    pyramid, count = run_graph(build)
    assert count == 4
    np.testing.assert_array_equal(pyramid["P6"], pyramid["P4"][:, ::4, ::4])


def test_path_aggregation_keeps_sizes_and_the_finest_level():
    def build():
        pyramid = {f"P{n}": tf.ones([1, 33 // 2**n + 1, 5, 6]) for n in (2, 3)}
        pyramid["P3"] = tf.ones([1, 5, 3, 6])
        return pyramid, necks.path_aggregation(pyramid)

    pyramid, path = run_graph(build)
    assert list(path) == ["N2", "N3"]
    np.testing.assert_array_equal(path["N2"], pyramid["P2"])
    assert path["N3"].shape == pyramid["P3"].shape


def test_necks_take_the_open_arg_scopes():
    with tf.Graph().as_default():
        inputs = {f"C{n}": tf.ones([1, 64 // 2**n, 64 // 2**n, 4]) for n in (3, 4)}
        with slimnets.arg_scope(
            [layers.conv2d], normalizer_fn=layers.batch_norm, trainable=False
        ):
            slimnets.feature_pyramid(inputs, 3, max_level=4)
            necks.atrous_pyramid(inputs["C4"], 4)
        names = [v.op.name for v in v1.global_variables()]
        assert not any("biases" in name for name in names)
        assert "feature_pyramid/lateral3/BatchNorm/beta" in names
        assert "aspp/aspp2/BatchNorm/moving_mean" in names
        assert not [v for v in v1.trainable_variables() if "weights" in v.op.name]
        collected = slimnets.EndPoints()
        slimnets.feature_pyramid(
            inputs, 3, scope="again", outputs_collections=collected
        )
        assert list(collected) == [f"again/P{n}" for n in (3, 4, 5, 6, 7)]


def test_aspp_sees_what_its_rates_say():
    """The gradient of the middle reaches `rate` pixels, and with pooling everything."""

    def build(image_pooling):
        def inner():
            inputs = tf.constant(
                np.random.default_rng(0).normal(size=(1, 21, 21, 2)).astype("f")
            )
            net = necks.atrous_pyramid(
                inputs, 3, rates=(2, 5), image_pooling=image_pooling
            )
            return tf.gradients(tf.reduce_sum(net[:, 10, 10]), inputs)[0]

        with slimnets.arg_scope(
            [layers.conv2d], weights_initializer=tf.compat.v1.ones_initializer(),
            activation_fn=None,
        ):  # fmt: skip
            return run_graph(inner)

    reached = np.argwhere(build(False).any((0, 3)))
    steps = {tuple(step) for step in np.abs(reached - 10)}
    assert steps == {(a, b) for r in (2, 5) for a in (0, r) for b in (0, r)}
    assert build(True).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: slimnets.feature_pyramid({}), "got none"),
        (lambda x: slimnets.feature_pyramid({"C3": x, "C5": x}), "got C3, C5"),
        (lambda x: slimnets.feature_pyramid({"block3": x}), "got block3"),
        (lambda x: slimnets.feature_pyramid({"P3": x}), "C3, C4 and C5"),
        (lambda x: slimnets.feature_pyramid({"C3": x}, max_level=2), "below C3"),
        (lambda x: slimnets.feature_pyramid({"C3": x}, extra_levels="x"), "conv, pool"),
        (lambda x: slimnets.feature_pyramid({"C3": x, "C4": x}), "not half of"),
        (lambda x: necks.path_aggregation({"P3": x}, 5), "channels"),
        (lambda x: necks.atrous_pyramid(x, rates=(0,)), ">= 1"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        call(tf.ones([1, 8, 8, 4]))
