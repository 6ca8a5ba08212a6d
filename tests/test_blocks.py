"""Laws of stride and rate, over odd and even sizes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_slim

import slimnets
from slimnets import end_points, layers, units
from slimnets.blocks import plan_blocks
from slimnets.end_points import EndPoints
from slimnets.nets import resnet_utils, resnet_v1, resnet_v2
from tests.helpers import assert_close, run_graph, v1


def product(*values):
    return list(itertools.product(*values))


SIZES, STRIDES, RATES = (7, 8), (1, 2, 3, 4), (1, 2, 3)


@pytest.mark.parametrize("size,stride,rate", product(SIZES, STRIDES, RATES))
def test_strided_conv_equals_dense_conv_then_subsample(size, stride, rate, rng):
    images = rng.normal(size=(2, size, size + 3, 2)).astype(np.float32)

    def build():
        strided = slimnets.conv2d_same(images, 3, 3, stride, rate=rate, scope="c")
        dense = layers.conv2d(images, 3, 3, rate=rate, scope="c", reuse=True)
        dense = slimnets.subsample(dense, stride)
        weights = v1.trainable_variables()
        return (
            strided,
            dense,
            [tf.gradients(tf.reduce_sum(net**2), weights) for net in (strided, dense)],
        )

    strided, dense, gradients = run_graph(build)
    assert strided.shape == (2, -(-size // stride), -(-(size + 3) // stride), 3)
    assert_close(strided, dense)
    for a, b in zip(*gradients, strict=True):
        assert_close(a, b, 1e-4)


@pytest.mark.parametrize("size,factor", product(range(1, 8), STRIDES))
def test_subsample_keeps_every_nth(size, factor, rng):
    images = rng.normal(size=(1, size, size, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        run_graph(lambda: slimnets.subsample(tf.constant(images), factor)),
        images[:, ::factor, ::factor],
    )


def tiny_blocks(version, strides=(2, 2, 2, 1)):
    module = {1: resnet_v1, 2: resnet_v2}[version]
    make_block = getattr(module, f"resnet_v{version}_block")
    return [
        make_block(f"block{i}", base, num_units, stride)
        for i, (base, num_units, stride) in enumerate(
            zip((2, 3, 4, 5), (2, 1, 2, 1), strides, strict=True), start=1
        )
    ]


def tiny(images, version, **kwargs):
    module = {1: resnet_v1, 2: resnet_v2}[version]
    network = getattr(module, f"resnet_v{version}")
    return network(images, tiny_blocks(version), is_training=None, **kwargs)


def randomized_statistics():
    """Moving averages other than 0 and 1, so that a misplaced one shows."""
    uniform = v1.random_uniform_initializer(0.5, 1.5, seed=1)
    inits = dict.fromkeys(("moving_mean", "moving_variance", "gamma", "beta"), uniform)
    return slimnets.arg_scope(
        [layers.batch_norm], param_initializers=inits, is_training=False
    )


@pytest.mark.parametrize(
    "version,size,stride",
    [
        (1, 33, 8),
        (1, 48, 4),
        (2, 65, 8),
        (2, 48, 16),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in product((1, 2), (33, 48, 65), (4, 8, 16))
        ),
    ],
)
def test_a_denser_output_subsampled_equals_the_nominal_one(version, size, stride, rng):
    images = rng.normal(size=(1, size, size - 4, 3)).astype(np.float32)

    def build():
        with randomized_statistics():
            nominal, _ = tiny(images, version, global_pool=False, scope="net")
            dense, _ = tiny(
                images,
                version,
                global_pool=False,
                output_stride=stride,
                scope="net",
                reuse=True,
            )
        return nominal, slimnets.subsample(dense, 32 // stride), dense

    nominal, subsampled, dense = run_graph(build)
    assert dense.shape[1] == -(-size // stride)
    assert_close(subsampled, nominal)


@pytest.mark.parametrize("version,stride", [(1, None), (1, 8), (2, 4), (2, 32)])
def test_non_strided_activations_leave_the_logits_unchanged(version, stride, rng):
    images = rng.normal(size=(1, 64, 65, 3)).astype(np.float32)

    def build():
        nets = []
        with randomized_statistics():
            for store in (False, True):
                nets.append(
                    tiny(
                        images,
                        version,
                        num_classes=5,
                        output_stride=stride,
                        store_non_strided_activations=store,
                        scope="net",
                        reuse=store,
                    )
                )
        (plain, _), (stored, end_points) = nets
        return plain, stored, [end_points[f"block{i}"] for i in range(1, 5)]

    plain, stored, ends = run_graph(build)
    assert_close(stored, plain)
    strides = [min(s, stride or 32) for s in (4, 8, 16, 32)]
    assert [e.shape[1] for e in ends] == [64 // s for s in strides]


def test_stack_blocks_equals_tf_slims_atrous_arithmetic():
    """A recording unit function sees the strides and rates of TF-Slim's docstring."""
    seen = []

    def unit(net, stride=1, rate=1):
        seen.append((stride, rate))
        return net

    def calls(**kwargs):
        seen.clear()
        units = [{"stride": s} for s in (1, 2, 1, 3, 4, 1)]
        blocks = [
            slimnets.Block("a", unit, units[:2]),
            slimnets.Block("b", unit, units[2:]),
        ]
        with tf.Graph().as_default():
            net = v1.placeholder(tf.float32, [1, 24, 24, 1])
            slimnets.stack_blocks(net, blocks, **kwargs)
        return list(seen)

    nominal = [(s, 1) for s in (1, 2, 1, 3, 4, 1)]
    assert calls() == calls(output_stride=24) == nominal
    assert calls(output_stride=6) == [*nominal[:4], (1, 1), (1, 4)]
    assert calls(output_stride=2) == [*nominal[:2], (1, 1), (1, 1), (1, 3), (1, 12)]
    assert calls(output_stride=1) == [(1, r) for r in (1, 1, 2, 2, 6, 24)]
    with pytest.raises(ValueError, match=r"output_stride=5 .*\[1, 2, 6, 24\]"):
        calls(output_stride=5)


def test_tuple_units_and_dict_units_build_the_same():
    def names(units_):
        with tf.Graph().as_default():
            net = v1.placeholder(tf.float32, [1, 8, 8, 4])
            block = slimnets.Block("block1", units.bottleneck_v2, units_)
            net = slimnets.stack_blocks(net, [block])
            return net.shape, [(v.op.name, v.shape) for v in v1.global_variables()]

    keys = ("depth", "depth_bottleneck", "stride")
    rows = [(8, 2, 1), (8, 2, 2)]
    assert names(rows) == names([dict(zip(keys, row, strict=True)) for row in rows])
    assert names(rows) == names([{"depth": 8, "depth_bottleneck": 2}, rows[1]])


def test_a_block_has_tf_slims_names_too():
    block = slimnets.Block(scope="b", unit_fn=units.bottleneck_v2, args=[(4, 1, 1)])
    assert block == slimnets.Block("b", units.bottleneck_v2, [(4, 1, 1)])
    name, unit_fn, rows = block
    assert (block.name, block.scope, block.args) == (name, name, rows)
    assert block._replace(name="c").scope == "c" and unit_fn is units.bottleneck_v2


@pytest.mark.parametrize("unit", [(1, 2), "abc", 5, {"stride": 0}, (4, 1, 1.5)])
def test_what_is_not_a_unit_raises(unit):
    with pytest.raises(ValueError, match="'b'"):
        slimnets.Block("b", units.bottleneck_v2, [unit]).unit_kwargs()


def test_one_block_of_one_unit_is_an_ordinary_case():
    with tf.Graph().as_default():
        net = v1.placeholder(tf.float32, [None, None, None, 3])
        blocks = [resnet_v2.resnet_v2_block("only", 2, 1, 1)]
        net, end_points = resnet_v2.resnet_v2(net, blocks, 4, scope="net")
        assert net.shape.as_list() == [None, 4]
        assert "only" in end_points and "net/only/unit_1/bottleneck_v2" in end_points


def test_outputs_collections_as_in_tf_slim():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 16, 16, 3])
        with (
            slimnets.arg_scope(
                [layers.conv2d, units.bottleneck_v2, resnet_utils.stack_blocks_dense],
                outputs_collections="collected",
            ),
            v1.variable_scope("outer"),
        ):
            net = slimnets.conv2d_same(images, 8, 3, 2, scope="conv1")
            net = resnet_utils.stack_blocks_dense(net, tiny_blocks(2)[:1])
        found = tf_slim.utils.convert_collection_to_dict("collected")
    unit = "outer/block1/unit_1/bottleneck_v2"
    assert list(found)[:3] == ["outer/conv1", f"{unit}/conv1", f"{unit}/conv2"] or (
        list(found)[:2] == ["outer/conv1", f"{unit}/conv1"]
    )
    assert list(found)[-1] == "outer/block1" and found["outer/block1"] is net


def test_a_callers_collections_are_filled_beside_the_networks_own():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 33, 33, 3])
        with slimnets.arg_scope([layers.conv2d], outputs_collections="mine"):
            _, end_points = tiny(images, 2, num_classes=2, scope="net")
        mine = tf_slim.utils.convert_collection_to_dict("mine")
    assert "net/logits" in mine and "net/block1" not in mine
    assert end_points["net/logits"] is mine["net/logits"]


@pytest.mark.parametrize("version", (1, 2))
def test_unknown_sizes_build_and_any_number_of_channels(version):
    with tf.Graph().as_default():
        for channels in (1, 3, 5):
            images = v1.placeholder(tf.float32, [None, None, None, channels])
            net, _ = tiny(images, version, num_classes=2, scope=f"net{channels}")
            assert net.shape.as_list() == [None, 2]
        shapes = [
            v.shape.as_list()
            for v in v1.global_variables()
            if v.op.name.endswith(("net1/conv1/weights", "net5/conv1/weights"))
        ]
    assert shapes == [[7, 7, 1, 64], [7, 7, 5, 64]]


def test_a_unit_that_cannot_be_added_says_so():
    with tf.Graph().as_default():
        net = v1.placeholder(tf.float32, [1, 8, 8, 4])
        block = slimnets.Block(
            "block1",
            units.bottleneck_v1,
            [{"depth": 6, "depth_bottleneck": 2, "conv_shortcut": False}],
        )
        with pytest.raises(ValueError) as caught:
            slimnets.stack_blocks(net, [block])
    message = str(caught.value)
    for word in (
        "block1/unit_1",
        "8, 8, 4",
        "8, 8, 6",
        "nothing is broadcast or padded",
    ):
        assert word in message


def test_blocks_without_a_name_keep_their_strides():
    """They have no end point that could have the resolution before the last stride."""

    def scaled_by_stride(net, stride, rate=1):
        return slimnets.subsample(net, stride)

    blocks = [slimnets.Block(n, scaled_by_stride, [{"stride": 2}]) for n in ("", "b")]
    end_points = slimnets.EndPoints()
    with tf.Graph().as_default():
        net = v1.placeholder(tf.float32, [1, 16, 16, 1])
        net = slimnets.stack_blocks(
            net, blocks, store_non_strided_activations=True,
            outputs_collections=end_points,
        )  # fmt: skip
    assert net.shape.as_list() == [1, 4, 4, 1]
    assert end_points["b"].shape.as_list() == [1, 8, 8, 1]


def test_nothing_is_built_behind_the_final_end_point():
    blocks = [slimnets.Block(n, units.basic_v1, [{"depth": 4}]) for n in ("a", "b")]
    end_points = slimnets.EndPoints()
    with tf.Graph().as_default():
        net = slimnets.stack_blocks(
            v1.placeholder(tf.float32, [1, 8, 8, 4]), blocks,
            outputs_collections=end_points, final_endpoint="a",
        )  # fmt: skip
        assert net is end_points["a"]
        assert all(v.op.name.startswith("a/") for v in v1.global_variables())


def test_a_unit_without_a_stride_has_stride_1_wherever_that_is_moved():
    block = slimnets.Block("block", units.basic_v1, [{"depth": 4}])
    for store in (False, True):
        (planned,) = plan_blocks([block], store_non_strided_activations=store)
        assert planned.subsample == 1
        assert [unit.output_stride for unit in planned.units] == [1]


def test_a_collection_of_the_graph_gets_what_tf_slim_would_leave_there():
    """What is collected further is an `EndPoints`' own; eagerly there is no graph."""
    ends = EndPoints()
    with tf.Graph().as_default():
        first, second = tf.zeros([1]), tf.zeros([2])
        end_points.collect(["mine", ends], "net/first/", first)
        end_points.collect(["mine", ends], "net/second", second, further=True)
        assert v1.get_collection("mine") == [first] and first.aliases == ["net/first"]
        assert ends["net/second"] is second
    value = tf.zeros([3])
    assert end_points.collect("mine", "net/third", value) is value
    assert not v1.get_collection("mine")


@pytest.mark.parametrize(
    "options",
    [
        {}, {"fused": True}, {"padding": "EVEN"}, {"squeeze_ratio": 0.25},
        {"start_kernel": 5}, {"start_kernel": 5, "kernel": 0},
    ],
    ids=str,
)  # fmt: skip
def test_an_inverted_residual_has_its_stride_once(options):
    for expansion, stride in itertools.product((1, 4), (1, 2)):
        assert_strided(units.inverted_residual, stride, 8, expansion, **options)


@pytest.mark.parametrize("expansion", [1, 4])
def test_a_fused_inverted_residual_has_its_stride_once(expansion):
    for depth, stride in itertools.product((8, 12), (1, 2)):
        assert_strided(units.fused_inverted_residual, stride, depth, expansion)


def assert_strided(unit_fn, stride, depth, expansion, **options):
    """The outputs have their size and depth; a shortcut only where nothing changes."""
    with tf.Graph().as_default() as graph:
        images = v1.placeholder(tf.float32, [None, 9, 10, 8])
        net = unit_fn(images, depth, stride, expansion=expansion, **options)
        added = [op for op in graph.get_operations() if op.type in ("Add", "AddV2")]
    assert net.shape[1:] == (-(-9 // stride), -(-10 // stride), depth)
    shortcuts = [op for op in added if images in op.inputs]
    assert len(shortcuts) == (stride == 1 and depth == 8)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_an_atrous_pool_is_that_of_every_other_pixel(kind, padding, kernel, rng):
    x = rng.normal(size=(2, 8, 10, 3)).astype(np.float32)
    pool = units.Pool("pool", kernel, padding=padding, kind=kind)
    shapes = []

    def build():
        dense = pool.build(tf.constant(x), 1, 2, 2)
        shapes.append(dense.shape.as_list())
        parts = [
            (dense[:, i::2, j::2], pool.build(tf.constant(x[:, i::2, j::2]), 1, 1, 1))
            for i, j in itertools.product(range(2), repeat=2)
        ]
        return dense, parts

    found, parts = run_graph(build)
    assert shapes == [list(found.shape)]
    for ours, expected in parts:
        assert_close(ours, expected)
