"""Every format gives what the network gives, or is not written."""

import contextlib
import importlib.util
import json
import warnings

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.data import get_preprocessing
from slimnets.export import FORMATS, export_model, exporting, freeze, load
from slimnets.export.agreement import TOLERANCES
from tests.export.networks import CLASSES, randomize, small_model
from tests.export.test_fold import BEFORE, single_layer
from tests.helpers import assert_close

onnx_needed = pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None
    or importlib.util.find_spec("onnxruntime") is None,
    reason="onnx or onnxruntime is not installed",
)
openvino_needed = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None
    or importlib.util.find_spec("onnx") is None,
    reason="openvino or onnx is not installed",
)
MARKS = {"onnx": onnx_needed, "openvino": openvino_needed}
ALL = [
    pytest.param(name, marks=MARKS.get(name, ())) for name in FORMATS if name != "keras"
]
SHAPE = [None, 17, 17, 3]
# Together they have every operation that the ONNX writer knows from networks.
IN_ONNX = ("resnet_v2_50", "keras_resnet50_v2", "bit_r50x1", "multi_cloud", "cifarnet")


@pytest.fixture(scope="module")
def model():
    """A registered network, so that a .keras file can name it."""
    options = {"depth_multiplier": 0.25}
    model = slimnets.Model("resnet_v1_cifar_20", num_classes=CLASSES, seed=0, **options)
    model.build(SHAPE)
    randomize(model)
    return model


@pytest.fixture
def images(rng):
    return rng.normal(size=[2, 17, 17, 3]).astype(np.float32)


@contextlib.contextmanager
def skip_without_stablehlo():
    """Skips the test where TensorFlow gives no StableHLO, as 2.16 does."""
    try:
        yield
    except ValueError as error:
        if f"TensorFlow {tf.__version__} gives no StableHLO" in str(error):
            pytest.skip(str(error))
        raise


def export(model, directory, name, shape=SHAPE, **options):
    path = directory / f"exported{FORMATS[name].ending}"
    with skip_without_stablehlo():
        return export_model(model, path, format=name, input_shape=shape, **options)


@pytest.mark.parametrize("name", [*ALL, "keras"])
def test_every_format_gives_the_networks_logits(name, model, images, tmp_path):
    shape = [2, *SHAPE[1:]] if name == "stablehlo" else SHAPE
    report = export(model, tmp_path, name, shape, labels=list("abcde"))
    assert report.difference <= report.tolerance == TOLERANCES["float32"]
    metadata = json.loads((tmp_path / f"{report.path}.json").read_text())
    assert metadata["model_name"] == "resnet_v1_cifar_20"
    assert metadata["label_names"] == list("abcde")
    assert (tmp_path / f"{report.path}.labels.txt").read_text().startswith("0:a\n")
    if name == "stablehlo":
        assert "stablehlo.convolution" in (tmp_path / "exported.mlir").read_text()
    exported = load(report.path)
    outputs = exported(images)
    assert list(exported.metadata["outputs"]) == [
        name for name in exported.metadata["outputs"] if name in outputs
    ]
    expected = model(images).numpy()
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-4)
    if name != "keras":
        np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, atol=1e-5)
        c2 = model.features(images, ["C2"])["C2"]
        np.testing.assert_allclose(outputs["features/C2"], c2, atol=1e-3)


@onnx_needed
@pytest.mark.parametrize("network", IN_ONNX)
def test_a_network_of_each_kind_runs_in_onnxruntime(network, tmp_path):
    """The writer checks the file; exporting compares what it gives."""
    model, shape = small_model(network)
    export(model, tmp_path, "onnx", shape)


@onnx_needed
@pytest.mark.parametrize(
    "kind", ["strided", "grouped", "dilated", "dilated depthwise", "row", "matrix"]
)
def test_a_layer_of_each_kind_runs_in_onnxruntime(kind, tmp_path):
    export(single_layer(BEFORE[kind]), tmp_path, "onnx", [None, 9, 9, 8])


PRECISIONS = [
    ("saved_model", "bfloat16"),
    ("frozen_graph", "float16"),
    ("tflite", "float16"),
    ("keras", "bfloat16"),
    pytest.param("onnx", "float16", marks=onnx_needed),
]


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_low_precision_comes_close(name, precision, model, images, tmp_path):
    report = export(model, tmp_path, name, precision=precision)
    assert 1e-5 < report.difference <= TOLERANCES[precision]
    outputs = load(report.path)(images)
    assert outputs["logits"].dtype == np.float32
    found, wanted = outputs["logits"].argmax(1), model(images).numpy().argmax(1)
    assert (found == wanted).all()


def test_low_precision_holds_statistics_and_outputs_in_float32():
    model, shape = small_model("bit_r50x1")
    lowered = freeze(model, shape).folded().in_precision("bfloat16").graph_def
    types = {node.name: node.attr["T"].type for node in lowered.node}
    kinds = {node.name: node.op for node in lowered.node}
    for name, kind in kinds.items():
        if kind in ("Conv2D", "BiasAdd"):
            assert types[name] == tf.bfloat16.as_datatype_enum
        if kind in ("Mean", "SquaredDifference", "Rsqrt", "Softmax"):
            assert types[name] == tf.float32.as_datatype_enum


@onnx_needed
def test_int8_is_written_with_calibration(model, tmp_path, rng):
    batches = [rng.normal(size=[4, 17, 17, 3]) for _ in range(4)]
    report = export(model, tmp_path, "onnx", precision="int8", calibration=batches)
    assert 1e-4 < report.difference <= TOLERANCES["int8"]
    import onnx

    nodes = onnx.load(report.path).graph.node
    assert sum(node.op_type == "QuantizeLinear" for node in nodes) > 20


@openvino_needed
@pytest.mark.parametrize("precision", FORMATS["openvino"].precisions)
def test_openvino_has_two_files(precision, model, images, tmp_path):
    batches = [images] * 4 if precision == "int8" else ()
    for _ in range(2):  # The second takes the place of the first.
        report = export(
            model, tmp_path, "openvino", precision=precision, calibration=batches
        )
    files = [tmp_path / "exported.xml", tmp_path / "exported.bin"]
    assert sorted(tmp_path.iterdir()) == sorted(
        [*files, tmp_path / "exported.xml.json"]
    )
    assert report.size == sum(file.stat().st_size for file in files)
    found = load(report.path, threads=1)(images)["logits"]
    assert found.dtype == np.float32
    assert (found.argmax(1) == model(images).numpy().argmax(1)).all()


def test_a_free_batch_takes_any_and_a_fixed_one_its_own(model, tmp_path, rng):
    report = export(model, tmp_path, "saved_model", [3, *SHAPE[1:]])
    exported = load(report.path)
    assert exported(rng.normal(size=[3, 17, 17, 3]))["logits"].shape == (3, CLASSES)
    with pytest.raises(ValueError, match=r"takes images of shape \[3, 17, 17, 3\]"):
        exported(rng.normal(size=[2, 17, 17, 3]))
    report = export(model, tmp_path, "saved_model")
    exported = load(report.path)
    for batch in (1, 5):
        outputs = exported(rng.normal(size=[batch, 17, 17, 3]))
        assert outputs["logits"].shape == (batch, CLASSES)


def test_tflite_refuses_no_images_and_gives_a_row_for_each_of_many(tmp_path, rng):
    """Its interpreter ends the process; and in TensorFlow 2.18 it counts in a byte."""
    model = slimnets.Model("lenet", num_classes=3, seed=0)
    model.build([None, 28, 28, 1])
    images = rng.normal(size=[257, 28, 28, 1]).astype(np.float32)
    path = str(tmp_path / "lenet.tflite")
    export_model(model, path, format="tflite", input_shape=[None, 28, 28, 1])
    assert_close(load(path)(images)["logits"], model(images), 1e-4)
    with pytest.raises(ValueError, match="one image or more; got none"):
        load(path)(images[:0])


def test_encoded_images_are_prepared_inside(model, tmp_path, rng):
    """Of any sizes, as the recipe does it; TensorFlow Serving's signature."""
    report = export(model, tmp_path, "saved_model", preprocessing="inception")
    loaded = tf.saved_model.load(report.path)
    pictures = [
        rng.integers(0, 255, size, np.uint8) for size in ([20, 30, 3], [9, 9, 3])
    ]
    encoded = [tf.io.encode_png(picture).numpy() for picture in pictures]
    outputs = loaded.signatures["encoded"](image_bytes=tf.constant(encoded))
    recipe = get_preprocessing("inception")
    prepared = [recipe.prepare(p[np.newaxis], 17, (0, 255))[0] for p in pictures]
    expected = model(tf.stack(prepared))
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-4)
    serving = loaded.signatures["serving_default"]
    assert list(serving.structured_input_signature[1]) == ["images"]


def test_levels_may_be_chosen(model, tmp_path, images):
    report = export(model, tmp_path, "frozen_graph", levels=["C1"])
    outputs = load(report.path)(images)
    assert set(outputs) == {"logits", "probabilities", "features/C1"}
    with pytest.raises(KeyError, match="C7"):
        export(model, tmp_path, "frozen_graph", levels=["C7"])


def test_features_are_the_output_of_a_network_without_classes(tmp_path, images):
    model = slimnets.Model("resnet_v1_cifar_20", depth_multiplier=0.25)
    model.build(SHAPE)
    report = export(model, tmp_path, "frozen_graph", levels=[])
    outputs = load(report.path)(images)
    np.testing.assert_allclose(outputs["features"], model(images), atol=1e-4)


def test_a_graph_without_its_json_file_is_still_loaded(model, tmp_path, images):
    report = export(model, tmp_path, "frozen_graph")
    (tmp_path / "exported.pb.json").unlink()
    assert set(load(report.path)(images)) == {"logits", "probabilities"}


def test_what_disagrees_is_not_written_and_what_was_there_stays(model, tmp_path):
    report = export(model, tmp_path, "frozen_graph")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="nothing is written"):
        export(model, tmp_path, "frozen_graph", precision="bfloat16", tolerance=1e-6)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert report.size == len(before[tmp_path / "exported.pb"])


def test_a_directory_is_replaced_whole(tmp_path):
    """The earlier one has its name until the new one takes it."""
    drafts, output = tmp_path / "drafts", tmp_path / "exported"
    for directory, file in ((drafts / "draft", "new"), (output, "old")):
        directory.mkdir(parents=True)
        (directory / file).touch()
    exporting.move_export([str(drafts / "draft")], [str(output)])
    assert [path.name for path in output.iterdir()] == ["new"]
    assert list(drafts.rglob("old"))  # Removed with the drafts, not before.


@pytest.mark.parametrize(("error", "passes"), [(1.3e-4, True), (3e-2, False)])
def test_the_bound_of_float32_is_the_networks_own_spread(
    monkeypatch, tmp_path, error, passes
):
    """As of a processor that multiplies float32 in parts of 16 bits."""
    model, shape = small_model("resnet_v2_50")

    def inexact(path):
        def run(samples):
            outputs = load(path)(samples)
            return {k: v + error * np.abs(v).max() for k, v in outputs.items()}

        return run

    monkeypatch.setattr(exporting, "load", inexact)
    if passes:
        report = export(model, tmp_path, "frozen_graph", shape)
        assert TOLERANCES["float32"] < report.difference <= report.tolerance < 1e-2
    else:
        with pytest.raises(ValueError, match=r"by 0\.03, .* outputs change by \d"):
            export(model, tmp_path, "frozen_graph", shape)
    with pytest.raises(ValueError, match=r"where 0\.0001 is allowed: nothing"):
        export(model, tmp_path, "frozen_graph", shape, tolerance=1e-4)


@onnx_needed
@pytest.mark.parametrize(
    "size", [(17, 17), pytest.param((None, None), marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("name", ["tflite", "onnx"])
@pytest.mark.parametrize("kind", ["dilated", "dilated depthwise"])
def test_dilated_convolutions_convert(name, size, kind, tmp_path, rng):
    """As they stand in DeepLab's backbones; of any size, odd ones too."""
    build = BEFORE[kind]
    model = single_layer(lambda x: build(build(x)))
    report = export(model, tmp_path, name, [None, *size, 8])
    for height, width in ((17, 17), (18, 21)) if None in size else (size,):
        images = rng.normal(size=[1, height, width, 8]).astype(np.float32)
        outputs = load(report.path)(images)
        np.testing.assert_allclose(outputs["features"], model(images), atol=1e-4)


@onnx_needed
def test_what_free_sizes_stand_in_the_way_of_is_said(tmp_path):
    def network(inputs):
        return tf.image.resize(inputs, 2 * tf.shape(inputs)[1:3])

    model = slimnets.Model(lambda x: network(slimnets.layers.conv2d(x, 2, 3)))
    model.build([None, 8, 8, 3])
    with pytest.raises(ValueError, match="sizes of images are free: with an input_sha"):
        export(model, tmp_path, "onnx", [None, None, None, 3])


@pytest.mark.parametrize("name", ["tflite", "saved_model"])
def test_a_converters_exception_is_told_in_words(name, model, tmp_path, monkeypatch):
    class Refusal(Exception):
        pass

    def refuse(*args, **kwargs):
        raise Refusal("no\nsuch kernel")

    monkeypatch.setattr(tf.saved_model, "save", refuse)
    with pytest.raises(ValueError, match=r"refuses .*: no such kernel\.$"):
        export(model, tmp_path, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "onyx"}, "allowed are saved_model"),
        ({"format": "onnx", "precision": "bfloat16"}, "float32, float16, int8"),
        ({"format": "onnx"}, "must end in .onnx"),
        ({"format": "tflite", "precision": "int8"}, "must end in .tflite"),
        ({"format": "frozen_graph", "calibration": [0]}, "no use for them"),
    ],
)
def test_what_cannot_be_exported_says_why(model, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export_model(model, tmp_path / "exported.pb", input_shape=SHAPE, **options)
    assert not list(tmp_path.iterdir())


def test_other_files_are_not_overwritten(model, tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "thesis.tex").write_text("years")
    with pytest.raises(ValueError, match="something else"):
        export(model, tmp_path, "saved_model")


def test_stablehlo_needs_a_batch_size(model, tmp_path):
    with pytest.raises(ValueError, match="give a batch size"):
        export(model, tmp_path, "stablehlo")


def test_a_keras_file_needs_a_registered_network(tmp_path):
    def my_network(inputs):
        return slimnets.layers.conv2d(inputs, 2, 3)

    model = slimnets.Model(my_network)
    model.build(SHAPE)
    with pytest.raises(ValueError, match="'my_network' is not registered"):
        export(model, tmp_path, "keras")


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.onnx")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"end in \.pb"):
        load(tmp_path / "notes.txt")
    (tmp_path / "other.mlir").write_text("module {}")
    with pytest.raises(ValueError, match="names of its inputs and outputs"):
        load(tmp_path / "other.mlir")
    (tmp_path / "empty.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ValueError, match="no frozen graph"):
        load(tmp_path / "empty.pb")


def test_names_of_inputs_are_checked(model, tmp_path, images):
    exported = load(export(model, tmp_path, "frozen_graph").path)
    with pytest.raises(ValueError, match="takes images; got pictures"):
        exported({"pictures": images})


def test_several_inputs_are_numbered(tmp_path):
    model, shape = small_model("multi_cloud")
    report = export(model, tmp_path, "frozen_graph", shape)
    assert load(report.path).input_names == ["images_0", "images_1", "images_2"]


def test_no_warning_is_left_over(model, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(model, tmp_path, "tflite")
