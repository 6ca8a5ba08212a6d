"""Optimizers against their papers' formulas, and what is done to their updates."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from slimnets.training import TrainingConfig, optimizers, run
from slimnets.training.lars import Lars
from slimnets.training.optimization_config import OptimizationConfig
from slimnets.training.optimizers import OPTIMIZERS, change_updates, make_optimizer

# Each option with a value that is not its default.
OPTIONS = {
    "momentum": 0.5,
    "adam_beta1": 0.8,
    "adam_beta2": 0.98,
    "opt_epsilon": 0.01,
    "rmsprop_decay": 0.7,
    "adadelta_rho": 0.5,
    "adagrad_initial_accumulator_value": 0.5,
    "ftrl_learning_rate_power": -0.3,
    "ftrl_initial_accumulator_value": 0.5,
    "ftrl_l1": 0.1,
    "ftrl_l2": 0.1,
    "lars_trust": 0.01,
}


def two_steps(optimizer, start=((1.0, -2.0), (0.5, 3.0)), rank1=False):
    """What two steps on the gradients w / 2 + 0.1 make of a variable w."""
    value = np.array(start, np.float32)
    variable = tf.Variable(value[0] if rank1 else value, name="weights")
    optimizer.build([variable])
    for _ in range(2):
        optimizer.apply([variable / 2 + 0.1], [variable])
    return variable.numpy()


def three_steps(name, options, rank1=False):
    """Gradients that turn round, so that an optimizer of signs shows its betas."""
    start = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    variable = tf.Variable(start[0] if rank1 else start, name="net/weights")
    optimizer = make_optimizer(name, 0.1, options)
    gradient = variable / 2 + 0.1
    for factor in (1.0, -0.06, -0.14):
        optimizer.apply([gradient * factor], [variable])
    return variable.numpy()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_and_each_of_its_options_has_an_effect(name):
    start = np.array([[1.0, -2.0], [0.5, 3.0]])
    plain = three_steps(name, {})
    assert np.isfinite(plain).all() and not np.allclose(plain, start, atol=1e-6)
    for option in OPTIMIZERS[name].options:
        rank1 = name == "muon" and option != "momentum"
        before = three_steps(name, {}, rank1)
        changed = three_steps(name, {option: OPTIONS[option]}, rank1)
        assert not np.array_equal(changed, before), option


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("adam", lambda: keras.optimizers.Adam(0.1, epsilon=1e-8)),
        ("momentum", lambda: keras.optimizers.SGD(0.1, momentum=0.9)),
        ("nesterov", lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)),
        ("lamb", lambda: keras.optimizers.Lamb(0.1)),
        ("adafactor", lambda: keras.optimizers.Adafactor(0.1, relative_step=False)),
    ],
)
def test_names_mean_keras_optimizers(name, other):
    ours = two_steps(make_optimizer(name, 0.1, {}))
    np.testing.assert_allclose(ours, two_steps(other()), rtol=1e-5)


@pytest.mark.parametrize("rank1", [False, True])
def test_lars_is_its_algorithm(rank1):
    value = np.array([[1.0, -2.0], [0.5, 3.0]])
    value = value[0] if rank1 else value
    velocity = np.zeros_like(value)
    for _ in range(2):
        gradient = value / 2 + 0.1
        ratio = 1.0
        if not rank1:
            norms = [np.linalg.norm(x) for x in (value, gradient)]
            ratio = 0.02 * norms[0] / (norms[1] + 1e-9)
        velocity = 0.8 * velocity + 0.1 * ratio * gradient
        value = value - velocity
    ours = two_steps(Lars(0.1, momentum=0.8, trust=0.02), rank1=rank1)
    np.testing.assert_allclose(ours, value, rtol=1e-5)


def test_lars_has_a_ratio_of_one_for_zeros():
    start = np.zeros([2, 2], np.float32)
    variable = tf.Variable(start)
    Lars(0.5).apply([tf.ones([2, 2])], [variable])
    np.testing.assert_allclose(variable, -0.5 * np.ones([2, 2]))


def test_decoupled_decay_of_adam_is_adamw():
    ours = make_optimizer("adamw", 0.1, {"opt_epsilon": 1e-7})
    change_updates(ours, [1.0], [0.3])
    theirs = keras.optimizers.AdamW(0.1, weight_decay=0.3, epsilon=1e-7)
    np.testing.assert_allclose(two_steps(ours), two_steps(theirs), rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_a_factor_is_that_of_the_learning_rate(name):
    ours = make_optimizer(name, 0.1, {})
    change_updates(ours, [0.25], [0.0])
    other = make_optimizer(name, 0.025, {})
    np.testing.assert_allclose(two_steps(ours), two_steps(other), rtol=1e-6)


NAMES = [
    "net/conv1/weights",
    "net/conv1/BatchNorm/beta",
    "net/block1/unit_1/a/weights",
    "net/block2/unit_1/a/weights",
    "net/postnorm/beta",
    "net/logits/biases",
]


def test_layer_factors_fall_from_the_logits_to_the_root():
    factors = optimizers.layer_factors(NAMES, 0.5)
    assert factors == [0.125, 0.125, 0.25, 0.5, 1, 1]
    with pytest.raises(ValueError, match="no blocks"):
        optimizers.layer_factors(["net/conv1/weights"], 0.5)


def test_scope_factors_take_the_first_scope_that_fits():
    factors = optimizers.scope_factors(NAMES, "net/conv1/BatchNorm=3, net/conv1=0.5")
    assert factors == [0.5, 3, 1, 1, 1, 1]
    for wrong in ("net/conv1", "=2", "net/conv1=-1", "net/conv1=x"):
        with pytest.raises(ValueError, match="is not a scope and a factor"):
            optimizers.scope_factors(NAMES, wrong)
    with pytest.raises(ValueError, match="no trained variable is in the scope 'conv1'"):
        optimizers.scope_factors(NAMES, "conv1=2")


def test_weight_decay_is_for_weights_of_layers():
    decays = optimizers.decays
    assert decays("net/conv1/weights", [3, 3, 1, 8])
    assert not decays("net/conv1/depthwise_weights", [3, 3, 8, 1])
    assert not decays("net/conv1/biases", [8]) and not decays("net/gamma", [8])


def _variables():
    shapes = {
        "conv1/weights": [3, 3, 1, 2],
        "conv1/beta": [2],
        "logits/weights": [4, 2],
    }
    return {f"tiny/{n}": tf.Variable(tf.ones(s)) for n, s in shapes.items()}


@pytest.mark.parametrize(
    ("changes", "decayed"),
    [
        ({"weight_decay_type": "decoupled"}, True),
        ({"optimizer": "adamw"}, True),
        ({"optimizer": "adamw", "weight_decay_type": "l2"}, False),
        ({}, False),
    ],
)
def test_settings_decide_the_decay(config, changes, decayed):
    """With gradients of zero, only decoupled decay changes weights."""
    settings = config(
        weight_decay=0.5, learning_rate=0.1, learning_rate_decay_type="fixed", **changes
    )
    variables = _variables()
    optimizer = run._make_optimizer(settings, variables)
    optimizer.apply([tf.zeros_like(v) for v in variables.values()])
    for name, variable in variables.items():
        wanted = 0.95 if decayed and name.endswith("weights") else 1.0
        np.testing.assert_allclose(variable, np.full(variable.shape, wanted), rtol=1e-6)


def test_settings_scale_learning_rates(config):
    settings = config(
        optimizer="sgd", learning_rate=1.0, learning_rate_decay_type="fixed",
        learning_rate_scales="tiny/logits=10,tiny/conv1/beta=0",
    )  # fmt: skip
    variables = _variables()
    optimizer = run._make_optimizer(settings, variables)
    optimizer.apply([0.01 * tf.ones_like(v) for v in variables.values()])
    moved = [1 - v.numpy().ravel()[0] for v in variables.values()]
    np.testing.assert_allclose(moved, [0.01, 0.0, 0.1], atol=1e-6)
    with pytest.raises(ValueError, match="layer_rate_decay is of no effect"):
        run._make_optimizer(config(layer_rate_decay=0.5), variables)


def test_options_have_a_flag_of_their_own():
    fields = OptimizationConfig.__dataclass_fields__
    assert {o for e in OPTIMIZERS.values() for o in e.options} <= set(fields)
    assert set(OPTIONS) == {o for e in OPTIMIZERS.values() for o in e.options}
    assert "optimizer" in TrainingConfig.__dataclass_fields__
