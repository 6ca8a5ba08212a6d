"""What stands for tf.contrib and tf.layers: each against numpy, or its own law."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import contrib_names, slim
from slimnets.slim import contrib
from slimnets.slim.contrib import data, hparams, image, layers, optimizers, recurrent
from tests.helpers import run_graph, v1


def test_every_home_and_name_of_the_tables_is_there():
    for name, home in contrib_names.NAMES.items():
        assert contrib.object_of(home) is not None, (name, home)
    for name, homes in contrib_names.HOMES.items():
        assert any(contrib.object_of(home) is not None for home in homes), name
    for module, moved in contrib_names.MOVED.items():
        for name in moved:
            home = contrib_names.moved(f"tensorflow.python.{module}.{name}")
            assert contrib.object_of(home) is not None


@pytest.mark.parametrize(
    "old, home",
    {
        "tensorflow.contrib.layers.xavier_initializer": f"{slim.__name__}.xavier_"
        "initializer",
        "tensorflow.contrib.layers.python.layers.utils.collect_named_outputs":
            "slimnets.slim.layers.utils.collect_named_outputs",
        "tensorflow.contrib.framework.nest": "tf.nest",
        "tensorflow.contrib.losses.metric_learning.triplet_semihard_loss":
            "slimnets.slim.losses.metric_learning.triplet_semihard_loss",
        "tensorflow.contrib.crf.crf_log_likelihood": None,
        "nets.mobilenet.mobilenet": "slimnets.slim.nets.mobilenet.mobilenet",
        "preprocessing.vgg_preprocessing":
            "slimnets.slim.research.preprocessing.vgg_preprocessing",
    }.items(),
)  # fmt: skip
def test_where_a_name_is(old, home):
    assert contrib.home_of(old) == home


def test_zero_initializer_assigns_zeros():
    with tf.Graph().as_default(), v1.Session() as session:
        variable = v1.get_variable("x", [3], initializer=v1.ones_initializer())
        session.run(slim.zero_initializer(variable))
        np.testing.assert_array_equal(session.run(variable), [0, 0, 0])


@pytest.mark.parametrize("first", [False, True], ids=["last", "first"])
def test_layers_have_tensorflow_1s_variables_and_values(rng, first):
    x = rng.normal(size=(2, 5, 6, 3)).astype(np.float32)
    order = "channels_first" if first else "channels_last"

    def build():
        net = tf.constant(x.transpose(0, 3, 1, 2) if first else x)
        flat = layers.flatten(net, data_format=order)
        out = {"flat": flat, "dense": layers.dense(flat, 4, name="head")}
        out["again"] = layers.dense(flat, 4, name="head", reuse=True)
        if not first:  # The processor has no kernels for the others.
            out["conv"] = layers.conv2d(net, 4, 3, padding="same")
            out["conv_1"] = layers.Conv2D(4, 1, strides=2, use_bias=False)(net)
            out["up"] = layers.conv2d_transpose(net, 2, 3, strides=2)
            out["pool"] = layers.average_pooling2d(net, 2, 2)
            out["max"] = layers.max_pooling2d(net, 2, 2, padding="same")
        out["weights"] = {w.op.name: w for w in v1.global_variables()}
        return out

    got = run_graph(build)
    np.testing.assert_allclose(got["flat"], x.reshape(2, -1), rtol=1e-6)
    weights = got["weights"]
    wanted = got["flat"] @ weights["head/kernel"] + weights["head/bias"]
    np.testing.assert_allclose(got["dense"], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got["again"], got["dense"])
    if first:
        return
    assert set(weights) == {
        "head/kernel", "head/bias", "conv2d/kernel", "conv2d/bias", "conv2d_1/kernel",
        "conv2d_transpose/kernel", "conv2d_transpose/bias",
    }  # fmt: skip
    np.testing.assert_allclose(
        got["conv_1"], x[:, ::2, ::2] @ weights["conv2d_1/kernel"][0, 0], atol=1e-5
    )
    assert got["conv"].shape == (2, 5, 6, 4) and got["up"].shape == (2, 11, 13, 2)
    means = x[:, :4].reshape(2, 2, 2, 3, 2, 3).mean((2, 4))
    np.testing.assert_allclose(got["pool"], means, rtol=1e-4, atol=1e-6)
    assert got["max"].shape == (2, 3, 3, 3)


def test_a_layer_may_inherit_from_keras_s_too_as_it_did_in_tensorflow_1(rng):
    class Doubled(tf.keras.layers.Conv2D, layers.Layer):
        def __init__(self, filters, **options):
            super().__init__(filters, (3, 3), **options)

        def call(self, inputs):
            net = self._convolution_op(inputs, 2.0 * self.kernel)
            assert self.data_format == "channels_last" and not self.use_bias
            return self.activation(net)

    x = rng.normal(size=(1, 5, 5, 2))

    def build():
        with v1.variable_scope("a/b") as scope:
            made = Doubled(
                3, activation=tf.abs, use_bias=False, name=scope.name, _scope=scope
            )
            twice = made.apply(x)
        once = layers.conv2d(x, 3, 3, use_bias=False, reuse=True, name="a/b")
        return twice, once, {v.op.name: v for v in v1.global_variables()}

    twice, once, weights = run_graph(build)
    assert list(weights) == ["a/b/kernel"] and weights["a/b/kernel"].dtype == np.float64
    np.testing.assert_allclose(twice, 2.0 * np.abs(once))


@pytest.mark.parametrize("is_tensor", [False, True])
def test_batch_normalization_trains_and_infers(rng, is_tensor):
    x = rng.normal(2.0, 3.0, size=(8, 4)).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        training = v1.placeholder_with_default(True, []) if is_tensor else True
        net = layers.batch_normalization(
            tf.constant(x), momentum=0.9, training=training
        )
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        assert len(updates) == 2
        assert not v1.get_collection(v1.GraphKeys.MODEL_VARIABLES)
        session.run(v1.global_variables_initializer())
        out, _ = session.run([net, updates])
        wanted = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
        np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)
        moved = {v.op.name: session.run(v) for v in v1.global_variables()}
        mean, variance = (
            moved[f"batch_normalization/moving_{n}"] for n in ("mean", "variance")
        )
        np.testing.assert_allclose(mean, 0.1 * x.mean(0), rtol=1e-4)
        np.testing.assert_allclose(variance, 0.9 + 0.1 * x.var(0), rtol=1e-4)
        if is_tensor:
            out, _ = session.run([net, updates], {training: False})
            wanted = (x - mean) / np.sqrt(variance + 1e-3)
            np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)
            after = [session.run(v) for v in v1.global_variables()]
            np.testing.assert_allclose(after[2], mean, rtol=1e-6)


def test_dropout_is_for_training():
    with tf.Graph().as_default(), v1.Session() as session:
        ones = tf.ones([1000])
        off = session.run(layers.dropout(ones, 0.4))
        on = session.run(layers.dropout(ones, 0.4, training=True, seed=1))
    assert (off == 1).all()
    assert set(np.round(on, 4)) == {0.0, np.float32(np.round(1 / 0.6, 4))}
    assert 0.3 < (on == 0).mean() < 0.5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_an_lstm_is_the_papers(rng):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)

    def build():
        cells = [recurrent.LSTMCell(5), recurrent.BasicLSTMCell(5)]
        cells[1] = recurrent.DropoutWrapper(cells[1], output_keep_prob=1.0)
        one, _ = v1.nn.dynamic_rnn(recurrent.BasicLSTMCell(5), x, dtype=tf.float32)
        with v1.variable_scope("deep"):
            deep, state = v1.nn.dynamic_rnn(
                recurrent.MultiRNNCell(cells), x, dtype=tf.float32
            )
        with v1.variable_scope("gru"):
            v1.nn.dynamic_rnn(recurrent.GRUCell(5), x, dtype=tf.float32)
        weights = {w.op.name: w for w in v1.global_variables()}
        return {"one": one, "deep": deep, "state": state[1].h, "weights": weights}

    got = run_graph(build)
    weights = got["weights"]
    assert {
        "deep/rnn/multi_rnn_cell/cell_0/lstm_cell/kernel",
        "deep/rnn/multi_rnn_cell/cell_1/basic_lstm_cell/bias",
        "gru/rnn/gru_cell/gates/kernel",
        "gru/rnn/gru_cell/candidate/bias",
    } < set(weights)
    kernel, bias = (weights[f"rnn/basic_lstm_cell/{n}"] for n in ("kernel", "bias"))
    c = h = np.zeros((2, 5))
    for step in range(3):
        gates = np.concatenate([x[:, step], h], 1) @ kernel + bias
        i, j, f, o = np.split(gates, 4, 1)
        c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
        h = np.tanh(c) * sigmoid(o)
    np.testing.assert_allclose(got["one"][:, -1], h, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["deep"][:, -1], got["state"], rtol=1e-6)


@pytest.mark.parametrize("own, value", [(None, 2.0), (3.0, 3.0)])
def test_an_lstms_kernel_begins_as_it_says_or_as_the_scope_does(own, value):
    initializer = own and v1.constant_initializer(own)

    def build():
        with v1.variable_scope("rnn", initializer=v1.constant_initializer(2.0)):
            cell = recurrent.LSTMCell(5, initializer=initializer)
            cell(tf.zeros([1, 4]), cell.zero_state(1, tf.float32))
        return cell.kernel, cell.bias

    kernel, bias = run_graph(build)
    assert (kernel == value).all() and not bias.any()


def test_images_turn_and_move(rng):
    x = rng.normal(size=(1, 5, 5, 1)).astype(np.float32)
    turned = image.rotate(x, np.pi / 2)
    np.testing.assert_allclose(turned[0, ..., 0], np.rot90(x[0, ..., 0]), atol=1e-6)
    moved = image.translate(x[0, ..., 0], [1, 2])
    np.testing.assert_allclose(moved[2:, 1:], x[0, :-2, :-1, 0], atol=1e-6)
    assert not moved[:2].numpy().any()
    both = image.compose_transforms(
        image.translations_to_projective_transforms([1, 0]),
        image.translations_to_projective_transforms([0, 2]),
    )
    together = image.transform(x[0], both[0])
    np.testing.assert_allclose(together[..., 0], moved, atol=1e-6)


def test_hyper_parameters():
    p = hparams.HParams(rate=0.1, sizes=[1, 2], name="x", flag=False, steps=3)
    p.parse("rate=1,sizes=[3, 4],flag=true,name=new,sizes[1]=9")
    assert p.values() == {
        "rate": 1.0, "sizes": [3, 9], "name": "new", "flag": True, "steps": 3,
    }  # fmt: skip
    assert "rate" in p and p.get("none", 7) == 7
    assert hparams.HParams(**p.values()).parse_json(p.to_json()).values() == p.values()
    for wrong in (
        "rate[0]=1",
        "sizes[7]=1",
        "rate=x",
        "none=1",
        "flag=maybe",
        "steps=[1]",
        "rate",
    ):
        with pytest.raises(ValueError):
            p.parse(wrong)
    with pytest.raises(ValueError, match="reserved"):
        p.add_hparam("rate", 1)
    with pytest.raises(KeyError):
        p.set_hparam("none", 1)


def test_optimizers_decay_and_average(tmp_path):
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.get_variable("x", initializer=2.0)
        plain = optimizers.MomentumWOptimizer(0.5, 0.0, 0.9)  # Decays alone.
        decay = plain.minimize(x * 3.0, var_list=[x])
        averaging = optimizers.MovingAverageOptimizer(
            v1.train.GradientDescentOptimizer(1.0), 0.5
        )
        train = averaging.minimize(x)
        saver = averaging.swapping_saver()
        session.run(v1.global_variables_initializer())
        session.run(decay)
        assert session.run(x) == 1.0
        session.run(train)  # x is 0; the average began at 2, before the decay.
        assert session.run(x) == 0.0
        average = session.run(
            next(v for v in v1.global_variables() if "ExponentialMoving" in v.name)
        )
        path = saver.save(session, str(tmp_path / "model"))
    assert tf.train.load_variable(path, "x") == average == 1.0


def test_transformations_of_datasets():
    dataset = tf.data.Dataset.range(5).apply(data.batch_and_drop_remainder(2))
    assert [b.tolist() for b in dataset.as_numpy_iterator()] == [[0, 1], [2, 3]]
    assert list(dataset.apply(data.unbatch()).as_numpy_iterator()) == [0, 1, 2, 3]
