"""The detector: its boxes, its losses, its measure, and that it learns."""

import sys

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.data import composed
from slimnets.data.annotated import Objects
from slimnets.heads import boxes as boxes_of
from slimnets.heads import detector
from slimnets.heads.detector import detections
from slimnets.tasks import detection
from slimnets.tasks.average_precision import Found, average_precision
from slimnets.tasks.detection import Detection
from slimnets.tasks.head_config import DIGIT_ANCHORS, DetectionConfig
from slimnets.tasks.head_evaluation import evaluate_head
from slimnets.trained import open_trained
from slimnets.training import evaluate_checkpoint, train
from tests.helpers import v1


def test_without_pycocotools_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ImportError, match=r"pip install 'slimnets\[detection\]'"):
        average_precision([], [])


def random_boxes(rng, *shape):
    low = rng.uniform(0, 60, (*shape, 2))
    return np.concatenate([low, low + rng.uniform(4, 60, (*shape, 2))], -1).astype("f")


def test_codes_of_boxes_are_their_inverse(rng):
    boxes, anchors = random_boxes(rng, 50), random_boxes(rng, 50)
    codes = boxes_of.encode_boxes(boxes, anchors)
    np.testing.assert_allclose(boxes_of.decode_boxes(codes, anchors), boxes, atol=1e-3)
    np.testing.assert_allclose(boxes_of.encode_boxes(boxes, boxes), 0.0, atol=1e-5)


def test_overlaps_of_known_boxes():
    first = np.array([[0, 0, 2, 2], [0, 0, 4, 4]], "f")
    second = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [9, 9, 10, 10]], "f")
    found = boxes_of.box_overlaps(first, second)
    expected = [[1, 1 / 7, 0], [1 / 4, 1 / 4, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("size", [128, 100, 65])
def test_an_anchor_for_every_output_of_the_detector(size):
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [2, size, size, 1])
        outputs, _ = detector(
            images,
            3,
            backbone="resnet18",
            depth_multiplier=0.125,
            pyramid_depth=8,
            anchors=DIGIT_ANCHORS,
        )
    anchors = boxes_of.make_anchors(size, size, (8, 16, 32), DIGIT_ANCHORS)
    sides = [-(-size // s) for s in (8, 16, 32)]
    assert len(anchors) == 4 * sum(side**2 for side in sides)
    assert outputs["classes"].shape[1:] == [len(anchors), 3]
    assert outputs["boxes"].shape[1:] == [len(anchors), 4]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_allclose(centres[4], [0, 8])
    np.testing.assert_allclose(centres[4 * sides[0]], [8, 0])


def test_anchors_lie_where_the_network_looks():
    """The receptive field of a position is centred on its anchors' centre."""
    with tf.Graph().as_default():
        images = np.random.default_rng(0).normal(size=(1, 257, 33, 1))
        images = tf.constant(images, tf.float32)
        _, end_points = slimnets.build("resnet18", images, depth_multiplier=0.125)
        gradient = tf.gradients(tf.reduce_sum(end_points["C3"][:, 16]), images)[0]
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            reached = np.flatnonzero(session.run(gradient).any((0, 2, 3)))
    assert abs((reached[0] + reached[-1]) / 2 - 16 * 8) <= 2


def test_every_object_has_an_anchor_and_no_anchor_two(rng):
    anchors = tf.constant(boxes_of.make_anchors(64, 64, (8, 16), DIGIT_ANCHORS))
    boxes = random_boxes(rng, 3, 5)
    labels = np.array([[0, 1, 2, 3, 4], [5, 6, -1, -1, -1], [-1] * 5], np.int32)
    objects, matched = map(
        np.asarray, boxes_of.match_anchors(anchors, tf.constant(boxes), labels)
    )
    for image in range(3):
        real = labels[image] >= 0
        positive = matched[image] >= 0
        assert set(objects[image][positive]) == set(np.flatnonzero(real))
        np.testing.assert_array_equal(
            matched[image][positive], labels[image][objects[image][positive]]
        )
        overlaps = np.asarray(boxes_of.box_overlaps(anchors, boxes[image]))[:, real]
        best = overlaps.max(1, initial=-1)
        assert (positive | (best < boxes_of.POSITIVE)).all()
        ignored = matched[image] == -2
        assert (best[ignored] >= boxes_of.NEGATIVE).all()
        assert (best[matched[image] == -1] < boxes_of.NEGATIVE).all()


def test_the_loss_of_an_image_without_objects_is_finite_and_of_classes_only():
    anchors = tf.constant(boxes_of.make_anchors(64, 64, (16,), DIGIT_ANCHORS))
    outputs = {
        "classes": tf.fill([1, len(anchors), 3], -5.0),
        "boxes": tf.ones([1, len(anchors), 4]),
    }
    losses, parts = detection.detection_losses(
        outputs, anchors, tf.zeros([1, 2, 4]), tf.fill([1, 2], -1)
    )
    assert 0 < losses[0] < 0.1 and parts["box_loss"][0] == 0


def test_focal_loss_is_the_papers_formula():
    p = np.linspace(0.05, 0.95, 7)
    logits = np.log(p / (1 - p)).astype("f")
    for target, expected in (
        (1.0, -0.25 * (1 - p) ** 2 * np.log(p)),
        (0.0, -0.75 * p**2 * np.log(1 - p)),
    ):
        found = detection.focal_loss(tf.fill([7], target), tf.constant(logits))
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_suppression_is_within_classes():
    anchors = tf.constant(
        [[0, 0, 20, 20], [1, 1, 21, 21], [40, 40, 60, 60]], tf.float32
    )
    high, low = 3.0, -9.0
    classes = tf.constant([[[high, low], [2.0, 2.5], [low, 1.0]]])
    found = detections({"classes": classes, "boxes": tf.zeros([1, 3, 4])}, anchors)
    assert int(found["number"][0]) == 3
    np.testing.assert_allclose(found["classes"][0, :3], [0, 1, 1])
    np.testing.assert_allclose(found["boxes"][0, 0], [0, 0, 20, 20], atol=1e-4)


def test_average_precision_of_known_cases(rng):
    pytest.importorskip("pycocotools")
    boxes = random_boxes(rng, 4, 5)
    labels = rng.integers(0, 3, (4, 5))
    truth = [Objects.of(*pair) for pair in zip(boxes, labels, strict=True)]
    scores = np.ones(5)
    exact = [Found(t.boxes, scores, t.labels) for t in truth]
    assert average_precision(truth, exact).ap == pytest.approx(1.0)
    wrong = [Found(t.boxes, scores, (t.labels + 1) % 3) for t in truth]
    assert average_precision(truth, wrong).ap50 < 0.2
    # Boxes of half the height overlap by 0.5: found at 0.50, not at 0.75.
    shorter = boxes.copy()
    shorter[..., 2] -= 0.45 * (boxes[..., 2] - boxes[..., 0])
    result = average_precision(
        truth, [Found(b, scores, c) for b, c in zip(shorter, labels, strict=True)]
    )
    assert result.ap50 == pytest.approx(1.0) and result.ap75 == 0.0
    assert str(result).endswith("AP50 100.00 %, AP75 0.00 % (4 test images)")
    nothing = [Found(np.zeros((0, 4)), [], []) for _ in truth]
    assert average_precision(truth, nothing).ap == 0.0


@pytest.mark.parametrize("backbone", ["resnet18", "resnet_v2_18", "mobilenet_v1_025"])
def test_any_backbone_will_do(backbone):
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 65, 65, 1])
        outputs, _ = detector(
            images,
            3,
            True,
            backbone=backbone,
            depth_multiplier=0.125,
            pyramid_depth=8,
            anchors=DIGIT_ANCHORS,
        )
        anchors = boxes_of.make_anchors(65, 65, (8, 16, 32), DIGIT_ANCHORS)
        losses, _ = detection.detection_losses(
            outputs, tf.constant(anchors),
            tf.constant([[[0.0, 0, 20, 20]]]), tf.constant([[1]]),
        )  # fmt: skip
        gradients = tf.gradients(losses, v1.trainable_variables())
        missing = [
            v.op.name
            for v, g in zip(v1.trainable_variables(), gradients, strict=True)
            if g is None
        ]
        # With stride in a block's last unit, C5 is the end; nothing is left out.
        assert not missing


def test_what_a_backbone_does_not_take_is_said():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 64, 1])
        with pytest.raises(ValueError, match="resnet18 does not take depth; allowed"):
            detector(images, 3, backbone="resnet18", depth=3)


def test_a_backbone_without_these_levels_says_so():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 64, 1])
        with pytest.raises(KeyError, match="ends at stride 4"):
            detector(images, 3, backbone="resnet_v2_cifar_20")
        with pytest.raises(ValueError, match="has no levels"):
            detector(images, 3, backbone="pointnet")
        with pytest.raises(KeyError, match="ends at stride 16, and C5 is stride 32"):
            detector(images, 3, backbone="resnet18", output_stride=16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"finest_level": 5, "coarsest_level": 4}, "finest <= coarsest"),
        ({"norm": "layer"}, "batch, frozen, sync, group"),
        ({"freeze_at": -1}, "freeze_at=-1"),
        ({"num_eval_images": 0}, "num_eval_images=0"),
        ({"label_smoothing": 0.1}, "label_smoothing=0.1 is of no effect here"),
        ({"dataset_name": "shapes"}, "'shapes' has no boxes; allowed are coco, voc"),
        ({"dataset_name": "coco"}, "dataset_name=coco needs dataset_dir"),
        ({"dataset_dir": "photos"}, "dataset_dir='photos' is of no effect here"),
        ({"anchor_scale": 2.0}, "anchor_scale=2.0 is of no effect here"),
        ({"number_of_epochs": 2.0}, "number_of_epochs=2.0 is of no effect here"),
        (
            {"dataset_name": "coco", "dataset_dir": "x", "num_eval_images": 8},
            "num_eval_images=8 is of no effect here",
        ),
    ],
)
def test_wrong_settings_raise(changes, message):
    with pytest.raises(ValueError, match=message):
        DetectionConfig(model_name="resnet18", train_dir="x", **changes)


def test_training_takes_steps_goes_on_and_measures(tmp_path):
    pytest.importorskip("pycocotools")
    config = DetectionConfig(
        model_name="resnet_v1_cifar_20", train_dir=str(tmp_path), batch_size=2,
        max_number_of_steps=2, optimizer="adam", learning_rate=1e-3, freeze_at=2,
        finest_level=1, coarsest_level=2, pyramid_depth=8, num_eval_images=2,
        train_image_size=32,
    )  # fmt: skip
    result = train(config, Detection(), show=False)
    assert 0 <= result.evaluation.ap50 <= 1 and result.evaluation.images == 2
    trained = open_trained(tmp_path)
    assert evaluate_head(trained).evaluation == result.evaluation
    with pytest.raises(ValueError, match="dataset_dir=x is of no effect with"):
        evaluate_head(trained, dataset_dir="x")
    frozen = [v for v in result.model.trainable_variables if "block1/" in v.name]
    assert not frozen
    assert train(config, Detection(), show=False).first_step == 2
    with pytest.raises(ValueError, match="a run of detection, not of classification"):
        evaluate_checkpoint(tmp_path)


# The data.


def test_an_image_is_a_function_of_its_index():
    first, again = composed.compose(3, "train", 1), composed.compose(3, "train", 1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (
        composed.compose(4, "train", 1),
        composed.compose(3, "test", 1),
        composed.compose(3, "train", 2),
    ):
        assert not np.array_equal(first.image, other.image)


def test_boxes_masks_and_labels_agree():
    composition = composed.Composition(max_overlap=0.0, min_objects=2)
    for index in range(20):
        example = composed.compose(index, composition=composition)
        covered = np.zeros((128, 128), bool)
        for box, label in zip(example.boxes.astype(int), example.labels, strict=True):
            window = example.mask[box[0] : box[2], box[1] : box[3]]
            assert set(np.unique(window)) <= {0, label + 1}
            # The box is tight: each side touches the digit.
            for side in (window[0], window[-1], window[:, 0], window[:, -1]):
                assert (side == label + 1).any()
            covered[box[0] : box[2], box[1] : box[3]] = True
        assert not example.mask[~covered].any()


def test_digits_overlap_but_not_beyond_what_is_said():
    boxes = [composed.compose(index).boxes for index in range(50)]
    overlaps = [
        composed._overlap(first, second)
        for image in boxes
        for i, first in enumerate(image)
        for second in image[:i]
    ]
    assert 0.1 < max(overlaps) <= 0.25
    assert all(1 <= len(image) <= 6 for image in boxes)


def test_batches_go_on_where_they_are_told():
    whole = list(composed.batches("train", batch_size=3, steps=4))
    rest = list(composed.batches("train", batch_size=3, first_step=2, steps=2))
    for (images, targets), (images2, targets2) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(images, images2)
        for name in targets:
            np.testing.assert_array_equal(targets[name], targets2[name])
    assert images.shape == (3, 128, 128, 1) and float(tf.reduce_min(images)) >= -1
    with pytest.raises(ValueError, match="no split 'val'"):
        composed.batches("val", batch_size=2)
    with pytest.raises(ValueError, match="min_side=4"):
        composed.Composition(min_side=4)
    with pytest.raises(ValueError, match="min_objects=3"):
        composed.Composition(min_objects=3, max_objects=2)


# SSD.


def test_ssds_anchors_are_those_of_tensorflows_configurations():
    """Of 300 pixels and six levels, as create_ssd_anchors of the Object Detection API
    has them with its defaults: shares of the image."""
    strides = [2**n for n in range(4, 10)]
    shapes = boxes_of.ssd_shapes(300, strides)
    assert [len(level) for level in shapes] == [3, 6, 6, 6, 6, 6]
    shares = [
        np.array(level) * stride / 300
        for level, stride in zip(shapes, strides, strict=True)
    ]
    first = {tuple(np.round(pair, 4)) for pair in shares[0]}
    assert first == {(0.1, 0.1), (0.1414, 0.2828), (0.2828, 0.1414)}
    second = {tuple(np.round(pair, 4)) for pair in shares[1]}
    assert (0.35, 0.35) in second and (round((0.35 * 0.5) ** 0.5, 4),) * 2 in second
    assert (round(0.35 / 3**0.5, 4), round(0.35 * 3**0.5, 4)) in second
    assert np.isclose(shares[-1], (0.95) ** 0.5).any()


@pytest.mark.parametrize(
    "backbone",
    ["mobilenet_v2_035", pytest.param("resnet18", marks=pytest.mark.slow)],
)
def test_ssd_has_heads_of_its_own_for_each_level(backbone):
    levels = ["C4", "C5", "C6", "C7"]
    shapes = boxes_of.ssd_shapes(65, [16, 32, 64, 128])
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [2, 65, 65, 3])
        outputs, end_points = detector(
            images, 3, True, backbone=backbone, head="ssd", levels=levels,
            pyramid_depth=8, head_convs=0, anchors=shapes,
        )  # fmt: skip
        anchors = boxes_of.make_anchors(65, 65, (16, 32, 64, 128), shapes)
        assert outputs["classes"].shape == [2, len(anchors), 3]
        assert end_points["P7"].shape == [2, 1, 1, 8]
        names = {v.op.name for v in v1.trainable_variables()}
        for level in range(4, 8):
            assert f"classes_head/P{level}/output/weights" in names
        assert "neck/narrow7/weights" in names and "neck/lateral5/weights" not in names
        losses, _ = detection.detection_losses(
            outputs, tf.constant(anchors), tf.constant([[[0.0, 0, 20, 20]]] * 2),
            tf.constant([[1]] * 2), mined=True,
        )  # fmt: skip
        gradients = tf.gradients(losses, v1.trainable_variables())
    assert all(gradient is not None for gradient in gradients)


def test_the_hardest_of_background_count_as_often_as_is_said(rng):
    """Of 60 anchors one is the object's; three more count, whose losses are largest."""
    anchors = np.zeros((60, 4), "f")
    anchors[:, :2] = np.arange(60)[:, None] * 30
    anchors[:, 2:] = anchors[:, :2] + 20
    logits = rng.normal(size=(1, 60, 2)).astype("f")
    outputs = {"classes": tf.constant(logits), "boxes": tf.zeros([1, 60, 4])}
    boxes, labels = tf.constant(anchors[np.newaxis, 5:6]), tf.constant([[1]])
    found, _ = detection.detection_losses(
        outputs, tf.constant(anchors), boxes, labels, mined=True
    )
    of_background = np.logaddexp(0, logits[0]).sum(-1)
    own = np.logaddexp(0, logits[0, 5, 0]) + np.logaddexp(0, -logits[0, 5, 1])
    hardest = np.sort(np.delete(of_background, 5))[-3:]
    np.testing.assert_allclose(found[0], own + hardest.sum(), rtol=1e-5)


def test_levels_of_ssd_fit_the_images():
    def levels(**changes):
        made = DetectionConfig(
            model_name="mobilenet_v2", train_dir="x", head="ssd", **changes
        )
        return made.levels

    assert levels(train_image_size=300) == tuple(f"C{n}" for n in range(4, 10))
    assert levels(train_image_size=96) == ("C4", "C5", "C6", "C7")
    assert levels(train_image_size=96, coarsest_level=5) == ("C4", "C5")
    with pytest.raises(ValueError, match="head='yolo' is not one of retinanet, ssd"):
        DetectionConfig(model_name="resnet18", train_dir="x", head="yolo")
