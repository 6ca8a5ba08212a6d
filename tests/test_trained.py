"""One way to open trained weights: the same network to all that open it."""

import ast
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import factory, layers
from slimnets.checkpoints import convert_weights, read_checkpoint, save_weights
from slimnets.data.preprocessing import get_preprocessing
from slimnets.export.loading import Logits
from slimnets.inspection import diff, observe
from slimnets.tasks.classifiers import Classifier
from slimnets.tasks.config import EmbeddingConfig, PredictionConfig
from slimnets.tasks.embedding import write_embeddings
from slimnets.trained import load_into, open_trained
from slimnets.training import evaluate_checkpoint
from tests.helpers import write_png

ENDING = "/ExponentialMovingAverage"
NAMES = ["cats", "dogs", "owls"]
PACKAGE = pathlib.Path(slimnets.__file__).parent


def small(inputs, num_classes=None, is_training=False):
    with tf.compat.v1.variable_scope("small"):
        net = layers.conv2d(
            inputs, 4, 3, normalizer_fn=layers.batch_norm,
            normalizer_params={"is_training": is_training}, scope="conv1",
        )  # fmt: skip
        net = tf.reduce_mean(net, [1, 2])
        if not num_classes:
            return net, {"small/logits": net}
        net = layers.fully_connected(net, num_classes, None, scope="logits")
        return net, {"small/logits": net}


small.default_image_size = 8


@pytest.fixture(autouse=True)
def own_network(monkeypatch):
    info = factory.NetworkInfo("small", small, default_image_size=8)
    monkeypatch.setitem(factory._NETWORKS, "small", info)


def values_of(seed, num_classes=3, channels=3):
    model = slimnets.Model("small", num_classes=num_classes, seed=seed)
    model.build([1, 8, 8, channels])
    return {name: v.numpy() for name, v in model.variables_by_name.items()}


@pytest.fixture
def averaged(tmp_path, rng):
    """A checkpoint whose batch norm, as in TF-Slim's, has no averages; a picture."""
    raw, mean = values_of(0), values_of(1)
    means = {n + ENDING: v for n, v in mean.items() if "BatchNorm" not in n}
    known = {"model_name": "small", "num_classes": 3, "step": 7, "label_names": NAMES,
             "preprocessing_name": "plain"}  # fmt: skip
    save_weights(tmp_path / "net", {**raw, **means}, known)
    picture = rng.integers(0, 256, (8, 8, 3), np.uint8)
    write_png(tmp_path / "a.png", picture)
    (tmp_path / "list.txt").write_text("a.png\n")
    return tmp_path, raw, {**raw, **{n.removesuffix(ENDING): means[n] for n in means}}


def test_the_share_of_an_image_that_is_seen_is_the_metadatas(tmp_path, rng):
    known = {"model_name": "small", "num_classes": 3, "eval_crop_fraction": 0.5}
    known["preprocessing_name"] = "tf"
    save_weights(tmp_path / "net", values_of(0), known)
    image = rng.integers(0, 256, (40, 30, 3), np.uint8)
    trained, other = open_trained(tmp_path / "net"), get_preprocessing("tf")
    cut = other.with_crop_fraction(0.5).prepare(image[None], 8, (0, 255))
    np.testing.assert_array_equal(trained.prepare(image), cut)
    assert not np.array_equal(cut, other.prepare(image[None], 8, (0, 255)))
    # Another preprocessing has its own.
    torch = open_trained(tmp_path / "net", preprocessing="torch")
    own = get_preprocessing("torch").prepare(image[None], 8, (0, 255))
    np.testing.assert_array_equal(torch.prepare(image), own)


@pytest.mark.parametrize("averages", [None, False])
def test_every_tool_takes_the_same_weights(averages, averaged):
    folder, raw, mean = averaged
    wanted = raw if averages is False else mean
    trained = open_trained(folder / "net", averages=averages)
    for name, variable in trained.model.variables_by_name.items():
        np.testing.assert_array_equal(variable.numpy(), wanted[name])
    assert f"{folder}/net, step 7" in trained.source
    said = "left aside" if averages is False else "averages of 3 of 6"
    assert said in trained.source and trained.source.startswith("small of ")
    picture = observe.read_image(folder / "a.png")
    logits = trained.model(trained.prepare(picture)).numpy()[0]
    common = {"checkpoint_path": str(folder / "net"), "averages": averages}
    classifier = Classifier(trained, PredictionConfig(input="-", top=3, **common))
    ((*best,),) = classifier.predict([trained.prepare(picture).numpy()[0]])
    predicted = {p.name: p.score for p in best}
    np.testing.assert_allclose(
        [predicted[name] for name in NAMES], tf.nn.softmax(logits), rtol=1e-5
    )
    lines = []
    write_embeddings(
        EmbeddingConfig(input=str(folder / "list.txt"), output=str(folder / "out"),
                        end_point="small/logits", **common),
        show=False, tell=lines.append,
    )  # fmt: skip
    with np.load(folder / "out/features-00000.npz") as arrays:
        np.testing.assert_allclose(arrays["embeddings"][0], logits, rtol=1e-5)
    assert lines == [trained.source]
    convert_weights(folder / "net", folder / "out/net", averages=averages)
    converted = read_checkpoint(folder / "out/net")
    assert set(converted) == set(wanted)
    for name in wanted:
        np.testing.assert_array_equal(converted[name], wanted[name])
    assert not diff(folder / "net", folder / "out/net", averages=averages)
    model = slimnets.Model("small", num_classes=3)
    model.build([1, 8, 8, 3])
    load_into(model, folder / "net", averages=averages)
    np.testing.assert_allclose(model(trained.prepare(picture))[0], logits, rtol=1e-6)


def test_averages_that_are_not_there_and_those_that_stand_alone(tmp_path):
    values = values_of(0)
    plain = save_weights(tmp_path / "plain", values)
    alone = save_weights(tmp_path / "alone", {n + ENDING: values[n] for n in values})
    with pytest.raises(ValueError, match="moving_average_decay of training keeps"):
        open_trained(plain, averages=True)
    assert open_trained(plain).source.endswith("plain, without averages")
    trained = open_trained(alone)
    assert trained.source.endswith("averages of 6 of 6")
    np.testing.assert_array_equal(
        trained.model.variable_by_name("small/conv1/weights"),
        values["small/conv1/weights"],
    )
    with pytest.raises(ValueError, match="and not the variable"):
        open_trained(alone, averages=False)


@pytest.mark.parametrize("around", ["variables", "averages", "both", "other"])
def test_averages_are_those_of_variables_in_a_wrapper(around, tmp_path):
    raw, mean = values_of(0), values_of(1)
    outer = "net/" if around in ("variables", "both", "other") else ""
    inner = {"variables": "", "averages": "net/", "both": "net/", "other": "module/"}
    saved = {f"{outer}{n}": raw[n] for n in raw}
    saved |= {f"{inner[around]}{n}{ENDING}": mean[n] for n in mean}
    path = save_weights(tmp_path / "net", {**saved, "global_step": np.int64(7)})
    trained = open_trained(path, model_name="small")
    assert trained.source.endswith("step 7, averages of 6 of 6")
    for name, variable in trained.model.variables_by_name.items():
        np.testing.assert_array_equal(variable.numpy(), mean[name])
    left = open_trained(path, model_name="small", averages=False)
    for name, variable in left.model.variables_by_name.items():
        np.testing.assert_array_equal(variable.numpy(), raw[name])


@pytest.mark.parametrize(("classes", "channels"), [(7, 3), (None, 1), (1001, 4)])
def test_a_network_is_known_by_its_variables(classes, channels, tmp_path):
    path = save_weights(tmp_path / "net", values_of(0, classes, channels))
    trained = open_trained(path)
    assert trained.model.network_name == "small"
    assert (trained.num_classes, trained.channels) == (classes, channels)
    background = trained.label_names and trained.label_names[0]
    assert background == ("background" if classes == 1001 else None)
    assert trained.labels_offset == (classes == 1001)


def test_a_registered_network_is_known_by_its_variables(tmp_path):
    model = slimnets.Model("mobilenet_v1_025", num_classes=7)
    model.build([1, 32, 32, 1])
    path = model.save(tmp_path / "net", metadata=None)
    (tmp_path / "net.json").unlink(missing_ok=True)
    trained = open_trained(path, image_size=32)
    assert trained.model.network_name == "mobilenet_v1_025"
    assert (trained.num_classes, trained.channels) == (7, 1)


def test_what_several_networks_may_be_is_said(monkeypatch, tmp_path):
    path = save_weights(tmp_path / "net", values_of(0))
    twin = factory.NetworkInfo("twin", small, default_image_size=8)
    monkeypatch.setitem(factory._NETWORKS, "twin", twin)
    with pytest.raises(ValueError, match="of small and of twin: give model_name"):
        open_trained(path)
    assert open_trained(path, model_name="twin").num_classes == 3
    path = save_weights(tmp_path / "other", {"a/weights": np.zeros([3, 3], np.float32)})
    with pytest.raises(ValueError, match="of no registered one: give its model_name"):
        open_trained(path)


def test_names_are_changed_and_left_out(tmp_path):
    values = values_of(0)
    path = save_weights(tmp_path / "net", {f"tower/{n}": v for n, v in values.items()})
    options = {"model_name": "small", "rename": [("tower/(.*)", r"\1")]}
    trained = open_trained(path, **options, exclude=[".*/logits/.*"])
    assert trained.num_classes == 3 and trained.source.endswith("2 variables as they "
                                                                "began")  # fmt: skip
    kernel = trained.model.variable_by_name("small/conv1/weights")
    np.testing.assert_array_equal(kernel, values["small/conv1/weights"])


def folder_of(path, names, colours, number=10):
    """Pictures of one colour for each class."""
    for name, colour in zip(names, colours, strict=True):
        for index in range(number):
            picture = np.full((8, 8, 3), colour, np.uint8)
            write_png(path / name / f"{index}.png", picture)
    return str(path)


@pytest.fixture
def seeing(tmp_path):
    """A network that tells red, green and blue, as cats, dogs and owls; its folder."""
    values = values_of(0)
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[1, 1] = np.eye(3, 4)
    dense = np.eye(4, 3, dtype=np.float32)
    values |= {"small/conv1/weights": kernel, "small/logits/weights": dense}
    colours = np.eye(3) * 255
    place = folder_of(tmp_path / "mine", NAMES, colours)
    config = {"dataset_name": "folder", "dataset_dir": place}
    known = {"model_name": "small", "num_classes": 3, "label_names": NAMES,
             "preprocessing_name": "plain", "config": config, **config}  # fmt: skip
    return save_weights(tmp_path / "net", values, known), colours


def test_classes_are_matched_by_name(seeing, tmp_path):
    path, colours = seeing
    names = ["a_owls", "b_dogs", "c_cats"]
    for name in names:  # The same classes in another order, of other alphabet.
        assert name[2:] in NAMES
    renamed = save_weights(
        tmp_path / "other", dict(read_checkpoint(path)),
        {**read_checkpoint(path).metadata, "label_names": ["c_cats", "b_dogs",
                                                            "a_owls"]},
    )  # fmt: skip
    place = folder_of(tmp_path / "theirs", names, colours[::-1])
    evaluation, _ = evaluate_checkpoint(renamed, dataset_dir=place)
    assert evaluation.accuracy == 1.0
    rows = {row["name"]: row["correct"] for row in evaluation.class_rows()}
    assert rows == {"a_owls": 10, "b_dogs": 10, "c_cats": 10}
    with pytest.raises(ValueError, match="a_owls, b_dogs, c_cats of the dataset"):
        evaluate_checkpoint(path, dataset_dir=place)
    fewer = folder_of(tmp_path / "fewer", NAMES[:2], colours[:2])
    with pytest.raises(ValueError, match="owls of the network"):
        evaluate_checkpoint(path, dataset_dir=fewer)


def test_a_folder_is_measured_whole_unless_it_was_trained_on(seeing, tmp_path):
    path, colours = seeing
    own, _ = evaluate_checkpoint(path)
    assert own.total == 3 and "3 of 30 images, held out of training" in str(own)
    other = folder_of(tmp_path / "theirs", NAMES, colours, number=12)
    found, _ = evaluate_checkpoint(path, dataset_dir=other)
    assert found.total == 36 and "36 all examples, all 36 images" in str(found)
    # The same folder by another name is no other folder.
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    again, _ = evaluate_checkpoint(path, dataset_dir=str(tmp_path / "link"))
    assert again.total == 3


def test_the_head_of_a_warm_start_is_put_into_the_order_of_names(tmp_path):
    values, known = values_of(0), {"model_name": "small", "label_names": NAMES}
    path = save_weights(tmp_path / "net", values, {**known, "num_classes": 3})
    model = slimnets.Model("small", num_classes=3)
    model.build([1, 8, 8, 3])
    load_into(model, path, label_names=["owls", "cats", "dogs"])
    np.testing.assert_array_equal(
        model.variable_by_name("small/logits/weights"),
        values["small/logits/weights"][:, [2, 0, 1]],
    )
    with pytest.raises(ValueError, match=r"cows .*exclude=\['small/logits/\.\*'\]"):
        load_into(model, path, label_names=["owls", "cats", "cows"])
    load_into(
        model, path, label_names=["owls", "cats", "cows"],
        exclude=lambda names: [".*/logits/.*"],
    )  # fmt: skip


def test_an_export_is_opened_as_its_checkpoint_is(seeing, tmp_path, monkeypatch):
    path, colours = seeing
    output = str(tmp_path / "net.pb")
    slimnets.export.export_checkpoint(
        path, output, format="frozen_graph", batch_size=4, levels=[]
    )
    trained = open_trained(output)
    assert (trained.label_names, trained.batch_size) == (tuple(NAMES), 4)
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype(np.float32)
    expected = open_trained(path).model(images)
    np.testing.assert_allclose(trained.model(images), expected, rtol=1e-4, atol=1e-5)
    other = folder_of(tmp_path / "theirs", NAMES, colours)
    eager, run = [], Logits.__call__

    def noted(self, images, training=False):
        eager.append(tf.executing_eagerly())
        return run(self, images, training)

    monkeypatch.setattr(Logits, "__call__", noted)
    found, _ = evaluate_checkpoint(output, dataset_name="folder", dataset_dir=other)
    assert found.accuracy == 1.0 and found.total == 30
    # Within a graph's only thread, on one processor, it would wait for ever.
    assert eager and all(eager)
    with pytest.raises(ValueError, match="model_name='small' is of no effect"):
        open_trained(output, model_name="small")
    with pytest.raises(ValueError, match="is an export"):
        _ = trained.network


# Files below these rooms may read weights; above, these few read what they wrote.
OPENERS = {"read_checkpoint", "load_weights", "CheckpointReader", "labels_of"}
MODULES = {"detect", "restore", "readers", "keras_files", "torch_files", "npz_files"}
BELOW = {"checkpoints", "data", "model", "trained", "__init__.py", "slim"}
OWN = {"training/train_dir.py"}  # A run's own checkpoints, to go on with.


def test_weights_are_opened_in_one_way():
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        if relative.parts[0] in BELOW or relative.as_posix() in OWN:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom):
                continue
            names = {alias.name for alias in node.names}
            room, _, module = (
                (node.module or "").removeprefix("slimnets.").partition(".")
            )
            assert not (names & OPENERS), f"{relative} imports {names & OPENERS}"
            assert not (room == "checkpoints" and module in MODULES), relative
