"""Logits and stage outputs equal timm's; see tests/golden/README.md."""

import json
import struct

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import mapping
from slimnets.rows.arg_scopes import torch_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.residual import blocks_of, residual_row, root
from slimnets.units import bottleneck_v1
from tests.helpers import GOLDEN, assert_close

DTYPES = {"F32": np.float32, "I64": np.int64}


def tiny(table, groups=1, base_width=64):
    widths = {"groups": groups, "base_width": base_width}
    return residual_row(
        "tiny",
        blocks_of(table, bottleneck_v1, **widths),
        "A small network.",
        root=root(pool="lowest"),
        unit_options=(("groups", groups),),
        arg_scope=torch_arg_scope,
        weights="torch",
    )


ROWS = {
    "resnet_bottleneck": tiny(((8, 2, 1), (16, 1, 2), (24, 2, 2), (32, 1, 2))),
    "resnext": tiny(((8, 1, 1), (16, 2, 2), (24, 1, 2), (32, 1, 2)), 4, 32),
}


def state_dict(path):
    """Reads .safetensors: a length, a JSON header, then the values."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    values = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        values[name] = np.frombuffer(data[start:end], DTYPES[entry["dtype"]]).reshape(
            entry["shape"]
        )
    return values


@pytest.mark.parametrize("name", ROWS)
def test_logits_and_stage_outputs_equal_timms(name):
    state = state_dict(GOLDEN / "torch" / f"{name}.safetensors")
    expected = dict(np.load(GOLDEN / "torch" / f"{name}.npz"))
    row = ROWS[name]
    model = slimnets.Model(network_of(row), num_classes=len(state["fc.bias"]))
    images = tf.transpose(expected["images_nchw"], [0, 2, 3, 1])
    model.build(images.shape)
    variables = {
        key.removeprefix("tiny/"): v for key, v in model.variables_by_name.items()
    }
    foreign = mapping.foreign_names(variables, "torch")
    used = {entry.name for entry in foreign.values()}
    assert used == {key for key in state if "num_batches_tracked" not in key}
    for key, variable in variables.items():
        variable.assign(foreign[key].to_slimnets(state[foreign[key].name]))

    assert_close(model(images), expected["logits"], 1e-4)
    end_points = model.end_points(images)
    stages = {key: value for key, value in expected.items() if value.ndim == 4}
    checked = 0
    for key, value in stages.items():
        number = "".join(c for c in key if c.isdigit())
        if key.startswith("stage") and number != "0":
            actual = tf.transpose(end_points[f"block{number}"], [0, 3, 1, 2])
            assert_close(actual, value, 1e-4)
            checked += 1
    assert checked >= 4
