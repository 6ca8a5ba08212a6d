"""`patch_tf_slim`: tf_slim works, says what has changed, and comes back as it was."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tf_slim
from tf_slim.nets import alexnet, inception, overfeat, resnet_v1, resnet_v2, vgg

from slimnets import layers, slim
from slimnets.slim import moved, second_run
from tests.helpers import v1

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:UserWarning")


def state():
    return {n: dict(vars(m)) for n, m in second_run.tf_slim_modules().items()}


def test_undo_brings_everything_back():
    before = state()
    with slim.patch_tf_slim() as patch:
        changed = {(r.module.__name__, r.name) for r in patch}
        assert ("tf_slim", "batch_norm") in changed
        assert tf_slim.batch_norm is tf_slim.layers.batch_norm
        for name, module in state().items():
            for key, value in module.items():
                if (name, key) not in changed:
                    assert value is before[name][key]
    after = state()
    assert before.keys() == after.keys()
    for name, module in before.items():
        assert module.keys() == after[name].keys()
        assert all(after[name][key] is value for key, value in module.items())
    patch.undo()  # A second time changes nothing.


def test_it_says_what_it_replaced():
    with slim.patch_tf_slim() as patch:
        text = str(patch)
        assert f"{len(patch)} names replaced" in text
        assert "tf_slim.batch_norm: is slimnets' batch_norm" in text
        assert "tf_slim.learning.ops: gets IndexedSlices, Tensor" in text
        again = slim.patch_tf_slim()
        assert len(again) == 0
        assert "in place already" in str(again)
        again.undo()
        assert tf_slim.batch_norm is not layers.batch_norm
        assert ("tf_slim", "batch_norm") in {(r.module.__name__, r.name) for r in patch}


def test_tensorflow_is_left_alone():
    with slim.patch_tf_slim() as patch:
        for change in patch:
            if isinstance(change.new, moved.SuppliedModule):
                for name in change.new.supplied_names:
                    new = getattr(change.new, name)
                    assert getattr(change.old, name, None) is not new


def test_modules_that_hold_copies_are_patched_with_it():
    module = types.ModuleType("mine")
    module.batch_norm = original = tf_slim.batch_norm
    with slim.patch_tf_slim(module):
        assert module.batch_norm is tf_slim.batch_norm is not original
    assert module.batch_norm is original
    with pytest.raises(TypeError, match="modules"):
        slim.patch_tf_slim("mine")


def test_a_patched_batch_norm_reads_tf_slims_scopes(rng):
    x = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
    with slim.patch_tf_slim(), tf.Graph().as_default():
        with tf_slim.arg_scope([tf_slim.batch_norm], scale=True, is_training=False):
            tf_slim.conv2d(x, 4, 3, normalizer_fn=tf_slim.batch_norm)
        assert "Conv/BatchNorm/gamma" in {v.op.name for v in v1.global_variables()}
        assert not v1.get_collection(v1.GraphKeys.UPDATE_OPS)


def train_one_step(network, size, **kwargs):
    """Trains a network of tf_slim's by TF-Slim's own means; returns two losses."""
    with tf.Graph().as_default():
        v1.set_random_seed(0)
        images = tf.constant(np.random.default_rng(0).normal(size=(2, size, size, 3)))
        logits, end_points = network(tf.cast(images, tf.float32), 3, **kwargs)
        assert end_points
        logits = tf.reshape(logits, [2, 3])
        tf_slim.losses.softmax_cross_entropy(logits, tf.one_hot([0, 2], 3))
        train_op = tf_slim.learning.create_train_op(
            tf_slim.losses.get_total_loss(),
            v1.train.GradientDescentOptimizer(1e-3),
            clip_gradient_norm=1.0,
        )
        variables = v1.trainable_variables()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            before = session.run(variables[0])
            loss = session.run(train_op)
            assert np.isfinite(loss)
            assert session.run(v1.train.get_global_step()) == 1
            assert np.abs(session.run(variables[0]) - before).max() > 0


def scoped(network, scope):
    def build(*args, **kwargs):
        with tf_slim.arg_scope(scope()):
            return network(*args, **kwargs)

    return build


def small_resnet(module):
    unit = getattr(module, f"{module.__name__.rpartition('.')[2]}_block")

    def network(images, num_classes):
        blocks = [unit("block1", 4, 2, 2), unit("block2", 8, 1, 1)]
        build = getattr(module, module.__name__.rpartition(".")[2])
        return build(images, blocks, num_classes, include_root_block=True)

    return scoped(network, module.resnet_arg_scope)


@pytest.mark.parametrize("module", [resnet_v1, resnet_v2], ids=["v1", "v2"])
def test_small_resnets_of_tf_slim_train(module):
    with slim.patch_tf_slim():
        train_one_step(small_resnet(module), 33)


NETWORKS = {
    "alexnet_v2": (scoped(alexnet.alexnet_v2, alexnet.alexnet_v2_arg_scope), 224),
    "inception_v1": (
        scoped(inception.inception_v1, inception.inception_v1_arg_scope),
        224,
    ),
    "inception_v2": (
        scoped(inception.inception_v2, inception.inception_v2_arg_scope),
        224,
    ),
    "inception_v3": (
        scoped(inception.inception_v3, inception.inception_v3_arg_scope),
        299,
    ),
    "overfeat": (scoped(overfeat.overfeat, overfeat.overfeat_arg_scope), 231),
    **{
        name: (scoped(getattr(vgg, name), vgg.vgg_arg_scope), 224)
        for name in ("vgg_a", "vgg_16", "vgg_19")
    },
    **{
        f"{name}_{depth}": (
            scoped(getattr(module, f"{name}_{depth}"), module.resnet_arg_scope),
            33,
        )
        for name, module in (("resnet_v1", resnet_v1), ("resnet_v2", resnet_v2))
        for depth in (50, 101, 152, 200)
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_tf_slim_trains(name):
    network, size = NETWORKS[name]
    with slim.patch_tf_slim():
        train_one_step(network, size)
