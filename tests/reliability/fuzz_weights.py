"""Reads damaged files of weights, one after the other, in a process of its own.

    python -m tests.reliability.fuzz_weights KIND,KIND... SEED COUNT

prints and ends as `tests.reliability.fuzz_inputs` does.
"""

import gzip
import io
import os
import tarfile

import numpy as np

from tests.reliability.fuzzing import Kind, main

# The HDF5 library takes what the file says for a text of variable length, of which the
# length has 32 bits.
MEGABYTES_OF_HDF5 = 4500
ARRAYS = {
    "layer/kernel": np.arange(300, dtype=np.float32).reshape(5, 5, 3, 4),
    "layer/bias": np.float32([1, 2, 3, 4]),
    "count": np.int64(3),
}


def _safetensors(path):
    from slimnets.checkpoints.torch_files import write_safetensors

    shapes = {n: (np.asarray(a).dtype, np.shape(a)) for n, a in ARRAYS.items()}
    write_safetensors(path, shapes, lambda name: np.asarray(ARRAYS[name]))


def _npz(path):
    with open(path, "wb") as file:
        np.savez_compressed(file, **{n.replace("/", "."): a for n, a in ARRAYS.items()})


def _keras_h5(path):
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"layer"]
        layer = file.create_group("layer")
        layer.attrs["weight_names"] = [b"layer/kernel:0", b"layer/bias:0"]
        layer["layer/kernel:0"] = ARRAYS["layer/kernel"]
        layer["layer/bias:0"] = ARRAYS["layer/bias"]


def _weights_h5(path):
    from slimnets.checkpoints.keras_files import write_keras

    names = {n: ("layer", "conv2d/" + n.split("/")[1]) for n in list(ARRAYS)[:2]}
    write_keras(path, names, lambda name: ARRAYS[name])


def _keras(path):
    import zipfile

    _weights_h5(f"{path}.inner")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(f"{path}.inner", "model.weights.h5")
        archive.writestr("config.json", "{}")
    os.remove(f"{path}.inner")


def _pth(path, new=True):
    import torch

    tensors = {n: torch.from_numpy(np.array(a)) for n, a in ARRAYS.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=new)


def _checkpoint(prefix):
    from slimnets.checkpoints import save_weights

    save_weights(prefix, ARRAYS)


def _objects(prefix):
    """As tf.train.Checkpoint writes a network and an optimizer of Keras."""
    import keras
    import tensorflow as tf

    network = keras.Sequential([keras.layers.Dense(4, name="layer")])
    network.build([None, 3])
    optimizer = keras.optimizers.SGD(momentum=0.9)
    optimizer.build(network.trainable_variables)
    tf.train.Checkpoint(net=network, optimizer=optimizer).write(prefix)


def _frozen(path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        for name, value in ARRAYS.items():
            tf.identity(tf.constant(value, name=name), name=f"{name}/read")
    with open(path, "wb") as file:
        file.write(graph.as_graph_def().SerializeToString())


def _tar(path):
    _checkpoint(f"{path}-parts")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for suffix in (".index", ".data-00000-of-00001"):
            part = f"{path}-parts{suffix}"
            archive.add(part, arcname=f"model.ckpt{suffix}")
            os.remove(part)
    with open(path, "wb") as file:
        file.write(gzip.compress(content.getvalue()))


def _read_all(path: str) -> None:
    from slimnets.checkpoints import read_checkpoint

    reader = read_checkpoint(path)
    for name in reader:
        assert reader[name].shape == reader.shapes[name], name
    reader.close()


def _hdf5(write, path: str) -> Kind:
    return Kind(write, path, _read_all, megabytes=MEGABYTES_OF_HDF5)


KINDS = {
    "safetensors": Kind(_safetensors, "x.safetensors", _read_all),
    "npz": Kind(_npz, "x.npz", _read_all),
    "h5": _hdf5(_keras_h5, "x.h5"),
    "weights.h5": _hdf5(_weights_h5, "x.weights.h5"),
    "keras": _hdf5(_keras, "x.keras"),
    "pth": Kind(_pth, "x.pth", _read_all),
    "legacy_pth": Kind(lambda path: _pth(path, new=False), "x.pth", _read_all),
    "index": Kind(_checkpoint, "x.ckpt", _read_all, damaged="x.ckpt.index"),
    "data": Kind(
        _checkpoint, "x.ckpt", _read_all, damaged="x.ckpt.data-00000-of-00001"
    ),
    "objects": Kind(_objects, "x.ckpt", _read_all, damaged="x.ckpt.index"),
    "objects_data": Kind(
        _objects, "x.ckpt", _read_all, damaged="x.ckpt.data-00000-of-00001"
    ),
    "frozen": Kind(_frozen, "x.pb", _read_all),
    "tar.gz": Kind(_tar, "x.tar.gz", _read_all),
}


if __name__ == "__main__":
    main(KINDS)
