"""Families that timm has too: counts, levels, and what is theirs alone."""

import json

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from tests.helpers import GOLDEN, assert_close, run_graph, v1

COUNTS = ("trainable", "parameters", "multiply_adds")
# As counted from timm; see tests/golden/README.md.
TIMM = json.loads((GOLDEN / "timm_counts.json").read_text())


@pytest.mark.parametrize("name", TIMM)
def test_counts_and_levels_are_timms(name):
    wanted = TIMM[name]
    info = slimnets.network_info(name)
    levels = [[level.channels, level.stride] for level in slimnets.feature_info(name)]
    assert {key: info.counts[key] for key in COUNTS} == {k: wanted[k] for k in COUNTS}
    assert (info.default_image_size, levels) == (wanted["size"], wanted["levels"])


@pytest.mark.parametrize("output_stride", [None, 16])
def test_xceptions_levels_lie_before_the_strides(output_stride):
    infos = slimnets.feature_info("xception65", output_stride=output_stride)
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 97, 97, 3])
        _, end_points = slimnets.build(
            "xception65", images, output_stride=output_stride
        )
    assert {i.level: i.end_point for i in infos} == end_points.levels
    assert infos[1].end_point == (
        "xception_65/entry_flow/block2/unit_1/xception_module/separable_conv2_pointwise"
    )
    for info in infos:
        shape = end_points[info.level].shape
        assert (shape[1], shape[3]) == (-(-97 // info.stride), info.channels)


@pytest.mark.parametrize("begin_norm_axis", [1, -1])
def test_layer_norm_normalizes_the_last_axes(begin_norm_axis, rng):
    values = rng.normal(2.0, 3.0, size=(2, 3, 4, 5)).astype(np.float32)

    def build():
        net = layers.layer_norm(values, begin_norm_axis=begin_norm_axis, epsilon=1e-6)
        names = [v.op.name for v in v1.trainable_variables()]
        assert names == ["LayerNorm/beta", "LayerNorm/gamma"]
        return net

    axes = (1, 2, 3) if begin_norm_axis == 1 else 3
    mean = values.mean(axes, keepdims=True)
    expected = (values - mean) / np.sqrt(values.var(axes, keepdims=True) + 1e-6)
    assert_close(run_graph(build), expected, 1e-5)
    with pytest.raises(ValueError, match="begin_norm_axis=4"):
        layers.layer_norm(tf.constant(values), begin_norm_axis=4)


@pytest.mark.parametrize("dtype, epsilon", [("float16", 1e-3), ("float32", 1e-12)])
def test_layer_norm_has_tf_slims_epsilon(dtype, epsilon):
    values = np.array([[0.0, 0.125]], dtype)
    found = run_graph(lambda: layers.layer_norm(tf.constant(values)))
    expected = 0.0625 / np.sqrt(0.0625**2 + epsilon)
    np.testing.assert_allclose(found, [[-expected, expected]], rtol=1e-3)


def test_frozen_stages_of_convnext_train_no_layer_scale():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 64, 3])
        slimnets.build("convnext_tiny", images, is_training=True, freeze_at=2)
        trainable = [v.op.name for v in v1.trainable_variables()]
    assert not [name for name in trainable if "/block1/" in name]
    assert [name for name in trainable if "block2/unit_1/convnext/layer_scale" in name]
