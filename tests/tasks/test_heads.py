"""Heads on people's own photos: training, opening, measuring, predicting, exporting."""

import json

import numpy as np
import pytest
import tensorflow as tf

from slimnets import export
from slimnets.cli import main, tasks
from slimnets.data.annotated import BOXES, open_annotated
from slimnets.export.checkpoint import export_trained
from slimnets.export.formats import FORMATS
from slimnets.heads import head_of
from slimnets.heads.suppression import suppressed, suppressed_in_one
from slimnets.tasks import head_evaluation
from slimnets.tasks.detection import Detection, evaluate_boxes
from slimnets.tasks.finding import finder_of
from slimnets.tasks.head_config import DetectionConfig, SegmentationConfig
from slimnets.tasks.head_evaluation import evaluate_head
from slimnets.tasks.segmentation import Segmentation
from slimnets.trained import open_trained
from slimnets.training import train
from tests import scenes

pytest.importorskip("PIL")
BACKBONE = "resnet_v1_cifar_20"
SPLITS = {"train": 4, "val": 3}


def config(kind, data, train_dir, **changes):
    own = {"finest_level": 1, "coarsest_level": 2}
    if kind is SegmentationConfig:
        own = {"output_stride": 4, "decoder_levels": "1"}
    return kind(
        model_name=BACKBONE, dataset_dir=str(data), train_dir=str(train_dir),
        train_image_size=32, batch_size=2, max_number_of_steps=1, optimizer="adam",
        learning_rate=1e-3, pyramid_depth=8, **{**own, **changes},
    )  # fmt: skip


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    return scenes.write_coco(tmp_path_factory.mktemp("coco") / "set", SPLITS)


@pytest.fixture(scope="module")
def detector_run(coco, tmp_path_factory):
    pytest.importorskip("pycocotools")
    run = tmp_path_factory.mktemp("detector")
    made = config(DetectionConfig, coco, run, dataset_name="coco")
    return run, train(made, Detection(), show=False)


@pytest.fixture(scope="module")
def segmenter_run(tmp_path_factory):
    data = scenes.write_voc(tmp_path_factory.mktemp("voc") / "set", SPLITS)
    run = tmp_path_factory.mktemp("segmenter")
    made = config(SegmentationConfig, data, run, dataset_name="voc")
    return run, train(made, Segmentation(), show=False)


@pytest.fixture
def finding(detector_run):
    """The detector, which no step of training has made sure of anything, as one that
    finds something everywhere."""
    trained = open_trained(detector_run[0])
    biases = trained.network.variable_by_name("classes_head/output/biases")
    biases.assign(np.random.default_rng(0).normal(size=biases.shape))
    return trained


def test_a_detector_is_opened_as_it_was_trained(detector_run, rng):
    run, result = detector_run
    trained = open_trained(run)
    images = tf.constant(rng.normal(size=(2, 32, 32, 3)), tf.float32)
    for name, value in result.model(images).items():
        np.testing.assert_array_equal(trained.model(images)[name], value)
    assert trained.task == "detection" and trained.label_names == scenes.NAMES
    assert trained.metadata["category_ids"] == [3, 17]
    assert "detection on resnet_v1_cifar_20" in trained.source
    measured = evaluate_head(trained)
    assert measured.evaluation.summaries == result.evaluation.summaries
    assert measured.evaluation.images == 3
    with pytest.raises(ValueError, match="model_name='resnet18' is of no effect"):
        open_trained(run, model_name="resnet18")
    with pytest.raises(ValueError, match="task='pose'; allowed are detection, segm"):
        head_of("pose")


def test_a_segmenter_is_opened_as_it_was_trained(segmenter_run, rng):
    run, result = segmenter_run
    trained = open_trained(run)
    images = tf.constant(rng.normal(size=(2, 32, 32, 3)), tf.float32)
    np.testing.assert_array_equal(trained.model(images), result.model(images))
    assert trained.label_names == ("background", *scenes.NAMES)
    measured = evaluate_head(trained, batch_size=3)
    assert measured.evaluation.summaries == result.evaluation.summaries
    # Every pixel that is meant counts, in the photos' own size.
    meant = [(scenes.scene(i)[3] != scenes.IGNORE).sum() for i in (4, 5, 6)]
    assert measured.evaluation.confusion.sum() == sum(meant)


def test_a_number_of_no_class_is_told_even_if_it_is_0(tmp_path):
    data = scenes.write_voc(tmp_path / "set", SPLITS)
    made = config(
        SegmentationConfig, data, tmp_path, dataset_name="voc", ignore_label=0
    )
    assert Segmentation().metadata(made)["ignore_label"] == 0


def test_average_precision_is_what_pycocotools_says_of_the_files(coco, rng):
    tools = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    source = open_annotated("coco", BOXES, str(coco)).source("train")
    results = []

    def photos():
        for index in range(source.number):
            photo = source.load(index)
            boxes, labels = photo.objects[:2]
            moved = boxes + rng.normal(0, 1.5, boxes.shape)
            number = len(labels)
            wrong = np.where(rng.uniform(size=number) < 0.2, 1 - labels, labels)
            found = {"boxes": moved, "scores": rng.uniform(size=number),
                     "classes": wrong}  # fmt: skip
            yield index, photo, found

    evaluation = evaluate_boxes(
        head_evaluation._kept(photos(), source.id, [3, 17], results), scenes.NAMES
    )
    truth = tools.COCO(str(coco / "annotations" / "instances_train.json"))
    theirs = COCOeval(truth, truth.loadRes(results), "bbox")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    assert list(evaluation.summaries.values()) == pytest.approx(theirs.stats[:3])
    assert 0 < evaluation.ap < 1
    own = {k: v for k, v in evaluation.further.items() if not np.isnan(v)}
    assert list(own.values()) == pytest.approx(theirs.stats[3:][theirs.stats[3:] >= 0])


def test_classes_are_matched_by_their_names(detector_run, tmp_path):
    voc = scenes.write_voc(tmp_path / "voc", SPLITS)
    (voc / "classes.txt").write_text("square\ndisc\n")
    trained = open_trained(detector_run[0])
    other = evaluate_head(
        trained, dataset_name="voc", dataset_dir=str(voc), split="val"
    )
    assert other.evaluation == evaluate_head(trained).evaluation
    (voc / "classes.txt").write_text("square\nround\ndisc\n")
    with pytest.raises(ValueError, match="round"):
        evaluate_head(trained, dataset_name="voc", dataset_dir=str(voc))


@pytest.mark.parametrize("raw", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_exported_detector_finds_the_same_boxes(finding, tmp_path, raw):
    find = finder_of(finding)
    photos = [find.prepare(scenes.scene(i)[0]) for i in (4, 5, 6)]
    wanted = find(photos)
    assert min(len(found["boxes"]) for found in wanted) > 5
    path = str(tmp_path / "detector")
    export_trained(finding, path, format="saved_model", raw_outputs=raw)
    names = {"boxes", "scores"} if raw else {"boxes", "scores", "classes", "number"}
    assert set(export.load(path).metadata["outputs"]) == names
    for found, own in zip(finder_of(open_trained(path))(photos), wanted, strict=True):
        np.testing.assert_allclose(found["boxes"], own["boxes"], atol=1e-3)
        np.testing.assert_allclose(found["scores"], own["scores"], atol=1e-5)
        np.testing.assert_array_equal(found["classes"], own["classes"])


def test_what_a_format_cannot_hold_of_a_detector_is_said(finding, tmp_path):
    path = str(tmp_path / "x.tflite")
    with pytest.raises(ValueError, match="stablehlo has no non-maximum suppression:"):
        export_trained(finding, str(tmp_path / "x.mlir"), format="stablehlo")
    with pytest.raises(ValueError, match=r"batch_size=2: .* of tflite is of one image"):
        export_trained(finding, path, format="tflite", batch_size=2)
    with pytest.raises(ValueError, match="tflite in int8 rounds boxes"):
        export_trained(finding, path, format="tflite", precision="int8")
    with pytest.raises(ValueError, match="keras cannot hold the named outputs of det"):
        export_trained(finding, str(tmp_path / "x.keras"), format="keras")
    with pytest.raises(ValueError, match="levels are not for detection"):
        export_trained(finding, str(tmp_path / "m"), format="onnx", levels=["C3"])


def test_tflite_suppresses_boxes_too(finding, tmp_path):
    find = finder_of(finding)
    photos = [find.prepare(scenes.scene(i)[0]) for i in (4, 5)]
    path = str(tmp_path / "detector.tflite")
    export_trained(finding, path, format="tflite")
    trained = open_trained(path)
    assert trained.batch_size == 1
    for found, own in zip(finder_of(trained)(photos), find(photos), strict=True):
        np.testing.assert_allclose(found["boxes"], own["boxes"], atol=1e-3)
        np.testing.assert_array_equal(found["classes"], own["classes"])


def test_suppression_of_one_image_is_that_of_many(rng):
    low = rng.uniform(-20, 40, (1, 300, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 30, (1, 300, 2))], -1)
    scores = rng.uniform(-0.2, 1, (1, 300, 4))
    given = [tf.constant(values, tf.float32) for values in (boxes, scores)]
    wanted, found = suppressed(*given), suppressed_in_one(*given)
    assert found.keys() == wanted.keys() and 20 < wanted["number"][0] <= 100
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["onnx", "xml"])
def test_int8_is_measured(finding, segmenter_run, tmp_path, ending):
    pytest.importorskip("onnxruntime")
    if ending == "xml":
        pytest.importorskip("openvino")
    format = {"onnx": "onnx", "xml": "openvino"}[ending]
    segmenter = open_trained(segmenter_run[0])
    for trained, measure in ((finding, "AP"), (segmenter, "mean_iou")):
        path = str(tmp_path / f"{measure}.{ending}")
        _, change = export_trained(
            trained, path, format=format, precision="int8", measure=True, audited=True
        )
        assert change.images == 3 and str(change).startswith(f"{measure} ")
        stored = export.load(path).metadata
        assert stored["measured"]["after"][measure] == change.after[measure]
        assert len(stored["audit"]) > 10
        assert evaluate_head(
            open_trained(path), split="val",
            dataset_dir=trained.metadata["config"]["dataset_dir"],
        ).evaluation.summaries == pytest.approx(change.after)  # fmt: skip


def test_a_page_of_a_detector(detector_run, segmenter_run, tmp_path, capsys):
    for (run, result), shown in ((detector_run, "AP by class"),
                                 (segmenter_run, "boundary F by class")):  # fmt: skip
        page = tmp_path / "page.html"
        assert main.main(["report", str(run), f"--report={page}"]) == 0
        assert f"page in {page}" in capsys.readouterr().out
        text = page.read_text()
        assert shown in text and str(result.evaluation) in text
        assert "<svg" in text and text.count('src="data:image') == 3
        assert "slimnets train-" in text and "--optimizer=adam" in text


@pytest.mark.parametrize("raw", [False, True])
def test_onnx_finds_the_same_boxes(finding, tmp_path, raw):
    pytest.importorskip("onnxruntime")
    find = finder_of(finding)
    photos = [find.prepare(scenes.scene(i)[0]) for i in (4, 5, 6)]
    path = str(tmp_path / "detector.onnx")
    export_trained(finding, path, format="onnx", raw_outputs=raw)
    for found, own in zip(finder_of(open_trained(path))(photos), find(photos),
                          strict=True):  # fmt: skip
        np.testing.assert_allclose(found["boxes"], own["boxes"], atol=1e-3)
        np.testing.assert_array_equal(found["classes"], own["classes"])


@pytest.mark.parametrize("format", ["saved_model", "onnx", "openvino"])
def test_an_exported_segmenter_finds_the_same_mask(segmenter_run, tmp_path, format):
    if format != "saved_model":
        pytest.importorskip("onnxruntime")
    if format == "openvino":
        pytest.importorskip("openvino")
    trained = open_trained(segmenter_run[0])
    photo = finder_of(trained).prepare(scenes.scene(4)[0])
    path = str(tmp_path / f"segmenter{FORMATS[format].ending}")
    export_trained(trained, path, format=format)
    exported = export.load(path)
    mask = exported(photo.image[np.newaxis])["mask"]
    assert mask.shape == (1, 32, 32) and mask.dtype == np.int32
    logits = trained.model(photo.image[np.newaxis])
    assert (mask == np.argmax(logits, -1)).mean() > 0.999
    assert finder_of(open_trained(path))([photo])[0]["mask"].shape == (72, 96)


def test_suppression_in_onnx_is_tensorflows(tmp_path, rng):
    """With crowded boxes, ties of nothing, and fewer boxes than may be found."""
    pytest.importorskip("onnxruntime")
    from slimnets.export.frozen import Frozen
    from slimnets.export.onnx_file import load_onnx, write_onnx

    with tf.Graph().as_default() as graph:
        shapes = {"given": [None, 40, 4], "given_scores": [None, 40, 3]}
        inputs = {n: tf.compat.v1.placeholder(tf.float32, s, n) for n, s in
                  shapes.items()}  # fmt: skip
        found = suppressed(*inputs.values(), max_detections=150, least_score=0.3)
        outputs = tuple(tf.identity(v, name=n).op.name for n, v in found.items())
        specs = {n: tf.TensorSpec(s, tf.float32, n) for n, s in shapes.items()}
        frozen = Frozen(graph.as_graph_def(), specs, outputs).folded()
    write_onnx(frozen, str(tmp_path / "s.onnx"), {})
    run, _ = load_onnx(str(tmp_path / "s.onnx"))
    low = rng.uniform(0, 20, (3, 40, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 15, (3, 40, 2))], -1)
    given = {"given": boxes.astype("f"),
             "given_scores": rng.uniform(size=(3, 40, 3)).astype("f")}  # fmt: skip
    given["given_scores"][2] = 0.1
    wanted, got = frozen.function()(**given), run(given)
    assert got["number"].tolist() == wanted["number"].numpy().tolist()
    assert got["number"][0] > 10 and got["number"][2] == 0
    for name in outputs:
        np.testing.assert_allclose(got[name], wanted[name], atol=1e-5, err_msg=name)


def test_predict_writes_coco_and_pictures(finding, coco, tmp_path, capsys):
    checkpoint = finding.network.save(str(tmp_path / "finding"))
    known = {k: v for k, v in finding.metadata.items()}
    (tmp_path / "finding.json").write_text(json.dumps(known))
    output = tmp_path / "found.json"
    flags = [f"--checkpoint_path={checkpoint}", f"--output={output}",
             f"--overlays={tmp_path / 'pictures'}"]  # fmt: skip
    assert main.main(["predict", str(coco / "val"), *flags]) == 0
    assert "predictions of 3 of 3 images" in capsys.readouterr().out
    document = json.loads(output.read_text())
    assert [c["id"] for c in document["categories"]] == [3, 17]
    assert [i["file_name"] for i in document["images"]] == ["4.png", "5.png", "6.png"]
    scores = [a["score"] for a in document["annotations"] if a["image_id"] == 1]
    assert scores and scores == sorted(scores, reverse=True) and min(scores) >= 0.05
    for found in document["annotations"]:
        left, top, width, height = found["bbox"]
        assert left >= 0 and left + width <= 96 and top >= 0 and top + height <= 72
    pictures = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert pictures == ["4.png", "5.png", "6.png"]
    drawn = tf.io.decode_png((tmp_path / "pictures" / "4.png").read_bytes()).numpy()
    assert drawn.shape == (72, 96, 3) and (drawn != scenes.scene(4)[0]).any()
    for flag, message in (
        ("--top=2", "--top=2 is of no effect with"),
        (f"--masks={tmp_path}", "which is of detection"),
        ("--least_score=2", "--least_score=2.0 must be in [0, 1]"),
    ):
        assert main.main(["predict", str(coco / "val"), *flags[:2], flag]) == 2
        assert message in capsys.readouterr().err


def test_predict_writes_masks(segmenter_run, coco, tmp_path, capsys):
    from PIL import Image

    flags = [f"--checkpoint_path={segmenter_run[0]}"]
    assert main.main(["predict", str(coco / "val"), *flags]) == 2
    assert (
        "give --masks=DIRECTORY, --overlays=DIRECTORY, or both"
        in capsys.readouterr().err
    )
    flags += [f"--masks={tmp_path / 'masks'}", f"--overlays={tmp_path / 'over'}"]
    assert main.main(["predict", str(coco / "val"), *flags]) == 0
    with Image.open(tmp_path / "masks" / "5.png") as mask:
        assert mask.mode == "P" and np.array(mask).shape == (72, 96)
        assert np.array(mask).max() < 3
    assert len(list((tmp_path / "over").iterdir())) == 3
    # In windows the photo is larger, and so is what the network sees of it.
    windows = [*flags[:1], f"--masks={tmp_path / 'windows'}", "--window_size=40"]
    assert main.main(["predict", str(coco / "val"), *windows]) == 0
    with Image.open(tmp_path / "windows" / "5.png") as mask:
        assert np.array(mask).shape == (72, 96)
    capsys.readouterr()
    measured = [*flags[:1], f"--output={tmp_path}", "--window_size=40"]
    assert main.main(["evaluate", *measured]) == 0
    out = capsys.readouterr().out
    assert "boundary F by class" in out and ", boundary F" in out.splitlines()[-1]
    assert (tmp_path / "classes.csv").read_text().startswith("class,IoU,boundary F\n")
    assert main.main(["evaluate", flags[0], "--window_overlap=0.5"]) == 2
    assert "of no effect without --window_size" in capsys.readouterr().err


def test_evaluate_prints_and_writes(detector_run, tmp_path, capsys):
    flags = [f"--checkpoint_path={detector_run[0]}", f"--output={tmp_path}"]
    assert main.main(["evaluate", *flags]) == 0
    out = capsys.readouterr().out
    assert "AP by class" in out and "(3 test images)" in out.splitlines()[-1]
    assert (tmp_path / "classes.csv").read_text().startswith("class,AP\n")
    assert isinstance(json.loads((tmp_path / "detections.json").read_text()), list)
    assert main.main(["evaluate", *flags, "--views=flip"]) == 2
    assert "--views is of no effect with" in capsys.readouterr().err
    assert main.main(["diagnose", flags[0]]) == 2
    assert "of detection, not of classification" in capsys.readouterr().err
    assert main.main(["convert", flags[0], f"--output={tmp_path / 'other'}"]) == 2
    assert "of detection on resnet_v1_cifar_20, and other" in capsys.readouterr().err


@pytest.mark.slow
def test_heads_begin_with_what_was_trained_before(detector_run, coco, tmp_path, capfd):
    """A run's own head with other classes; a classifier; another head."""
    voc = scenes.write_voc(tmp_path / "voc", SPLITS)
    (voc / "classes.txt").write_text("disc\nsquare\nstar\n")

    def start(kind, task, name, data, path, **changes):
        made = config(kind, data, tmp_path / name, checkpoint_path=str(path),
                      dataset_name=name, **changes)  # fmt: skip
        train(made, task, show=True)
        return capfd.readouterr().err

    with pytest.raises(ValueError, match=r"disc, square, and the run has disc, square"):
        start(DetectionConfig, Detection(), "voc", voc, detector_run[0])
    told = start(
        DetectionConfig, Detection(), "voc", voc, detector_run[0],
        checkpoint_exclude_scopes="classes_head/output",
    )  # fmt: skip
    assert "begins with 117 of 119 variables" in told
    from slimnets import Model

    classifier = Model(BACKBONE, num_classes=7, seed=1)
    classifier.build([None, 32, 32, 3])
    path = classifier.save(str(tmp_path / "classifier"))
    told = start(DetectionConfig, Detection(), "coco", coco, path)
    assert "begins with 95 of 119 variables" in told


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["--task=detect", "--seed=1"], ("train-detector", ["--seed=1"])),
        (["--seed=1", "--task", "segment"], ("train-segmenter", ["--seed=1"])),
        (["--task=classify"], ("train", ["--task=classify"])),
        (["--task=pose"], ("train", ["--task=pose"])),
    ],
)
def test_train_for_a_task_is_its_command(arguments, command):
    assert tasks.chosen("train", arguments) == command


def test_train_refuses_a_task_that_there_is_not(tmp_path, capsys):
    assert main.main(["train", "--task=pose"]) == 2
    assert "detect" in capsys.readouterr().err
    file = tmp_path / "run.flags"
    file.write_text("--task=detect\n")
    assert main.main(["train", f"--flagfile={file}"]) == 2
    assert "must stand on the command line itself" in capsys.readouterr().err
    assert main.main(["train", "--task=detect", "--train_dir=x", "--loss=focal"]) == 2
    assert "Unknown command line flag 'loss'" in capsys.readouterr().err
