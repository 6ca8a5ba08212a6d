"""Object-based checkpoints of TF2, and SavedModels, give a Model's variables back."""

import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import load_weights
from tests.checkpoints.test_checkpoints import assert_equal


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
