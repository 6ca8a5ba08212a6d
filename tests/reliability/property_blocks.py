"""stack_blocks equals plain NumPy, at every output stride, for whatever is drawn."""

import itertools
import math

import numpy as np
import pytest
import tf_slim

import slimnets
from slimnets import layers
from tests.helpers import v1
from tests.reliability import reference
from tests.reliability.properties import SMALL, assert_near, run_cases, st


def all_of(rows):
    return list(itertools.chain.from_iterable(rows))


@st.composite
def stacks(draw):
    strides = [
        draw(st.lists(st.sampled_from((1, 1, 2, 3)), min_size=1, max_size=3))
        for _ in range(draw(SMALL))
    ]
    reachable = sorted(set(itertools.accumulate([1, *all_of(strides)], int.__mul__)))
    return {
        "strides": strides,
        "depths": [draw(SMALL) for _ in all_of(strides)],
        "shape": (1, draw(st.integers(1, 20)), draw(st.integers(1, 20)), 2),
        "output_stride": draw(st.sampled_from((None, *reachable))),
        "store": draw(st.booleans()),
        "reachable": reachable,
        "seed": draw(st.integers(0, 99)),
    }


def unit(net, depth, stride, rate):
    return slimnets.conv2d_same(
        net, depth, 3, stride, rate=rate, activation_fn=None,
        biases_initializer=None, scope="conv",
    )  # fmt: skip


def stack(x, case, i):
    depths = iter(case["depths"])
    blocks = [
        slimnets.Block(
            f"block{j}", unit, [{"depth": next(depths), "stride": s} for s in row]
        )
        for j, row in enumerate(case["strides"])
    ]
    unreachable = next(n for n in itertools.count(1) if n not in case["reachable"])
    with pytest.raises(ValueError, match=f"{unreachable} cannot be reached"):
        slimnets.stack_blocks(x, blocks, output_stride=unreachable)
    collection = f"ends{i}"
    with (
        v1.variable_scope(f"net{i}"),
        slimnets.arg_scope(
            [layers.conv2d, slimnets.stack_blocks], outputs_collections=collection
        ),
    ):
        net = slimnets.stack_blocks(
            x, blocks, output_stride=case["output_stride"],
            store_non_strided_activations=case["store"],
        )  # fmt: skip
    ends = tf_slim.utils.convert_collection_to_dict(collection)
    return net, dict(ends), v1.global_variables(f"net{i}/")


def check_stacks(cases):
    for i, (case, x, (net, ends, weights)) in enumerate(run_cases(cases, stack)):
        strides = all_of(case["strides"])
        nominal = math.prod(strides)
        reached = case["output_stride"] or nominal
        units = list(zip(weights, strides, strict=True))
        outputs = reference.stacked(x, units, reached)
        sizes = reference.stacked(
            np.abs(x), [(np.abs(w), s) for w, s in units], reached
        )
        assert_near(net, outputs[-1], sizes[-1], "float32")
        assert net.shape[1:3] == tuple(-(-side // reached) for side in x.shape[1:3])
        # Denser than the nominal network, and at its places equal to it.
        plain = reference.stacked(x, units)[-1]
        every = nominal // reached
        assert_near(
            net[:, ::every, ::every], plain, sizes[-1][:, ::every, ::every], "float32"
        )
        names = [
            f"net{i}/block{j}/unit_{k}/conv"
            for j, row in enumerate(case["strides"])
            for k, _ in enumerate(row, start=1)
        ]
        blocks = [f"net{i}/block{j}" for j, _ in enumerate(case["strides"])]
        assert set(ends) == {*names, *blocks}
        last = np.cumsum([len(row) for row in case["strides"]]) - 1
        for block, place in zip(blocks, last, strict=True):
            end = ends[block]
            np.testing.assert_array_equal(end, ends[names[place]])
            after = strides[place] if case["store"] else 1
            if end.shape != outputs[place].shape:
                assert case["store"]
                end = end[:, ::after, ::after]
            assert_near(end, outputs[place], sizes[place], "float32")


PROPERTIES = {"stack_blocks": (stacks(), check_stacks)}
