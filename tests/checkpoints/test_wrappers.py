"""What wrappers put before all names is taken off, in every format."""

import h5py
import numpy as np
import pytest

from slimnets.checkpoints import load_weights, save_weights
from slimnets.checkpoints.wrappers import wrapper_of
from tests.checkpoints.test_checkpoints import Network, assert_equal
from tests.checkpoints.test_readers import write_arrays

ARRAYS = {"conv/kernel": np.float32([[1, 2]]), "conv/bias": np.float32([3])}


def write_npz(path, arrays):
    np.savez(path, **arrays)


def write_h5(path, arrays):
    layers = sorted({name.rpartition("/")[0] for name in arrays})
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer in layers:
            names = [name for name in arrays if name.startswith(f"{layer}/")]
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{name}:0".encode() for name in names]
            for name in names:
                group[f"{name}:0"] = arrays[name]


def write_pth(path, arrays):
    torch = pytest.importorskip("torch")
    torch.save({n: torch.from_numpy(np.array(a)) for n, a in arrays.items()}, path)


WRITERS = {
    "x.safetensors": write_arrays,
    "x.npz": write_npz,
    "x.h5": write_h5,
    "x.pth": write_pth,
    "x.ckpt": save_weights,
}


@pytest.mark.parametrize("wrapper", ["module/", "net/_orig_mod/"])
@pytest.mark.parametrize("file", WRITERS)
def test_wrappers_are_taken_off_in_every_format(tmp_path, file, wrapper):
    separator = "." if file.endswith((".safetensors", ".pth")) else "/"
    arrays = {n.replace("/", separator): a for n, a in ARRAYS.items()}
    wrapped = {wrapper.replace("/", separator) + n: a for n, a in arrays.items()}
    WRITERS[file](tmp_path / file, wrapped)
    network = Network({name: a.shape for name, a in arrays.items()})
    assert load_weights(tmp_path / file, network).complete
    assert_equal(network.values(), arrays)
    # Where the variables have the wrapper too, or one of two, it stays.
    for kept in (wrapper, wrapper.partition("/")[2]):
        kept = kept.replace("/", separator)
        network = Network({kept + name: a.shape for name, a in arrays.items()})
        assert load_weights(tmp_path / file, network).complete
        assert_equal(network.values(), {kept + n: a for n, a in arrays.items()})


@pytest.mark.parametrize(
    ("names", "wrapper"),
    [
        (["module.a.b", "module.c"], "module."),
        (["module.model.a.b", "module.a"], "module."),
        (["modules.a", "modules.b"], ""),
        (["model.a", "fc.b"], ""),
        (["net", "net"], ""),
        ([], ""),
    ],
)
def test_only_what_all_names_have_is_a_wrapper(names, wrapper):
    assert wrapper_of(dict.fromkeys(names, (1,))) == wrapper
    assert wrapper_of({**dict.fromkeys(names, (1,)), "count": ()}) == wrapper
