"""Frozen stages and norms: nothing of them moves; statistics of replicas together."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.rows.builder import network_of
from slimnets.training.optimizers import make_optimizer
from tests.helpers import assert_close, v1

THIN = {"depth_multiplier": 0.125, "num_classes": 3}
NETWORKS = ("resnet18", "resnet_v2_50", "seresnet50", "bit_r50x1", "keras_resnet50")
# Names of the variables of each stage, in order.
STAGES = ("conv1", "block1", "block2", "block3", "block4")


def is_frozen(name, freeze_at):
    return name.split("/")[1] in STAGES[:freeze_at]


def train(model, steps=10, batch=2, size=33, optimizer="momentum", rate=0.02):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, size, size, 3)).astype(np.float32)
    labels = np.arange(batch) % 3
    optimizer = make_optimizer(optimizer, rate, {})
    optimizer.build(model.trainable_variables)
    losses = []

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for _ in range(steps):
        losses.append(float(step()))
    return losses


@pytest.mark.parametrize(
    ("name", "freeze_at"),
    [
        ("resnet18", 0),
        ("resnet18", 1),
        ("resnet_v2_50", 2),
        ("bit_r50x1", 5),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in itertools.product(NETWORKS, (2, 5))
        ),
    ],
)
def test_frozen_stages_are_bit_identical_after_ten_steps(name, freeze_at):
    # With at most two units a block, all kinds of layers are still there.
    network = network_of(slimnets.network_info(name).network.row.thin())
    model = slimnets.Model(network, seed=0, freeze_at=freeze_at, **THIN)
    model.build([None, 33, 33, 3])
    trainable = {v.name.split(":")[0] for v in model.trainable_variables}
    before = {n: v.numpy() for n, v in model.variables_by_name.items()}
    train(model)
    moved = set()
    for key, variable in model.variables_by_name.items():
        frozen = is_frozen(key, freeze_at)
        if frozen or (freeze_at == 5 and "postnorm" in key):
            np.testing.assert_array_equal(variable.numpy(), before[key], err_msg=key)
            assert not variable.trainable and key not in trainable
        elif not np.array_equal(variable.numpy(), before[key]):
            moved.add(key.split("/")[1])
    assert {f"block{n}" for n in range(1, 5) if freeze_at <= n} <= moved
    assert "logits" in moved


@pytest.mark.parametrize("name", ["resnet18", "resnet_v2_50"])
def test_trainable_lists_and_update_ops_leave_frozen_stages_out(name):
    for freeze_at in (0, 2, 5):
        with tf.Graph().as_default():
            images = v1.placeholder(tf.float32, [2, 33, 33, 3])
            slimnets.build(name, images, is_training=True, freeze_at=freeze_at, **THIN)
            trainable = [v.op.name for v in v1.trainable_variables()]
            every = [v.op.name for v in v1.global_variables()]
            updated = {
                op.name.partition("/AssignVariableOp")[0]
                for op in v1.get_collection(v1.GraphKeys.UPDATE_OPS)
            }
        expected = [
            n for n in every if "moving_" not in n and not is_frozen(n, freeze_at)
        ]
        if freeze_at == 5:
            expected = [n for n in expected if "postnorm" not in n]
            assert not updated
        assert trainable == expected
        assert not any(is_frozen(n, freeze_at) for n in updated)
        assert bool(updated) == (freeze_at < 5)


def test_a_number_of_stages_that_is_not_there_raises():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [2, 33, 33, 3])
        for freeze_at in (-1, 6, 1.5):
            with pytest.raises(ValueError, match=r"freeze_at=.*up to 5.*4 blocks"):
                slimnets.build("resnet18", images, freeze_at=freeze_at)


@pytest.mark.parametrize("name", ["resnet18"])
def test_with_one_image_and_frozen_norm_the_loss_still_falls(name):
    model = slimnets.Model(name, seed=0, norm="frozen", **THIN)
    model.build([None, 33, 33, 3])
    norms = {
        key: variable.numpy()
        for key, variable in model.variables_by_name.items()
        if key.endswith(("beta", "gamma", "moving_mean", "moving_variance"))
    }
    losses = train(model, steps=20, batch=1, optimizer="adam", rate=1e-3)
    assert losses[-1] < 0.5 * losses[0]
    for key, value in norms.items():
        np.testing.assert_array_equal(model.variable_by_name(key).numpy(), value)
    assert not {v.name.split(":")[0] for v in model.trainable_variables} & set(norms)


def test_sync_norm_of_two_replicas_equals_one_big_batch(mirrored, rng):
    images = rng.normal(size=(4, 33, 33, 3)).astype(np.float32)
    options = {"norm": "sync", "seed": 0, **THIN}
    alone = slimnets.Model("resnet18", **options)
    expected = alone(images, training=True)
    with mirrored.scope():
        model = slimnets.Model("resnet18", **options)
        model.build(images.shape)

    def replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        part = tf.gather(images.reshape(2, 2, 33, 33, 3), number)
        return model(part, training=True)

    run = tf.function(lambda: mirrored.run(replica))
    logits = tf.concat(mirrored.experimental_local_results(run()), 0)
    assert_close(logits, expected, 1e-4)
    for name in model.variables_by_name:
        if "moving_" in name:
            found = mirrored.experimental_local_results(model.variable_by_name(name))
            for value in found:
                assert_close(value, alone.variable_by_name(name), 1e-4)


def test_freezing_reaches_layers_and_leaves_the_callers_scope_alone():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [2, 33, 33, 3])
        before = slimnets.current_arg_scope()
        slimnets.build("resnet18", images, freeze_at=2, **THIN)
        assert slimnets.current_arg_scope() == before
        layers.conv2d(images, 2, 3, scope="after")
        assert v1.trainable_variables()[-1].op.name == "after/biases"
