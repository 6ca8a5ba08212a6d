"""The segmenter: sizes, strides, the measure, and that it trains."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.heads import segmenter
from slimnets.model import Model
from slimnets.tasks.head_config import SegmentationConfig
from slimnets.tasks.mask_losses import mask_losses
from slimnets.tasks.segmentation import Segmentation, SegmentationEvaluation
from slimnets.training import train
from tests.helpers import v1

THIN = {"depth_multiplier": 0.125, "pyramid_depth": 8}


@pytest.mark.parametrize(("output_stride", "size"), [(8, 64), (16, 65), (32, 65)])
def test_logits_have_the_inputs_size(output_stride, size):
    for levels in ((), ("C2", "C1")):
        with tf.Graph().as_default():
            images = v1.placeholder(tf.float32, [None, size, size + 3, 1])
            logits, end_points = segmenter(
                images, 4, True, backbone="resnet18", output_stride=output_stride,
                decoder_levels=levels, **THIN,
            )  # fmt: skip
            assert logits.shape.as_list() == [None, size, size + 3, 4]
            block4 = end_points["block4"].shape.as_list()
            assert block4[1] == -(-size // output_stride)
            names = [v.op.name for v in v1.global_variables()]
            assert all(f"aspp{i}/weights" in names for i in range(4))
            decoders = {n.split("/")[1] for n in names if "decoder/decoder_" in n}
            suffixes = ["", "_1"][: len(levels)]
            assert decoders == {f"decoder_conv0{suffix}" for suffix in suffixes}


@pytest.mark.parametrize("backbone", ["resnet_v2_18", "seresnet50", "mobilenet_v1_025"])
def test_any_backbone_will_do(backbone):
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 65, 65, 3])
        logits, _ = segmenter(images, 3, True, backbone=backbone, **THIN)
        variables = v1.trainable_variables()
        gradients = tf.gradients(tf.reduce_sum(logits), variables)
        assert all(g is not None for g in gradients)


@pytest.mark.parametrize(
    ("backbone", "levels"), [("resnet18", "4321"), ("convnextv2_atto", "432")]
)
def test_unet_sees_every_level(backbone, levels):
    """On any of them, with half the channels at each; or on those that are said."""
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 96, 3])
        thin = {**THIN, "backbone": backbone, "pyramid_depth": 64, "head": "unet"}
        logits, _ = segmenter(images, 3, True, **thin)
        assert logits.shape.as_list() == [1, 64, 96, 3]
        last = [v for v in v1.global_variables() if "/conv2/weights" in v.op.name]
        scopes = {v.op.name.rpartition("/conv2")[0]: v.shape[-1] for v in last}
        depths = {k: n for k, n in scopes.items() if k.startswith("decoder/")}
        wanted = {f"decoder/C{n}": 64 >> i for i, n in enumerate(levels)}
        assert depths == wanted
        own = [v for v in v1.trainable_variables() if v.op.name.startswith("decoder/")]
        gradients = tf.gradients(tf.reduce_sum(logits), own)
        assert all(g is not None for g in gradients)
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 96, 3])
        segmenter(images, 3, **thin, output_stride=8, decoder_levels=["C2"])
        assert "decoder/C3" not in str(v1.global_variables())
        with pytest.raises(ValueError, match="head='fcn'; allowed are deeplab, unet"):
            segmenter(images, 3, backbone=backbone, head="fcn")


def test_decoders_compute_in_halves():
    options = {"decoder_levels": ["C2"], "precision": "bfloat16", **THIN}
    model = Model(segmenter, num_classes=3, backbone="resnet18", **options)
    assert model(np.zeros([1, 32, 32, 3], np.float32)).dtype == tf.float32


def test_losses_of_masks(rng):
    logits = tf.constant(rng.normal(size=(3, 5, 4, 3)), tf.float32)
    mask = rng.integers(-1, 2, (3, 5, 4)).astype(np.int32)
    mask[2] = -1
    found = tf.nn.softmax(logits).numpy()
    entropies, focal, dice = np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(2):
        meant = mask[i] >= 0
        p = found[i][meant]
        own = p[np.arange(len(p)), mask[i][meant]]
        entropies[i] = -np.log(own).mean()
        focal[i] = -((1 - own) ** 3 * np.log(own)).mean()
        truth = [mask[i][meant] == label for label in (0, 1)]
        dice[i] = np.mean([1 - 2 * p[t, k].sum() / (p[:, k].sum() + t.sum())
                           for k, t in enumerate(truth)])  # fmt: skip
    for loss, wanted in (("softmax", entropies), ("focal", focal), ("dice", dice),
                         ("focal,dice", focal + dice)):  # fmt: skip
        got = mask_losses(tf.constant(mask), logits, loss, 3.0)
        np.testing.assert_allclose(got, wanted, atol=1e-5, err_msg=loss)


def test_what_a_backbone_does_not_have_is_said():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 64, 3])
        with pytest.raises(ValueError, match=r"cannot be reached.*\[4, 8, 16, 32\]"):
            segmenter(images, 3, backbone="resnet18", output_stride=2)
        with pytest.raises(KeyError, match="C6"):
            segmenter(images, 3, backbone="resnet18", decoder_levels=["C6"])


def test_wrong_settings_raise():
    for changes, message in (
        ({"decoder_levels": "1,3"}, "list of falling numbers, such as 3,1"),
        ({"decoder_levels": "C2"}, "list of falling numbers"),
        ({"atrous_rates": "2,0"}, "atrous_rates='2,0' is not a list of numbers"),
        ({"atrous_rates": "a"}, "list of numbers of at least 1, such as 6,12,18"),
        ({"atrous_rates": "2", "head": "unet"}, "no effect with head=unet"),
        ({"separable": True, "head": "unet"}, "no effect with head=unet"),
        ({"pyramid_depth": 0}, "pyramid_depth=0"),
        ({"head": "fcn"}, "head='fcn' is not one of deeplab, unet"),
        ({"loss": "sigmoid"}, "loss='sigmoid' is not one of softmax.*focal,dice"),
        ({"focal_gamma": 1.0}, "belongs to loss=focal"),
    ):
        with pytest.raises(ValueError, match=message):
            SegmentationConfig(model_name="resnet18", train_dir="x", **changes)
    own = {"model_name": "resnet18", "train_dir": "x"}
    config = SegmentationConfig(decoder_levels="3,1", **own)
    assert config.levels == ("C3", "C1")
    assert config.head_options["atrous_rates"] is None
    for given, rates in ("2,4", (2, 4)), ("", ()):
        config = SegmentationConfig(atrous_rates=given, **own)
        assert config.head_options["atrous_rates"] == rates


def test_mean_iou_of_a_known_confusion():
    confusion = np.array([[6, 2, 0], [0, 4, 0], [0, 0, 0]])
    evaluation = SegmentationEvaluation(confusion, images=1)
    # A class that is neither there nor found counts for nothing.
    np.testing.assert_allclose(evaluation.class_ious[:2], [6 / 8, 4 / 6])
    assert evaluation.mean_iou == pytest.approx((6 / 8 + 4 / 6) / 2)
    assert evaluation.summaries["pixel_accuracy"] == pytest.approx(10 / 12)
    assert str(evaluation).startswith("mean IoU 70.83 %, pixel accuracy 83.33 %")


def test_training_takes_steps_and_measures(tmp_path):
    config = SegmentationConfig(
        model_name="resnet_v1_cifar_20", train_dir=str(tmp_path), batch_size=2,
        max_number_of_steps=2, optimizer="adam", learning_rate=1e-3,
        output_stride=4, decoder_levels="1", pyramid_depth=8, num_eval_images=2,
        train_image_size=32,
    )  # fmt: skip
    result = train(config, Segmentation(), show=False)
    assert result.evaluation.confusion.sum() == 2 * 32 * 32
    assert result.evaluation.images == 2
