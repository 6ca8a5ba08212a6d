"""Smaller networks: exact where only zeros go, as small as asked for, by rules."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.cli.main import main
from slimnets.export import slimmed
from slimnets.rules import read_rules
from slimnets.trained import open_trained
from slimnets.units.inverted import inverted_residual
from slimnets.units.residual import bottleneck_v1
from tests.helpers import assert_close, v1

RANDOM = np.random.default_rng(0)


def small(images, num_classes=None, is_training=False, scope="small"):
    """Units with sums, depthwise convolutions, gates and a concatenation."""
    norm = {"normalizer_fn": layers.batch_norm, "normalizer_params": {"scale": True}}
    weighted = [layers.conv2d, layers.separable_conv2d]
    with (
        v1.variable_scope(scope),
        slimnets.arg_scope([layers.batch_norm], is_training=is_training),
        slimnets.arg_scope(weighted, **norm),
    ):
        net = layers.conv2d(images, 8, 3, stride=2, scope="conv1")
        net = bottleneck_v1(net, 8, 6, scope="unit_1")
        net = inverted_residual(net, 8, expansion=2, squeeze_ratio=0.5, scope="unit_2")
        net = inverted_residual(net, 16, 2, expansion=2, scope="unit_3")
        parts = [
            layers.conv2d(net, 6, 1, scope="left"),
            layers.separable_conv2d(net, 9, 3, scope="right"),
        ]
        net = layers.conv2d(tf.concat(parts, 3), 10, 1, scope="conv2")
        net = tf.reduce_mean(net, [1, 2])
        return layers.fully_connected(
            net, num_classes, activation_fn=None, scope="head"
        )


def dimmed(network, size, **kwargs):
    """A network of whose gammas one in three is zero."""
    model = slimnets.Model(network, num_classes=5, seed=1, **kwargs)
    model.build([None, size, size, 3])
    for key, variable in model.variables_by_name.items():
        value = RANDOM.normal(size=variable.shape).astype("f")
        if key.endswith("/gamma"):
            value = 1 + 0.1 * value
            value[::3] = 0
        elif key.endswith("/beta"):
            # What is not zero is not there in the padding of what follows; behind
            # depthwise convolutions those of 1x1 follow, without one.
            value = value if "depthwise" in key else -np.abs(value)
            value *= "project" not in key
        else:
            continue
        variable.assign(value)
    return model


@pytest.mark.parametrize(
    "network",
    [
        small,
        pytest.param("mobilenet_v2_035", marks=pytest.mark.slow),
        pytest.param("resnet_v2_cifar_20", marks=pytest.mark.slow),
        pytest.param("mobilenet_v3_small", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
        pytest.param("resnet50", marks=pytest.mark.slow),
    ],
    ids=lambda network: getattr(network, "__name__", network),
)
def test_what_is_zero_goes_and_the_outputs_stay(network):
    size = 12 if network is small else 32
    model = dimmed(network, size)
    images = RANDOM.normal(size=[2, size, size, 3]).astype("f")
    less = slimmed(model, [None, size, size, 3], threshold=0.0)
    assert less.difference < 1e-4
    assert_close(less.model(images), model(images), 1e-4)
    for before, after in (less.channels, less.multiply_adds):
        assert 0.3 * before < after < 0.95 * before
    kept = {n: v.shape for n, v in less.model.variables_by_name.items()}
    whole = {n: v.shape for n, v in model.variables_by_name.items()}
    assert list(kept) == list(whole)
    if network is small:
        cut = {n.rpartition("/")[0] for n in kept if kept[n] != whole[n]}
        assert {"small/right", "small/conv2", "small/unit_1/conv2"} <= cut
        # What is added keeps its channels.
        assert kept["small/unit_1/conv3/weights"][-1] == 8
        with tf.Graph().as_default(), slimnets.layer_rules(less.rules):
            small(v1.placeholder(tf.float32, [None, size, size, 3]), 5)
            assert [v.shape for v in v1.global_variables()] == [*kept.values()]


def test_a_share_of_the_multiply_adds():
    model = dimmed(small, 12)
    less = slimmed(model, [None, 12, 12, 3], multiply_adds=0.5)
    before, after = less.multiply_adds
    assert 0.45 * before < after <= 0.5 * before
    again = slimmed(less.model, [None, 12, 12, 3], multiply_adds=1.0)
    assert again.difference == 0 and again.multiply_adds == (after, after)
    for options, words in (
        ({"multiply_adds": 0.01}, "cannot be reached"),
        ({}, "give one"),
        ({"multiply_adds": 0.5, "threshold": 1.0}, "give one"),
    ):
        with pytest.raises(ValueError, match=words):
            slimmed(model, [None, 12, 12, 3], **options)


def test_no_layer_is_left_with_next_to_nothing():
    """Where one layer's gammas are all small, it keeps a tenth of its channels."""
    model = slimnets.Model(two_layers, num_classes=2)
    model.build([None, 8, 8, 3])
    worth = 1e-6 * np.arange(1, 41, dtype="f")
    model.variable_by_name("two/conv2/BatchNorm/gamma").assign(worth)
    less = slimmed(model, [None, 8, 8, 3], multiply_adds=0.14)
    kept = less.model.variable_by_name("two/conv2/BatchNorm/gamma").numpy()
    np.testing.assert_array_equal(kept, worth[-4:])
    assert less.model.variable_by_name("two/conv1/weights").shape[-1] > 4


def two_layers(images, num_classes=None, is_training=False, scope="two"):
    with v1.variable_scope(scope), slimnets.arg_scope(
        [layers.conv2d], normalizer_fn=layers.batch_norm,
        normalizer_params={"scale": True, "is_training": is_training},
    ):  # fmt: skip
        net = layers.conv2d(images, 20, 3, scope="conv1")
        net = layers.conv2d(net, 40, 3, scope="conv2")
        net = tf.reduce_mean(net, [1, 2])
        return layers.fully_connected(
            net, num_classes, activation_fn=None, scope="head"
        )


def test_the_command_writes_a_checkpoint_that_opens(tmp_path, capsys):
    model = dimmed("resnet_v2_cifar_20", 16)
    path = model.save(str(tmp_path / "model.ckpt"), metadata={"image_size": 16})
    output = str(tmp_path / "less" / "model.ckpt")
    assert main(["slim-network", path, "--threshold=0", f"--output={output}"]) == 0
    assert "channels that may go" in capsys.readouterr().out
    images = RANDOM.normal(size=[2, 16, 16, 3]).astype("f")
    opened = open_trained(output)
    assert_close(opened.model(images), model(images), 1e-4)
    rules = read_rules(f"{output}.rules.json")
    assert rules == json.loads(json.dumps(opened.model.rules.to_json())) != []
    assert main(["slim-network", path, f"--output={output}"]) == 2


COMMON = [
    "--dataset_name=digits", "--train_image_size=32", "--batch_size=64",
    "--optimizer=adam", "--warmup_steps=50", "--weight_decay=0.00004",
    "--batch_norm_decay=0.95", "--learning_rate_decay_type=cosine",
    "--model_name=mobilenet_v2_035",
]  # fmt: skip


@pytest.mark.slow
def test_half_of_the_multiply_adds_cost_at_most_a_point(tmp_path, capsys):
    """As docs/howto/quantization.md has it; and graph code builds what is left."""
    wide, slim, slimmer = (str(tmp_path / n) for n in ("wide", "slim", "slimmed"))
    output = f"{slim}/model.ckpt"
    for command in (
        ["train", *COMMON, f"--train_dir={wide}", "--max_number_of_steps=1000",
         "--learning_rate=0.003", "--gamma_l1=1e-4"],
        ["slim-network", wide, "--multiply_adds=0.5", f"--output={output}"],
        ["train", *COMMON, f"--train_dir={slimmer}", "--max_number_of_steps=400",
         "--learning_rate=0.001", f"--checkpoint_path={output}",
         f"--rules={output}.rules.json"],
    ):  # fmt: skip
        assert main(command) == 0
    said = capsys.readouterr().out
    print(said)
    before, after = map(float, re.findall(r"^accuracy (\S+) %", said, re.MULTILINE))
    assert before > 95 and after >= before - 1
    opened = open_trained(slimmer)
    images = RANDOM.normal(size=[4, 32, 32, 1]).astype("f")
    wanted = opened.model(images)
    with (
        tf.Graph().as_default(),
        slimnets.layer_rules(read_rules(f"{output}.rules.json")),
        v1.Session() as session,
    ):
        net, _ = slimnets.build("mobilenet_v2_035", images, num_classes=10)
        v1.train.Saver().restore(session, opened.path)
        assert_close(session.run(net), wanted, 1e-4)
