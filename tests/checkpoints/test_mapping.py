"""Names and layouts of other frameworks, both ways, for every network."""

import dataclasses
import functools
import json
import lzma

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import (
    convert_weights,
    load_weights,
    mapping,
    networks,
    read_checkpoint,
    save_weights,
)
from slimnets.rows.builder import network_of
from slimnets.rows.row import Row
from tests.checkpoints.test_checkpoints import assert_equal
from tests.helpers import GOLDEN, assert_close, of_each_kind
from tests.nets import slim_networks
from tests.nets.test_torch_fixtures import ROWS as FIXTURES

NETWORKS = slimnets.list_networks()
_FILE = GOLDEN / "timm_state_dicts.json.xz"
TIMM = json.loads(lzma.decompress(_FILE.read_bytes()))


def function_of(name):
    return slimnets.network_info(name).network


def thin(name):
    """The same kinds of layers, at most two units a block, few channels."""
    row = getattr(function_of(name), "row", None)
    if name in slim_networks.NAMES:
        return function_of(name), slim_networks.thin_options(name)
    if not isinstance(row, Row):
        return function_of(name), {}
    return network_of(row.thin()), {"depth_multiplier": 0.125}


def of(weights):
    return [n for n in NETWORKS if networks.weights_of(function_of(n)) == weights]


def random_values(specs, rng):
    return {
        name: rng.normal(size=spec.shape).astype(np.float32)
        for name, spec in specs.items()
    }


def thin_values(name, rng, channels=3):
    function, options = thin(name)
    if not isinstance(getattr(function, "row", None), Row):
        return cloud_values(function, rng)
    specs = networks.variable_specs(function, 5, channels, options)
    return random_values(specs, rng)


def cloud_values(function, rng):
    with tf.Graph().as_default():
        clouds = tf.compat.v1.placeholder(tf.float32, [None, 8, 3])
        function(clouds, num_classes=5, is_training=False)
        specs = {v.op.name: v for v in tf.compat.v1.global_variables()}
        return random_values(specs, rng)


# What the registered networks are called elsewhere.


def test_every_network_of_others_is_in_the_golden_names():
    with_names = [n for n in NETWORKS if networks.sources_of(function_of(n), "torch")]
    assert set(TIMM) == set(with_names)


@pytest.mark.parametrize("name", of_each_kind(TIMM))
def test_names_and_shapes_are_timms(name):
    specs = networks.variable_specs(function_of(name), 1000)
    source, *_ = networks.sources_of(function_of(name), "torch")
    foreign = networks.foreign_names(specs, source, function_of(name))
    ours = {
        tensor.name: tensor.from_slimnets(
            np.broadcast_to(np.float32(0), specs[key].shape)
        ).shape
        for key, tensor in foreign.items()
    }
    theirs = {n: tuple(s) for n, s in TIMM[name].items() if "num_batches" not in n}
    assert ours == theirs and len(foreign) == len(specs)


def test_efficientnet_pytorch_numbers_units_through_all_stages():
    function = function_of("tf_efficientnet_b0")
    specs = networks.variable_specs(function, 1000)
    foreign = networks.foreign_names(specs, "torch_efficientnet_pytorch", function)
    names = {tensor.name for tensor in foreign.values()}
    assert len(names) == len(foreign) == len(specs)
    units = {name.split(".")[1] for name in names if name.startswith("_blocks.")}
    assert units == set(map(str, range(16)))
    assert {"_conv_stem.weight", "_bn0.running_var", "_blocks.0._depthwise_conv.weight",
            "_blocks.1._expand_conv.weight", "_blocks.15._se_expand.bias",
            "_blocks.15._bn2.weight", "_bn1.bias", "_fc.weight"} <= names  # fmt: skip
    assert "_blocks.0._expand_conv.weight" not in names


# Round trips.


# In every format once: those that are thin, or small.
THIN = ["resnet_v1_50", "resnet_v2_18", "resnet18", "seresnext50_32x4d", "bit_r50x1"]
THIN += ["tf_efficientnet_b0", "densenet121", "convnext_tiny", "lenet"]
THIN += ["mobilenet_v3_small", "pointnet_small"]


@pytest.mark.parametrize("name", of_each_kind(NETWORKS, THIN))
def test_round_trips_are_exact(name, tmp_path, rng):
    """Through every format that the network has, by way of files."""
    values = thin_values(name, rng)
    path = save_weights(tmp_path / "slim", values)
    assert_equal(dict(read_checkpoint(path)), dict(sorted(values.items())))
    variables = {n: tf.Variable(tf.zeros_like(v)) for n, v in values.items()}
    assert load_weights(path, variables).complete
    assert_equal({n: v.numpy() for n, v in variables.items()}, values)

    function, options = thin(name)
    kinds = {"torch": ".safetensors", "keras": ".weights.h5"}
    for kind, ending in kinds.items():
        if not networks.written_sources(function, kind):
            continue
        there, back = tmp_path / f"there{ending}", tmp_path / f"back_{kind}"
        convert_weights(path, there, network=function, options=options)
        convert_weights(there, back, network=function, options=options)
        found = dict(read_checkpoint(back))
        assert_equal(found, dict(sorted(values.items())))
        assert all(found[n].tobytes() == values[n].tobytes() for n in values)


@pytest.mark.parametrize("name", of("bit"))
def test_bits_own_names_are_read(name, tmp_path, rng):
    values = thin_values(name, rng)
    foreign = networks.foreign_names(values, "bit")
    assert "resnet/block1/unit01/a/proj/standardized_conv2d/kernel" in {
        tensor.name for tensor in foreign.values()
    }
    there = {t.name: t.from_slimnets(values[n]) for n, t in foreign.items()}
    np.savez(tmp_path / "x.npz", **there)
    variables = {n: tf.Variable(tf.zeros_like(v)) for n, v in values.items()}
    assert load_weights(tmp_path / "x.npz", variables, network=name).complete
    assert_equal({n: v.numpy() for n, v in variables.items()}, values)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_are_recognized(channels, tmp_path, rng):
    values = thin_values("resnet50d", rng, channels)
    path = save_weights(tmp_path / "slim", values)
    function, options = thin("resnet50d")
    there = tmp_path / "x.safetensors"
    convert_weights(path, there, network=function, options=options)
    metadata = read_checkpoint(there).metadata
    assert metadata["input_channels"] == channels and metadata["num_classes"] == 5
    assert read_checkpoint(there).shapes["conv1.0.weight"][1] == channels


# timm's small networks.


@pytest.mark.parametrize("name", FIXTURES)
def test_state_dicts_load_and_come_back_tensor_for_tensor(name, tmp_path):
    path = GOLDEN / "torch" / f"{name}.safetensors"
    expected = dict(np.load(GOLDEN / "torch" / f"{name}.npz"))
    names = (("torch", ("torch",)),)
    network = network_of(dataclasses.replace(FIXTURES[name], names=names))
    state = read_checkpoint(path)
    model = slimnets.Model(network, num_classes=len(state["fc.bias"]))
    images = tf.transpose(expected["images_nchw"], [0, 2, 3, 1])
    model.build(images.shape)
    report = model.load(path)
    assert report.complete and all("num_batches" in n for n in report.ignored)
    assert_close(model(images), expected["logits"], 1e-4)

    prefix = model.save(tmp_path / "slim")
    back = tmp_path / "back.safetensors"
    convert_weights(prefix, back, network=network)
    found = read_checkpoint(back)
    assert_equal(dict(found), dict(state))
    assert all(found[n].dtype == state[n].dtype for n in state)


def test_a_name_without_a_rule_is_an_error():
    with pytest.raises(ValueError, match="'head/weights' has no counterpart in torch"):
        mapping.foreign_names(["head/weights"], "torch")
    with pytest.raises(ValueError, match=r"source='caffe'; allowed are torch"):
        mapping.foreign_names([], "caffe")


def test_what_has_no_counterpart_is_refused_with_what_has(tmp_path, rng):
    path = save_weights(tmp_path / "x", thin_values("resnet_v1_50", rng))
    convert = functools.partial(convert_weights, path, network="resnet_v1_50")
    with pytest.raises(ValueError, match=r"no counterpart in keras.*keras_resnet50"):
        convert(tmp_path / "x.weights.h5")
    for name in ("x.h5", "x.keras", "x.pth", "x.npz"):
        with pytest.raises(ValueError, match="what is written"):
            convert(tmp_path / name)
    with pytest.raises(ValueError, match=r"should end in \.safetensors"):
        convert(tmp_path / "x", file_format="torch")
    with pytest.raises(ValueError, match="tells its network"):
        convert_weights(path, tmp_path / "y.safetensors")
