"""Files from strangers: no code in them is run, and nothing is read beside them.

More of it: pickles and archives in tests/checkpoints/test_readers.py.
"""

import io
import json
import pathlib
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from slimnets import inspection
from slimnets.checkpoints import read_checkpoint
from slimnets.data.datasets import get_dataset
from slimnets.export.loading import load

# Of Keras's own way from variables to numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")


class Code:
    """What a pickle may hold: to load it is to make the file `executed`."""

    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path("executed"),))


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert not pathlib.Path("executed").exists()


# Arrays and HDF5.


def test_a_dataset_with_pickled_objects_is_refused():
    np.savez("x.npz", images=np.array([Code()] * 10, object), labels=np.arange(10))
    with pytest.raises(ValueError, match="pickled objects, which would run code"):
        get_dataset("npz", dataset_dir="x.npz")
    np.save("y.npy", np.array([Code()], object))
    with pytest.raises(ValueError, match="no archive of arrays"):
        get_dataset("npz", dataset_dir="y.npy")


def secret():
    """A file that none of those below may show."""
    with h5py.File("secret.h5", "w") as file:
        file["kernel"] = np.float32([1.0, 2.0])
    np.float32([3.0, 4.0]).tofile("secret.bin")


LINKS = {
    "external link": lambda group: group.__setitem__(
        "kernel:0", h5py.ExternalLink("secret.h5", "/kernel")
    ),
    "soft link": lambda group: group.__setitem__(
        "kernel:0", h5py.SoftLink("/elsewhere")
    ),
    "external storage": lambda group: group.create_dataset(
        "kernel:0", (2,), np.float32, external=[("secret.bin", 0, 8)]
    ),
    "virtual dataset": lambda group: group.create_virtual_dataset(
        "kernel:0", virtual("secret.h5")
    ),
}


def virtual(path):
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[:] = h5py.VirtualSource(path, "kernel", (2,))
    return layout


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("numbered", [False, True])
def test_hdf5_that_points_to_other_files_is_refused(kind, numbered):
    secret()
    with h5py.File("x.h5", "w") as file:
        if numbered:
            group = file.create_group("layers/conv2d/vars")
            LINKS[kind](group)
            if "kernel:0" in group:
                group.move("kernel:0", "0")
        else:
            file.attrs["layer_names"] = [b"layer"]
            file.create_group("layer").attrs["weight_names"] = [b"kernel:0"]
            LINKS[kind](file["layer"])
    with pytest.raises(ValueError, match=r"refused|without Keras's weights"):
        read_checkpoint("x.h5")


# Keras.


def lambda_model(path):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.Lambda(lambda x: x)]
    )
    model.save(path)
    return model


def test_the_weights_beside_a_lambda_layer_are_read_and_nothing_is_run():
    model = lambda_model("x.keras")
    weights = read_checkpoint("x.keras")
    kernel = next(name for name in weights if name.endswith("kernel"))
    np.testing.assert_array_equal(weights[kernel], model.layers[0].kernel)
    with pytest.raises(ValueError, match=r"Lambda|lambda"):
        load("x.keras")


CONFIGS = {
    "a function of a module": {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "registered_name": "system",
    },
    "a class of a module": {
        "module": "pathlib",
        "class_name": "Path",
        "config": {"name": "executed"},
        "registered_name": "Path",
    },
    "a partial": {
        "module": "functools",
        "class_name": "partial",
        "config": {"func": "os.system", "args": ["touch executed"]},
        "registered_name": "partial",
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_keras_file_that_names_other_code_is_refused(name):
    lambda_model("x.keras")
    with zipfile.ZipFile("x.keras") as source:
        parts = {each: source.read(each) for each in source.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][-1] = CONFIGS[name]
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile("y.keras", "w") as target:
        for each, content in parts.items():
            target.writestr(each, content)
    assert len(read_checkpoint("y.keras")) == 2
    with pytest.raises((ValueError, TypeError)):
        load("y.keras")


# Archives.

DEVICES = {"character": tarfile.CHRTYPE, "block": tarfile.BLKTYPE}
DEVICES |= {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE}


@pytest.mark.parametrize("kind", DEVICES)
def test_archives_with_devices_or_links_leave_nothing(kind, tmp_path):
    with tarfile.open("x.tar", "w") as archive:
        info = tarfile.TarInfo("model.ckpt")
        info.type, info.linkname = DEVICES[kind], str(tmp_path)
        archive.addfile(info)
        inside = tarfile.TarInfo("model.ckpt/below.index")
        inside.size = 1
        archive.addfile(inside, io.BytesIO(b"x"))
    with pytest.raises(ValueError, match="is no plain file; refused"):
        read_checkpoint("x.tar")
    assert not list(tmp_path.glob("*.index"))


@pytest.mark.parametrize("behind", [False, True])
def test_an_archive_that_unpacks_to_too_much_is_refused(behind):
    import gzip

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        info = tarfile.TarInfo("notes.txt")
        info.size = 0 if behind else 100 * 2**20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    with gzip.open("x.tar.gz", "wb", compresslevel=6) as file:
        file.write(content.getvalue())
        if behind:  # After the end of the archive.
            file.write(bytes(100 * 2**20))
    with pytest.raises(ValueError, match="would unpack to more than"):
        read_checkpoint("x.tar.gz")


# Graphs, metadata and labels.


def test_looking_at_a_saved_model_runs_none_of_its_operations():
    module = tf.Module()
    module.weights = tf.Variable(tf.ones([3]), name="weights")

    @tf.function(input_signature=[tf.TensorSpec([3])])
    def call(x):
        tf.io.write_file("executed", "x")
        return x * module.weights

    module.call = call
    tf.saved_model.save(module, "saved", signatures=call)
    str(inspection.lint_graph("saved"))
    str(inspection.diff("saved", "saved"))
    assert [value.shape for value in dict(read_checkpoint("saved")).values()] == [(3,)]


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a": ' * 100_000, "9" * 10_000, "[1]", "\ud800", "", "{"],
)
def test_metadata_that_are_no_object_are_refused(text):
    np.savez("x.npz", a=np.zeros(3))
    data = text.encode("utf-8", "surrogatepass")
    pathlib.Path("x.npz.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"Cannot read the metadata x\.npz\.json"):
        read_checkpoint("x.npz")


def test_a_label_that_is_damaged_does_not_fill_the_memory():
    labels = np.arange(10)
    labels[3] = 2**62
    np.savez("x.npz", images=np.zeros([10, 2, 2], np.uint8), labels=labels)
    with pytest.raises(ValueError, match="whole numbers from 0 on, below"):
        get_dataset("npz", dataset_dir="x.npz")
