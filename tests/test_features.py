"""Levels: what is said of them from rows alone equals what a built graph gives."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import features, layers
from slimnets.rows.arg_scopes import resnet_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.stage import Stage
from slimnets.units import separable_residual
from tests.helpers import KINDS, assert_close, of_each_kind, run_graph, v1
from tests.nets.slim_networks import STAGED, row_of

SIZES = (64, 65, 97)
THIN = {"depth_multiplier": 0.125}


def thin(name):
    """The row with at most two units a block: all kinds of layers are still there."""
    return row_of(name).thin()


def kinds():
    """One network of every kind of layers."""
    seen = {}
    for name in sorted(STAGED, key=lambda name: name not in KINDS):
        row = thin(name)
        shape = tuple(
            (stage.repeats, stage.stride, stage.stride_in, stage.unit_fn)
            if isinstance(stage, Stage)
            else tuple(map(type, stage))
            for stage in row.stages
        )
        root = tuple(
            (type(layer), layer.stride, getattr(layer, "kernel", 3), layer.name)
            for layer in row.root
        )
        kind = (shape, row.unit_options, root)
        seen.setdefault((kind, row.arg_scope), name)
    return list(seen.values())


def variants(row):
    """Output stride, store_non_strided_activations, and normalized."""
    root = row.root_stride
    return (
        (None, False, False),
        (None, True, row.preactivation),
        (root, False, row.preactivation),
        (2 * root, True, False),
    )


def assert_equal_to_graph(network, size, output_stride, stored, normalized):
    kwargs = {
        "output_stride": output_stride, "store_non_strided_activations": stored, **THIN,
    }  # fmt: skip
    said = slimnets.feature_info(network, normalized=normalized, **kwargs)
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, size, size + 9, 3])
        _, end_points = network(images, is_training=False, **kwargs)
    levels = [feature.level for feature in said]
    if not normalized:
        assert set(levels) == set(end_points.levels)
    elif end_points.normalized:
        assert set(levels) == set(end_points.normalized)
    built = slimnets.features(end_points, levels, normalized=normalized)
    assert list(built) == levels
    for feature in said:
        tensor = built[feature.level]
        assert end_points[feature.end_point] is tensor
        assert feature.stride == 2 ** int(feature.level[1:])
        _, height, width, channels = tensor.shape.as_list()
        assert channels == feature.channels
        for side, pixels in ((height, size), (width, size + 9)):
            # Patches that do not overlap leave out what is no whole one.
            nominal = (-(-pixels // feature.stride), pixels // feature.stride)
            assert side in nominal if feature.exact else side <= nominal[0]
        if tensor.op.type in ("Relu", "MaxPool", "StridedSlice"):
            assert feature.activated or feature.level in ("C0", "C1", "C2")
        elif tensor.op.type.startswith("Add"):
            assert not feature.activated
        assert feature.normalized or not feature.activated


# What is built in every variant takes seconds.
INFOS = (
    "resnet_v2_18", "resnet18", "wrn_16_8", "keras_resnet50_v2", "convnext_tiny",
    "mobilenetv4_conv_small", "densenet121",
)  # fmt: skip


@pytest.mark.parametrize("name", of_each_kind(kinds(), INFOS))
def test_feature_info_equals_a_built_graph(name):
    network = network_of(thin(name))
    for size, variant in zip(
        itertools.cycle(SIZES), variants(network.row), strict=False
    ):
        assert_equal_to_graph(network, size, *variant)


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGED)
def test_feature_info_equals_a_built_graph_at_full_depth(name):
    network = slimnets.network_info(name).network
    assert_equal_to_graph(network, 65, None, False, False)


# Of these the stated receptive field is measured each time.
FIELDS = ("resnet18", "densenet121")


def positive(shape, dtype=tf.float32, partition_info=None):
    """Weights that cancel nothing and that no ReLU drops."""
    return tf.abs(tf.random.normal(shape, dtype=dtype, seed=1)) * 0.1


def empirical_fields(network, infos, length, **kwargs):
    """How far, in rows and in columns, the gradient of a central position reaches."""
    fields = {}
    for axis in (1, 2):
        # Enough of them that in each window of a max pool each position wins once.
        shape = [4, 32, 32, 2]
        shape[axis] = length
        images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)

        def build(images=images, axis=axis):
            inputs = tf.constant(images)
            weighted = [layers.conv2d, layers.separable_conv2d]
            with slimnets.arg_scope(weighted, weights_initializer=positive):
                _, end_points = network(inputs, is_training=False, **THIN, **kwargs)
            gradients = []
            for info in infos:
                net = end_points[info.end_point]
                middle = tf.gather(net, net.shape[axis] // 2, axis=axis)
                gradients.append(tf.gradients(tf.reduce_sum(middle), inputs)[0])
            return gradients

        for info, gradient in zip(infos, run_graph(build), strict=True):
            other = tuple(d for d in range(4) if d != axis)
            reached = np.flatnonzero(np.abs(gradient).sum(other))
            field = reached[-1] - reached[0] + 1
            assert reached[0] > 0 and reached[-1] < length - 1, "the image is too small"
            fields.setdefault(info.level, []).append(field)
    return fields


def assert_receptive_fields(row, monkeypatch, **kwargs):
    # What lets in the whole image is left out; another test is of that.
    monkeypatch.setattr(layers, "squeeze_excite", lambda net, *a, **k: net)
    # Nor what scales gradients until float32 has none.
    monkeypatch.setattr(layers, "layer_scale", lambda net, *a, **k: net)
    if separable_residual in row.unit_functions:
        # Of four max pools one behind the other the last rows seldom win in all.
        monkeypatch.setattr(layers, "max_pool2d", layers.avg_pool2d)
    if "normalizer_fn" in dict(row.unit_options):
        row = dataclasses.replace(
            row, unit_options=(("biases", False),), arg_scope=resnet_arg_scope
        )
    network = network_of(row)
    infos = slimnets.feature_info(network, **THIN, **kwargs)
    length = 2 * max(info.receptive_field for info in infos) + 67
    fields = empirical_fields(network, infos, length, **kwargs)
    assert fields == {info.level: [info.receptive_field] * 2 for info in infos}


@pytest.mark.parametrize("name", of_each_kind(kinds(), FIELDS))
def test_the_empirical_receptive_field_equals_the_stated_one(name, monkeypatch):
    assert_receptive_fields(thin(name), monkeypatch)


@pytest.mark.parametrize(
    "name", of_each_kind(["resnet18", "resnet_v2_50", "keras_resnet50"], ["resnet18"])
)
def test_the_receptive_field_with_atrous_convolution(name, monkeypatch):
    for kwargs in (
        {"output_stride": 8},
        {"output_stride": 16, "multi_grid": [1, 2]},
        {"output_stride": 4, "store_non_strided_activations": True},
    ):
        assert_receptive_fields(thin(name), monkeypatch, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet18", "resnet34", "resnet50", "resnet_v2_50", "resnet_v2_cifar_29"]
)
def test_the_receptive_field_at_full_depth(name, monkeypatch):
    assert_receptive_fields(row_of(name), monkeypatch)


@pytest.mark.parametrize("name", ["seresnet50", "bit_r50x1", "resnet50"])
def test_some_networks_see_the_whole_image(name):
    network = network_of(thin(name))
    infos = slimnets.feature_info(network, levels=("C2",), **THIN)
    images = np.random.default_rng(0).normal(size=(1, 160, 33, 3)).astype(np.float32)

    def build():
        inputs = tf.constant(images)
        _, end_points = network(inputs, is_training=False, **THIN)
        return tf.gradients(end_points["C2"][:, 0], inputs)[0]

    far = run_graph(build)[:, 2 * infos[0].receptive_field :]
    assert np.any(far) == infos[0].sees_whole_image == (name != "resnet50")


# The doors.


def test_the_levels_of_a_network_with_stride_in_the_last_unit():
    scope = "resnet_v2_50"
    assert [
        (f.level, f.end_point.removeprefix(scope + "/"), f.channels)
        for f in slimnets.feature_info(scope)
    ] == [
        ("C1", "conv1", 64),
        ("C2", "block1/unit_2/bottleneck_v2", 256),
        ("C3", "block2/unit_3/bottleneck_v2", 512),
        ("C4", "block3/unit_5/bottleneck_v2", 1024),
        ("C5", "block4", 2048),
    ]
    stored = slimnets.feature_info(scope, store_non_strided_activations=True)
    assert [f.end_point for f in stored[1:]] == [
        f"{scope}/block{i}" for i in range(1, 5)
    ]
    after = slimnets.feature_info(scope, levels=("C4", "C5"), normalized=True)
    assert [f.end_point for f in after] == [
        f"{scope}/block3/unit_6/bottleneck_v2/preact", f"{scope}/postnorm",
    ]  # fmt: skip
    assert all(f.normalized and f.activated for f in after)


# arXiv:1603.07285's arithmetic for torchvision's ResNets; published by several tools.
@pytest.mark.parametrize(
    ("name", "field"), [("resnet18", 435), ("resnet50", 427), ("resnet101", 971)]
)
def test_receptive_fields_of_the_last_level_as_published(name, field):
    assert slimnets.feature_info(name)[-1].receptive_field == field


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("resnet50", {"levels": ["C6"]}, "resnet50 has no level 'C6': it ends at str"),
        ("resnet50", {"levels": ["C5"], "output_stride": 16},
         "ends at stride 16, and C5 is stride 32; it has C1, C2, C3, C4"),
        ("resnet50", {"levels": ["block9"]}, "no level 'block9'; it has C1"),
        ("resnet_v2_cifar_20", {"levels": ["C3"]}, "ends at stride 4"),
        ("resnet_v2_50", {"levels": ["C1"], "normalized": True}, "following norm"),
    ],
)  # fmt: skip
def test_a_level_that_is_not_there_raises(name, kwargs, message):
    with pytest.raises(KeyError, match=message):
        slimnets.feature_info(name, **kwargs)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("pointnet", {}, "'pointnet' has no levels"),
        (lambda inputs: inputs, {}, "has no levels"),
        ("resnet5", {}, "Nearest"),
        ("resnet50", {"output_stride": 5}, r"cannot be reached.*\[4, 8, 16, 32\]"),
        ("resnet50", {"output_stride": 64}, "cannot be reached"),
        ("resnet50", {"output_stride": "8"}, "output_stride='8' cannot be reached"),
        ("resnet50", {"norm": "layer"}, "batch, frozen, sync, group"),
        ("resnet50", {"multi_grid": [1, 2]}, "3 units of block4"),
        ("resnet50", {"multi_grid": [1, 2, 0]}, "integer >= 1"),
    ],
)
def test_what_has_no_features_raises(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        slimnets.feature_info(name, **kwargs)


def test_normalized_features_are_those_behind_the_next_norm():
    (feature,) = slimnets.feature_info("resnet_v2_18", levels="C3", normalized=True)
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [None, 33, 33, 3])
        _, end_points = slimnets.build("resnet_v2_18", images, **THIN)
        (found,) = slimnets.features(end_points, "C3", normalized=True).values()
        assert found is end_points[feature.end_point] is not end_points["C3"]


def test_features_of_a_graph_say_what_is_wrong():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 65, 65, 3])
        _, dense = slimnets.build("resnet_v2_50", images, output_stride=8, **THIN)
        clouds = v1.placeholder(tf.float32, [1, 9, 3])
        _, cloud = slimnets.build("pointnet", clouds, num_classes=2)
        found = slimnets.features(dense, ("C2", "block4"))
        assert found["block4"] is dense["resnet_v2_50/block4"] is dense["C3"]
        with pytest.raises(KeyError, match="ends at stride 8, and C4 is stride 16"):
            slimnets.features(dense, ("C3", "C4"))
        with pytest.raises(KeyError, match=r"C1'.*following norm"):
            slimnets.features(dense, ("C1",), normalized=True)
        with pytest.raises(KeyError, match="pointnet has no levels"):
            slimnets.features(cloud, ("C2",))
        with pytest.raises(KeyError, match="block5"):
            slimnets.features(dense, ("block5",))


def test_the_module_is_the_function_too():
    assert slimnets.features is features
    assert slimnets.features({"a": 1}, ["a"]) == features.features({"a": 1}, ["a"])


@pytest.mark.parametrize("name", ["resnet18", "resnet_v2_18"])
def test_model_features_equal_the_graphs(name, rng):
    images = rng.normal(size=(2, 33, 33, 3)).astype(np.float32)
    model = slimnets.Model(name, seed=0, **THIN)
    for normalized in (False, True):
        found = model.features(images, ("C3", "C5"), normalized=normalized)
        infos = slimnets.feature_info(
            name, levels=("C3", "C5"), normalized=normalized, **THIN
        )
        every = model.end_points(images)
        for info in infos:
            assert found[info.level].shape[-1] == info.channels
            assert_close(found[info.level], every[info.end_point])
    with pytest.raises(KeyError, match="C7"):
        model.features(images, ("C7",))


# Density.


def exact_sizes(row):
    # A blur's reflected edges agree where the last pixel is one that is kept; `SAME`
    # pads an even size on one side alone; ConvNeXt leaves out what is no whole patch.
    if row.name == "keras_xception":  # Its root pads nothing: 71 becomes 33.
        return 71, 71
    blurred = dict(row.unit_options).get("antialias")
    odd = blurred or row.name.startswith(("tf_efficientnet_lite", "convnext"))
    return (33, 65) if odd else (50, 48)


@pytest.mark.parametrize("name", of_each_kind(kinds(), ["resnet18"]))
def test_a_denser_output_subsampled_is_the_nominal_one(name):
    row = thin(name)
    network, root = network_of(row), row.root_stride
    nominal = slimnets.feature_info(network)[-1].stride
    dense = [s for s in (4, 8, 16) if root <= s < nominal]
    rng = np.random.default_rng(0)
    last = row.stages[-1]
    grids = (None, (1, 2) if getattr(last, "repeats", 1) == 2 else None)
    for size, grid in zip(exact_sizes(row), grids, strict=True):
        images = rng.normal(size=(1, size, size + 32, 3))

        def build(images=images, grid=grid):
            nets = []
            for stride in (nominal, *dense):
                _, end_points = network(
                    tf.constant(images), is_training=False, output_stride=stride,
                    multi_grid=grid, scope="net", reuse=v1.AUTO_REUSE, **THIN,
                )  # fmt: skip
                nets.append(end_points[max(end_points.levels)])
            return nets

        expected, *found = run_graph(build)
        for stride, net in zip(dense, found, strict=True):
            step = nominal // stride
            equal = np.allclose(net[:, ::step, ::step], expected, rtol=1e-9, atol=1e-9)
            # Global response norms begin with a scale of zero.
            exact = row.dense_is_exact or row.name.startswith("convnextv2")
            assert equal == exact, (stride, size, grid)
