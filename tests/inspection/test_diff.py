"""Differences: found where there are some, of the size that they have."""

import json

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import convert_weights, read_checkpoint
from slimnets.cli import main
from slimnets.inspection import diff, write_graph
from tests.checkpoints.test_readers import write_arrays
from tests.helpers import v1

CIFAR = "resnet_v2_cifar_20"


def checkpoint(path, **values):
    return slimnets.save_weights(path, {k: np.array(v) for k, v in values.items()})


def test_a_network_equals_itself_and_differs_from_a_deeper_one():
    assert not diff(CIFAR, CIFAR)
    found = diff(CIFAR, "resnet_v2_cifar_29")
    assert found and not found.layers.only_a
    assert {name.split("/")[1] for name in found.variables.only_b} == {"unit_3"}
    assert "+ block1/unit_3/ (" in str(found)
    # What followed the second unit follows the third.
    changed = {c.name for c in found.layers.changes if c.aspect == "inputs"}
    followers = {f"block{i}/unit_1/bottleneck_v2/preact" for i in (2, 3)}
    assert followers | {"postnorm"} <= changed


def test_strides_shapes_and_inputs_are_told():
    def network(size, stride):
        with tf.Graph().as_default() as graph:
            images = v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
            net = slimnets.layers.conv2d(images, 4, size, stride=stride, scope="conv")
            slimnets.layers.max_pool2d(net, 2, scope="pool")
        return graph

    found = diff(network(3, 1), network(5, 2))
    assert [str(c) for c in found.layers.changes if c.name == "conv"] == [
        "shape 8x8x4 -> 4x4x4",
        "stride 1 -> 2",
    ]
    (change,) = found.variables.changes
    assert (change.name, str(change)) == ("conv/weights", "shape 3x3x3x4 -> 5x5x3x4")
    assert found.values is None


def test_values_are_compared_by_largest_difference(tmp_path):
    a = checkpoint(tmp_path / "a", same=[1.0, np.nan], w=[1.0, -4.0], n=[0.0], i=[3])
    b = checkpoint(tmp_path / "b", same=[1.0, np.nan], w=[1.5, -4.0], n=[np.nan], i=[4])
    found = diff(a, b)
    changes = {change.name: change for change in found.values}
    assert set(changes) == {"w", "n", "i"} and found.compared == 4
    assert (changes["w"].max, changes["w"].relative) == (0.5, 0.125)
    assert np.isnan(changes["n"].max)
    within = diff(a, b, tolerance=0.25)
    assert [change.name for change in within.values] == ["n"]
    assert found.layers is None and not found.variables


def test_values_of_bfloat16_are_compared_as_numbers(tmp_path):
    low = np.array([1.0, -4.0], tf.bfloat16.as_numpy_dtype)
    a = write_arrays(tmp_path / "a.safetensors", {"w": low})
    b = write_arrays(tmp_path / "b.safetensors", {"w": np.float32([1.5, -4.0])})
    (change,) = diff(a, b).values
    assert (change.max, change.relative) == (0.5, 0.125)
    assert not diff(a, b, tolerance=0.25).values


def test_names_are_changed_as_in_loading(tmp_path):
    a = checkpoint(tmp_path / "a", **{"conv": [1.0], "new": [2.0]})
    b = checkpoint(tmp_path / "b", **{"conv1": [1.0], "new": [3.0]})
    # All of a name is replaced, though a part of it fits too.
    assert not diff(a, b, rename=[("conv|conv1", "x")], exclude=["new"])
    with pytest.raises(ValueError, match="'conv' and 'new' one name, 'x'"):
        diff(a, b, rename=[("conv|new", "x")])
    with pytest.raises(ValueError, match="is not a regular expression"):
        diff(a, b, rename=[("(", "x")])
    for useless in ({"rename": [("fc", "x")]}, {"exclude": ["fc"]}):
        with pytest.raises(ValueError, match="'fc' matches no whole name"):
            diff(a, b, **useless)


def test_scopes_that_differ_do_not_count(tmp_path):
    a = checkpoint(
        tmp_path / "a", **{"one/conv/weights": [1.0], "one/fc/biases": [2.0]}
    )
    b = checkpoint(
        tmp_path / "b", **{"two/conv/weights": [1.0], "two/fc/biases": [2.0]}
    )
    assert not diff(a, b) and diff(a, b).compared == 2


@pytest.fixture(scope="module")
def two_formats(tmp_path_factory):
    """A network, its checkpoint, and the same as torch has it."""
    directory = tmp_path_factory.mktemp("formats")
    model = slimnets.Model("resnet18", num_classes=3, depth_multiplier=0.125, seed=0)
    model.build([None, 32, 32, 3])
    ours = model.save(directory / "model.ckpt")
    convert_weights(ours, directory / "x.safetensors")
    return model, ours, directory / "x.safetensors"


def test_one_network_in_two_formats_is_the_same(two_formats, tmp_path):
    model, ours, theirs = two_formats
    for a, b in ((ours, theirs), (theirs, ours), (model, theirs)):
        found = diff(a, b)
        assert not found and found.compared == len(model.variables_by_name)
        assert "names: those of resnet18" in str(found)
    # With the network known on one side only, wrapped, and one value changed.
    values = dict(read_checkpoint(theirs))
    values["fc.bias"] = values["fc.bias"] + np.float32([0, 1, 0])
    values = {f"module.{name}": value for name, value in values.items()}
    other = write_arrays(tmp_path / "x.safetensors", values)
    found = diff(ours, other)
    assert [c.name for c in found.values] == ["resnet18/logits/biases"]
    assert not found.variables
    # With steps and slots of training beside it.
    more = {n: v.numpy() for n, v in model.variables_by_name.items()}
    more |= {"global_step": np.int64(3), "resnet18/conv1/weights/Momentum": 0.0}
    assert not diff(checkpoint(tmp_path / "run", **more), theirs)


def test_two_naming_schemes_of_equal_values_are_the_same(two_formats, tmp_path, rng):
    _, ours, theirs = two_formats
    bare = [tmp_path / "a.ckpt", tmp_path / "b.safetensors"]
    checkpoint(bare[0], **dict(read_checkpoint(ours)), global_step=[3])
    write_arrays(bare[1], dict(read_checkpoint(theirs)))
    found = diff(*bare)
    assert not found and found.compared == len(read_checkpoint(ours))
    assert "of the variables of A of equal values" in str(found)
    # Of another network nothing is the same.
    other = {f"x/{i}": rng.normal(size=[3, i + 1]) for i in range(4)}
    found = diff(bare[0], checkpoint(tmp_path / "other", **other))
    assert len(found.variables.only_b) == 4 and not found.names


def test_networks_graphs_and_checkpoints_compare_with_each_other(tmp_path):
    model = slimnets.Model(CIFAR, num_classes=10)
    model.build([None, 32, 32, 3])
    saved = model.save(tmp_path / "model.ckpt")
    assert not diff(CIFAR, saved, num_classes=10)
    assert diff(CIFAR, saved, num_classes=9).variables.changes
    assert not diff(model, saved) and diff(model, saved).compared == 100
    write_graph(CIFAR, tmp_path / "logs", num_classes=10)
    found = diff(tmp_path / "logs", CIFAR, num_classes=10)
    assert not found and found.layers.alike and found.variables.alike
    tf.saved_model.save(
        model,
        str(tmp_path / "saved"),
        signatures=tf.function(lambda x: model(x)).get_concrete_function(
            tf.TensorSpec([None, 32, 32, 3], tf.float32)
        ),
    )
    found = diff(tmp_path / "saved", saved)
    assert found.compared == 100 and not found.values
    assert not diff(tmp_path / "saved", CIFAR, num_classes=10).variables.changes


def test_frozen_graphs_have_their_constants_compared():
    def frozen(value):
        with tf.Graph().as_default() as graph:
            images = v1.placeholder(tf.float32, [1, 2], name="images")
            tf.matmul(images, tf.constant([[value], [1.0]], name="fc/weights"))
        return graph.as_graph_def()

    assert not diff(frozen(1.0), frozen(1.0))
    (change,) = diff(frozen(1.0), frozen(2.0)).values
    assert (change.name, change.max, change.relative) == ("fc/weights", 1.0, 0.5)


def test_the_command_ends_as_diff_does(tmp_path, capfd):
    a = checkpoint(tmp_path / "a", w=[1.0])
    b = checkpoint(tmp_path / "b", w=[2.0], v=[0.0])
    assert main.main(["diff", a, a]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "values: 0 of 1 differ"
    assert main.main(["diff", a, b]) == 1
    assert "~ w: max 1, relative 0.5" in capfd.readouterr().out
    assert main.main(["diff", a, b, "--format=json"]) == 1
    content = json.loads(capfd.readouterr().out)
    assert content["differ"] and content["variables"]["only_b"] == ["v"]
    assert content["values"] == [{"name": "w", "max": 1.0, "relative": 0.5}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x"], "diff takes two"),
        (["resnet_v2_50", "resnet_v2_5"], "no network, and no file. Nearest: resnet_v"),
        (["resnet_v2_50", "/none/x"], "There is no checkpoint /none/x"),
    ],
)
def test_wrong_usage_is_named(capfd, arguments, message):
    assert main.main(["diff", *arguments]) == 2
    assert message in capfd.readouterr().err
