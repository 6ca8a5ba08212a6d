"""Every kind of file: what is in it is read, and what is damaged or unsafe is not."""

import io
import json
import os
import pathlib
import pickle
import struct
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from slimnets.checkpoints import read_checkpoint, save_weights
from slimnets.checkpoints.hdf5_heaps import check_heaps
from slimnets.checkpoints.torch_files import write_safetensors
from tests.checkpoints.test_checkpoints import assert_equal, refusal
from tests.helpers import GOLDEN

ARRAYS = {
    "a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "a.bias": np.float32([1, -2]),
    "empty": np.zeros((0, 3), np.float32),
    "count": np.int64(7),
    "half": np.float16([0.5]),
    "brain": np.array([1.5], tf.bfloat16.as_numpy_dtype),
}
TARGET = {"a.weight": (2, 3, 4), "a.bias": (2,)}


def write_arrays(path, arrays=ARRAYS, **kwargs):
    shapes = {n: (np.asarray(a).dtype, np.shape(a)) for n, a in arrays.items()}
    write_safetensors(
        str(path), shapes, lambda name: np.asarray(arrays[name]), **kwargs
    )
    return path


# safetensors.


def test_safetensors_are_read_as_written(tmp_path):
    path = write_arrays(tmp_path / "x.safetensors", metadata={"step": 3})
    reader = read_checkpoint(path)
    assert_equal(dict(reader), {n: np.asarray(a) for n, a in ARRAYS.items()})
    assert all(reader[n].dtype == np.asarray(a).dtype for n, a in ARRAYS.items())
    assert reader.kind == "torch" and reader.metadata == {"step": 3}
    assert sorted(os.listdir(tmp_path)) == ["x.safetensors", "x.safetensors.json"]


def test_safetensors_are_those_of_the_library(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    plain = {n: np.asarray(a) for n, a in ARRAYS.items() if n != "brain"}
    ours = write_arrays(tmp_path / "ours.safetensors", plain)
    assert_equal(library.load_file(ours), plain)
    library.save_file(plain, tmp_path / "theirs.safetensors")
    assert_equal(dict(read_checkpoint(tmp_path / "theirs.safetensors")), plain)


# Lengths of a header whose bytes are what other kinds of files begin with.
_AS_OTHERS = [
    int.from_bytes(start, "little")
    for start in (b"\x80\x02", b"\x80\x05", b"PK", b"\x1f\x8b", b"\x89H", b"\x93N")
]


@pytest.mark.parametrize("lengths", [range(128, 400), _AS_OTHERS], ids=["all", "as"])
def test_safetensors_are_known_whatever_the_length_of_their_header(tmp_path, lengths):
    """Under any name, too."""
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    for length in lengths:
        path = tmp_path / "weights.bin"
        start = struct.pack("<Q", length) + header.ljust(length)
        path.write_bytes(start + np.float32([2]).tobytes())
        reader = read_checkpoint(path)
        assert (reader.kind, reader["w"].tolist()) == ("torch", [2.0]), length
        reader.close()


def test_bytes_like_an_archives_at_the_end_make_no_archive(tmp_path):
    """zipfile looks for its own mark in the last 64 KiB of any file."""
    values = np.frombuffer(b"PK\x05\x06" + bytes(60), np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = [b"fc"]
        file.create_group("fc").attrs["weight_names"] = [b"fc/kernel:0"]
        file["fc"]["fc/kernel:0"] = values
    assert zipfile.is_zipfile(tmp_path / "x.h5")
    np.testing.assert_array_equal(
        read_checkpoint(tmp_path / "x.h5")["fc/kernel"].view(np.uint8),
        values.view(np.uint8),
    )


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_truncated_safetensors_change_nothing(tmp_path, keep):
    path = write_arrays(tmp_path / "x.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    assert "Cannot read the .safetensors file" in refusal(path, TARGET)


@pytest.mark.parametrize(
    "entry",
    [
        '"dtype":"F32","shape":[2],"data_offsets":[0,4]',
        '"dtype":"F32","shape":[1],"data_offsets":[-4,0]',
        '"dtype":"F32","shape":[-1],"data_offsets":[4,0]',
        '"dtype":"X9","shape":[1],"data_offsets":[0,4]',
        '"shape":[1],"data_offsets":[0,4]',
        '"dtype":"F32","shape":[1],"data_offsets":[0]',
    ],
)
def test_a_damaged_header_is_an_error(tmp_path, entry):
    header = b'{"w":{' + entry.encode() + b"}}"
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(ValueError, match=r"Cannot read the \.safetensors file"):
        read_checkpoint(path)


# PyTorch's own files.


def test_state_dicts_of_torch_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    state["brain"] = torch.tensor([1.5], dtype=torch.bfloat16)
    expected = {n: np.asarray(t.float()) for n, t in state.items()}
    for number, saved in enumerate(
        (
            state,
            {"state_dict": state, "epoch": 3},
            {"module." + n: state[n] for n in state},
        )
    ):
        for new in (True, False):
            path = tmp_path / f"{number}{new}.pth"
            torch.save(saved, path, _use_new_zipfile_serialization=new)
            assert_equal(dict(read_checkpoint(path)), expected)
    torch.save({"state_dict": state, "model": state}, path)
    with pytest.raises(ValueError, match="has state_dict, model"):
        read_checkpoint(path)


class Code:
    def __reduce__(self):
        return (os.system, ("touch executed",))


def test_a_pickle_with_code_is_refused(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    state = {"a.weight": torch.zeros(2, 3, 4), "a.bias": Code()}
    for name, save in {
        "new.pth": lambda p: torch.save(state, p),
        "old.bin": lambda p: torch.save(state, p, _use_new_zipfile_serialization=False),
        "plain.pkl": lambda p: pathlib.Path(p).write_bytes(pickle.dumps(Code())),
    }.items():
        save(name)
        assert "refused" in refusal(name, TARGET)
    assert not os.path.exists("executed")


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("keep", [10, 300, -20])
def test_truncated_pth_changes_nothing(tmp_path, new, keep):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    state = {"a.weight": torch.zeros(2, 3, 4), "a.bias": torch.zeros(2)}
    torch.save(state, path, _use_new_zipfile_serialization=new)
    path.write_bytes(path.read_bytes()[:keep])
    assert "Cannot read the" in refusal(path, TARGET)


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    path = tmp_path / "x.pth"
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ImportError, match=r"needs torch.*slimnets\[torch\]"):
        read_checkpoint(path)


# NumPy.


def test_npz_is_read_lazily_and_without_pickles(tmp_path):
    path = tmp_path / "x.npz"
    arrays = {n: np.asarray(a) for n, a in ARRAYS.items() if n != "brain"}
    np.savez(path, **arrays)
    reader = read_checkpoint(path)
    assert reader.kind == "npz" and reader.shapes["a.weight"] == (2, 3, 4)
    assert_equal(dict(reader), arrays)
    np.savez(path, **arrays, code=np.array([Code()], dtype=object))
    assert "pickled objects" in refusal(path, TARGET)
    assert not os.path.exists("executed")
    path.write_bytes(path.read_bytes()[:-30])
    assert "damaged or cut short" in refusal(path, TARGET)


def test_a_zip_of_something_else_is_named(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(ValueError, match=r"zip archive .*notes\.txt"):
        read_checkpoint(path)


# Archives of checkpoints.


def archive(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def tiny_members():
    files = (GOLDEN / "slim_tiny_v1").glob("model.ckpt.*")
    return {f"./release/{file.name}": file.read_bytes() for file in files}


@pytest.mark.parametrize(("name", "mode"), [("x.tar.gz", "w:gz"), ("x.tar", "w")])
def test_a_checkpoint_in_an_archive_is_read(tmp_path, monkeypatch, name, mode):
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "unpacked"))
    members = {**tiny_members(), "release/train.graph": b"graph"}
    reader = read_checkpoint(archive(tmp_path / name, members, mode))
    expected = read_checkpoint(GOLDEN / "slim_tiny_v1")
    assert_equal(dict(reader), dict(expected))
    monkeypatch.undo()
    assert len(os.listdir(tmp_path / "unpacked")) == 1
    del reader
    assert not os.listdir(tmp_path / "unpacked")


def link(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"../model.ckpt": b"x"}, "would lie outside"),
        ({"a/../../model.ckpt": b"x"}, "would lie outside"),
        ({"/tmp/model.ckpt": b"x"}, "would lie outside"),
        ({"..\\model.ckpt": b"x"}, "would lie outside"),
        ({"model.ckpt": link("model.ckpt", tarfile.SYMTYPE)}, "no plain file"),
        ({"model.ckpt": link("model.ckpt", tarfile.LNKTYPE)}, "no plain file"),
        ({"model.ckpt": link("model.ckpt", tarfile.FIFOTYPE)}, "no plain file"),
        ({"notes.txt": b"x"}, "it holds none"),
        ({"a.ckpt": b"x", "b.ckpt": b"x"}, "it holds a.ckpt, b.ckpt"),
        ({"a.ckpt": b"x"}, "no TensorFlow checkpoint"),
    ],
)
def test_unsafe_or_useless_archives_are_refused(tmp_path, members, what):
    inside = tmp_path / "inside"
    inside.mkdir()
    path = archive(inside / "x.tar.gz", {**tiny_members(), **members}
                   if "outside" in what or "plain" in what else members)  # fmt: skip
    assert what in refusal(path, TARGET)
    assert os.listdir(tmp_path) == ["inside"] and os.listdir(inside) == ["x.tar.gz"]


@pytest.mark.parametrize("keep", [0, 5, 200, -10])
def test_truncated_archives_change_nothing(tmp_path, keep):
    path = archive(tmp_path / "x.tar.gz", tiny_members())
    path.write_bytes(path.read_bytes()[:keep])
    assert "Cannot read" in refusal(path, TARGET)


# HDF5 that is not Keras's.


def test_hdf5_without_weights_and_truncated_hdf5(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(1000)
    assert "without Keras's weights" in refusal(path, TARGET)
    for keep in (0, 100, -100):
        path.write_bytes(path.read_bytes()[:keep])
        assert "Cannot read the Keras file" in refusal(path, TARGET)


def test_a_half_written_checkpoint_is_not_there(tmp_path, monkeypatch):
    arrays = {"w": np.zeros(3, np.float32)}
    prefix = save_weights(tmp_path / "x", arrays)
    monkeypatch.setattr(
        os, "replace", lambda *a: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        save_weights(prefix, arrays)
    with pytest.raises(OSError, match="full"):
        write_arrays(tmp_path / "y.safetensors")
    assert not [n for n in os.listdir(tmp_path) if n.startswith(".saving")]
    assert not os.path.exists(tmp_path / "y.safetensors")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(prefix)


@pytest.mark.parametrize("length", [1, 8, 9, 16, 24, 25])
def test_a_heap_is_walked_object_by_object(length, tmp_path):
    """An object of any length is padded to 8 bytes; the free space has its own size."""
    header = "<HH4xQ"
    content = struct.pack(header, 1, 1, length) + b"\xff" * (-(-length // 8) * 8)

    def check(free):
        rest = struct.pack(header, 0, 0, free) + bytes(16)
        size = 16 + len(content) + len(rest)
        path = tmp_path / "heap"
        path.write_bytes(b"GCOL\x01\0\0\0" + struct.pack("<Q", size) + content + rest)
        with path.open("rb") as file:
            check_heaps(file)

    check(32)
    for damaged in (0, 15):
        with pytest.raises(ValueError, match="a heap in it has no end"):
            check(damaged)
