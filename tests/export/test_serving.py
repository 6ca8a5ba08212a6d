"""SavedModels in TensorFlow Serving's form, and the client of docs/ that asks for them.

The server is a stand-in; see tests/export/serving.py.
"""

import importlib.util
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.data import get_preprocessing
from slimnets.export import export_model
from tests.export.networks import CLASSES, randomize
from tests.export.serving import METHOD, ServedModel, serving
from tests.helpers import write_png

SIZE = 17
CLIENT = pathlib.Path(__file__).parents[2] / "docs" / "serving_client.py"


@pytest.fixture(scope="module")
def client_module():
    spec = importlib.util.spec_from_file_location("serving_client", CLIENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model():
    model = slimnets.Model("resnet_v1_cifar_20", num_classes=CLASSES, seed=0,
                           depth_multiplier=0.25)  # fmt: skip
    model.build([None, SIZE, SIZE, 3])
    randomize(model)
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """As TensorFlow Serving wants it: a directory of the version's number."""
    path = tmp_path_factory.mktemp("served") / "model" / "1"
    path.parent.mkdir()
    export_model(model, path, format="saved_model", preprocessing="plain",
                 input_shape=[None, SIZE, SIZE, 3], labels=list("abcde"))  # fmt: skip
    return path


def test_signatures_have_the_form_that_serving_asks_for(exported):
    served = ServedModel(exported)
    inputs = {
        "serving_default": ("images", tf.float32),
        "encoded": ("image_bytes", tf.string),
    }
    for name, (key, dtype) in inputs.items():
        signature = served.signatures[name]
        assert signature.method_name == METHOD
        assert list(signature.inputs) == [key]
        assert signature.inputs[key].dtype == dtype.as_datatype_enum
        shapes = [info.tensor_shape for info in signature.inputs.values()]
        shapes += [info.tensor_shape for info in signature.outputs.values()]
        assert all(shape.dim[0].size == -1 for shape in shapes), "a free batch"
        outputs = {"logits", "probabilities", "features/C2"}
        assert outputs <= set(signature.outputs)
        logits = signature.outputs["logits"].tensor_shape
        assert logits.dim[1].size == CLASSES
    served.close()


def test_the_client_gets_what_the_network_gives(client_module, model, exported, rng):
    images = rng.normal(size=[3, SIZE, SIZE, 3]).astype(np.float32)
    pixels = [rng.integers(0, 255, [n, 20, 3], np.uint8) for n in (9, 30)]
    recipe = get_preprocessing("plain")
    exact = {"dct_method": "INTEGER_ACCURATE"}
    decoded = [tf.io.decode_jpeg(tf.io.encode_jpeg(p), **exact) for p in pixels]
    prepared = [recipe.prepare(each[tf.newaxis], SIZE, (0, 255))[0] for each in decoded]
    with serving(exported) as url:
        client = client_module.Client(url)
        assert client.versions() == {"1": "AVAILABLE"}
        as_numbers = client.prepared(images.tolist())
        as_files = client.pictures([tf.io.encode_jpeg(p).numpy() for p in pixels])
        with pytest.raises(RuntimeError, match="error"):
            client.prepared([[1.0, 2.0]])
        with pytest.raises(RuntimeError, match="not found"):
            client_module.Client(url + "s").versions()
    for answers, batch in ((as_numbers, images), (as_files, tf.stack(prepared))):
        logits = np.array([answer["logits"] for answer in answers])
        np.testing.assert_allclose(logits, model(batch), atol=1e-4)
        shares = [sum(answer["probabilities"]) for answer in answers]
        np.testing.assert_allclose(shares, 1, atol=1e-5)


def test_the_client_prints_a_line_for_each_picture(
    client_module, exported, rng, tmp_path, capsys
):
    names = [str(tmp_path / f"{index}.png") for index in range(2)]
    for name in names:
        picture = rng.integers(0, 255, [20, 20, 3], np.uint8)
        write_png(pathlib.Path(name), picture)
    with serving(exported) as url:
        client_module.main([url, *names, f"--labels={exported}.labels.txt"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == names
    assert all(line.split()[1] in "abcde" and line.endswith("%)") for line in lines)
