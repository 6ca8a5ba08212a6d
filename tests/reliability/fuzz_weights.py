"""Reads damaged files of weights, one after the other, in a process of its own.

    python -m tests.reliability.fuzz_weights KIND SEED COUNT

prints as JSON how many were read and how many refused. A crash of the interpreter, an
exception that is not documented, a file that takes longer than SECONDS_PER_FILE, or
more memory than MEGABYTES ends it with another exit status; the file that did it stays
in the current directory under the name of the kind.
"""

import faulthandler
import gzip
import io
import json
import os
import resource
import sys
import tarfile
import warnings

import numpy as np

SECONDS_PER_FILE = 20
# Beyond what the process had after reading the undamaged file. The HDF5 library takes
# what the file says for a text of variable length, of which the length has 32 bits.
MEGABYTES = 400
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


# What writes each kind, and the file of it that is damaged.
KINDS = {
    "safetensors": (_safetensors, "x.safetensors", "x.safetensors"),
    "npz": (_npz, "x.npz", "x.npz"),
    "h5": (_keras_h5, "x.h5", "x.h5"),
    "weights.h5": (_weights_h5, "x.weights.h5", "x.weights.h5"),
    "keras": (_keras, "x.keras", "x.keras"),
    "pth": (_pth, "x.pth", "x.pth"),
    "legacy_pth": (lambda path: _pth(path, new=False), "x.pth", "x.pth"),
    "index": (_checkpoint, "x.ckpt", "x.ckpt.index"),
    "data": (_checkpoint, "x.ckpt", "x.ckpt.data-00000-of-00001"),
    "tar.gz": (_tar, "x.tar.gz", "x.tar.gz"),
}


def _read_all(path: str) -> None:
    from slimnets.checkpoints import read_checkpoint

    reader = read_checkpoint(path)
    for name in reader:
        assert reader[name].shape == reader.shapes[name], name
    reader.close()


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(kind: str, seed: int, count: int) -> dict[str, float]:
    """Returns how many files were read and refused, and what memory it took."""
    from tests.reliability.mutations import mutated

    write, path, damaged = KINDS[kind]
    limit = MEGABYTES_OF_HDF5 if kind in ("h5", "weights.h5", "keras") else MEGABYTES
    write(path)
    _read_all(path)
    with open(damaged, "rb") as file:
        original = file.read()
    before = _peak_megabytes()
    result = {"read": 0, "refused": 0}
    for number in range(count):
        with open(damaged, "wb") as file:
            file.write(mutated(np.random.default_rng([seed, number]), original))
        faulthandler.dump_traceback_later(SECONDS_PER_FILE, exit=True)
        try:
            _read_all(path)
            result["read"] += 1
        except (ValueError, FileNotFoundError):
            result["refused"] += 1
        faulthandler.cancel_dump_traceback_later()
        grown = _peak_megabytes() - before
        if grown > limit:
            raise MemoryError(f"file {number} of seed {seed} took {grown:.0f} MB")
    return {**result, "megabytes": round(grown)}


if __name__ == "__main__":
    faulthandler.enable()
    warnings.simplefilter("ignore")
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
