"""Whole networks of timm and ours give the same; skipped where timm is missing.

    pytest -p timm -m slow tests/checkpoints/test_timm.py

As a plugin timm is imported before TensorFlow, after which its triton may crash.
"""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import (
    convert_weights,
    load_weights,
    networks,
    read_checkpoint,
)
from tests.checkpoints.test_checkpoints import assert_equal
from tests.helpers import assert_close

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

SIZES = ((65, 97), (96, 64))
BIT = {"bit_r50x1": "resnetv2_50x1_bit"}
NAMES = ("resnet18", "resnet50", "resnet50c", "resnet50d", "resnetblur50", "seresnet50")
NAMES += ("resnext50_32x4d", "resnetrs50", "wide_resnet50_2", *BIT)
NAMES += ("regnetx_004", "regnety_032", "densenet121", "densenet161", "convnext_tiny")
NAMES += ("convnextv2_atto", "convnextv2_tiny", "efficientnet_b1", "tf_efficientnet_b1")
NAMES += ("tf_efficientnet_lite0", "tf_efficientnetv2_b0", "tf_efficientnetv2_b3")
NAMES += ("mnasnet_small", "mobilenetv4_conv_small", "mobilenetv4_conv_medium")
# One of each.
FAMILIES = ("resnet50", "seresnet50", "regnety_032", "densenet121", "convnext_tiny")
FAMILIES += ("convnextv2_atto", "efficientnet_b1", "tf_efficientnetv2_b0")
FAMILIES += ("mnasnet_small", "mobilenetv4_conv_small", "bit_r50x1")


def randomized(name):
    torch.manual_seed(0)
    model = timm.create_model(BIT.get(name, name), num_classes=7).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith("running_mean"):
                value.normal_(0, 0.1)
            elif key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and ("norm" in key or "bn" in key):
                value.add_(0.1 * torch.randn_like(value))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_logits_and_levels_equal_timms_and_weights_come_back(name, tmp_path, rng):
    theirs = randomized(name)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    modules, kept = dict(theirs.named_modules()), {}
    for info in theirs.feature_info:

        def keep(module, inputs, outputs, stride=info["reduction"]):
            kept[stride] = outputs.numpy().transpose(0, 2, 3, 1)

        modules[info["module"]].register_forward_hook(keep)
    model = slimnets.Model(name, num_classes=7)
    model.build([None, *SIZES[0], 3])
    load_weights(tmp_path / "x.pth", model)
    # Some tell of fewer levels than there are.
    levels = {f.stride: f.end_point for f in slimnets.feature_info(name)}
    for height, width in SIZES:
        images = rng.normal(size=(2, height, width, 3)).astype(np.float32)
        with torch.no_grad():
            logits = theirs(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
        assert_close(model(images), logits, 1e-4)
        assert kept.keys() >= {8, 16, 32}
        found = model.features(images, [levels[stride] for stride in kept])
        for stride, value in kept.items():
            assert_close(found[levels[stride]], value, 1e-4)
    there = tmp_path / "x.safetensors"
    convert_weights(model.save(tmp_path / "slim"), there)
    assert_equal(dict(read_checkpoint(there)), dict(sorted(state.items())))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_training_equals_timms(name, tmp_path, rng):
    """Logits of the batch's statistics, and the averages that these move."""
    theirs = randomized(name).train()
    if name.startswith("tf_"):
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.01  # As their authors have it.
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    images = rng.normal(size=(8, 96, 64, 3)).astype(np.float32)
    model = slimnets.Model(name, num_classes=7, dropout_keep_prob=1.0)
    model.build(images.shape)
    load_weights(tmp_path / "x.pth", model)
    with torch.no_grad():
        logits = theirs(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    assert_close(model(images, training=True), logits, 1e-4)
    torch.save(theirs.state_dict(), tmp_path / "after.pth")
    after = slimnets.Model(name, num_classes=7)
    after.build(images.shape)
    load_weights(tmp_path / "after.pth", after)
    for mine, moved in zip(model.variables, after.variables, strict=True):
        assert_close(mine, moved, 1e-4)


@pytest.mark.slow
def test_bits_npz_are_the_ones_that_timm_reads(tmp_path, rng):
    theirs = randomized("bit_r50x1")
    model = slimnets.Model("bit_r50x1", num_classes=7, seed=1)
    model.build([None, *SIZES[0], 3])
    values = {n: v.numpy() for n, v in model.variables_by_name.items()}
    path = str(tmp_path / "x.npz")
    foreign = networks.foreign_names(values, "bit")
    np.savez(path, **{t.name: values[n] for n, t in foreign.items()})
    theirs.load_pretrained(path)
    for variable in model.variables:
        variable.assign(tf.zeros_like(variable))
    load_weights(path, model)
    images = rng.normal(size=(2, *SIZES[0], 3)).astype(np.float32)
    with torch.no_grad():
        logits = theirs(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    assert_close(model(images), logits, 1e-4)
