"""Every registered network of images, times every behaviour, in a thin form."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.rows.builder import network_of
from tests.helpers import assert_close, of_each_kind, run_graph, v1
from tests.nets.slim_networks import HEAVY, IMAGES, row_of, size_of, thin_options

# Of each kind of wiring; all others' tests are slow.
QUICK = (
    "resnet_v1_50", "resnet_v2_18", "vgg_a", "lenet", "inception_v1", "mobilenet_v1",
    "mobilenet_v3_small", "convnext_tiny",
)  # fmt: skip
KINDS = of_each_kind(IMAGES, QUICK)
# Sigmoid is swish's, and Erfc GELU's, in TensorFlow 2.16 Erf.
ACTIVATIONS = {"Relu", "Relu6", "Sigmoid", "Erf", "Erfc"}


@functools.cache
def thin(name):
    """The network with at most two units a stage and few channels."""
    row = row_of(name)
    options = dict(thin_options(name))
    if row.collects_layers:
        options.setdefault("depth_multiplier", 0.25)
    elif name not in HEAVY and not options:
        options["depth_multiplier"] = 0.25
    if row.vary is None or row.collects_layers:
        row = row.thin()
    return functools.partial(network_of(row), **options)


def images_of(name, size=None, batch=2):
    size = size or (size_of(name) if size_of(name) < 64 else 139)
    if name in HEAVY:
        size = size_of(name)
    return v1.placeholder(tf.float32, [batch, size, size, 3])


def built(name, **options):
    """The graph, the outputs and the end points."""
    with tf.Graph().as_default() as graph:
        net, end_points = thin(name)(images_of(name), **options)
    return graph, net, end_points


def names_in(graph, collection=v1.GraphKeys.GLOBAL_VARIABLES):
    return [variable.op.name for variable in graph.get_collection(collection)]


@pytest.mark.parametrize("name", KINDS)
def test_group_norm_leaves_no_batch_norm(name):
    if not row_of(name).normalized:
        with pytest.raises(ValueError, match="it has no norms"):
            built(name, norm="group")
        return
    graph, _, _ = built(name, norm="group")
    names = names_in(graph)
    assert not [n for n in names if "moving_" in n or "BatchNorm" in n]
    plain, _, _ = built(name)
    gammas = [n for n in names_in(plain) if n.endswith("beta")]
    assert len([n for n in names if n.endswith("beta")]) == len(gammas)


@pytest.mark.parametrize("name", KINDS)
def test_a_frozen_norm_neither_trains_nor_moves(name):
    if not row_of(name).normalized:
        return
    graph, _, _ = built(name, norm="frozen", is_training=True)
    assert not graph.get_collection(v1.GraphKeys.UPDATE_OPS)
    trainable = names_in(graph, v1.GraphKeys.TRAINABLE_VARIABLES)
    assert not [n for n in trainable if n.endswith(("beta", "gamma"))]


def swapped(inputs):
    return tf.nn.elu(inputs)


@pytest.mark.parametrize("name", KINDS)
def test_an_activation_takes_the_place_of_all_of_the_familys_own(name):
    plain, _, _ = built(name, num_classes=3, is_training=True)
    graph, _, _ = built(name, num_classes=3, is_training=True, activation_fn=swapped)
    kept = [
        op.name
        for op in graph.get_operations()
        if op.type in ACTIVATIONS and not gate(op)
    ]
    assert not kept
    elus = sum(op.type == "Elu" for op in graph.get_operations())
    assert elus == sum(
        op.type in ACTIVATIONS and not gate(op) for op in plain.get_operations()
    )


def gate(op):
    """Whether an activation is part of a gate of squeeze-and-excitation."""
    return "squeeze_excite/Conv_1" in op.name or "se/fc2" in op.name


@pytest.mark.parametrize("name", KINDS)
def test_frozen_stages_do_not_train(name):
    graph, _, _ = built(name, freeze_at=1, is_training=True)
    scope = row_of(name).scope_name
    trainable = names_in(graph, v1.GraphKeys.TRAINABLE_VARIABLES)
    root = [layer.name for layer in row_of(name).root]
    prefixes = tuple(f"{scope}/{layer}/" if scope else f"{layer}/" for layer in root)
    if not root:
        return
    assert prefixes and not [n for n in trainable if n.startswith(prefixes)]
    assert [n for n in names_in(graph) if n.startswith(prefixes)] and trainable
    every = len(row_of(name).stages) + 1
    with pytest.raises(ValueError, match=f"freeze_at={every + 1}; .*up to {every} "):
        built(name, freeze_at=every + 1)


@pytest.mark.parametrize("name", [k for k in KINDS if k.values[0] not in HEAVY])
def test_recomputing_gives_the_same_gradients(name, rng):
    def gradients(recompute):
        def build():
            images = tf.constant(values)
            net, _ = thin(name)(
                images,
                num_classes=None,
                is_training=not draws,
                dropout_keep_prob=1.0,
                recompute=recompute,
            )
            return tf.gradients(tf.reduce_sum(net * net), v1.trainable_variables())

        return run_graph(build)

    # Some draw at random in training, whatever they are told.
    draws = name.startswith(("wrn", "nasnet", "pnasnet"))
    size = size_of(name) if size_of(name) < 64 else 75
    values = rng.normal(size=(2, size, size, 3)).astype(np.float32)
    plain, again = gradients(False), gradients(True)
    largest = max(np.abs(value).max() for value in plain)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * largest)


@pytest.mark.parametrize("name", KINDS)
def test_drop_path_drops_or_says_why_not(name):
    residual = not name.startswith(
        (*HEAVY, "lenet", "cifarnet", "mobilenet_v1", "inception_v", "densenet")
    )
    if not residual:
        with pytest.raises(ValueError, match="no residual branch"):
            built(name, drop_path_rate=0.2)
        return
    graph, _, _ = built(name, drop_path_rate=0.2, is_training=True, num_classes=None)
    assert [op for op in graph.get_operations() if "drop_path" in op.name]
    with pytest.raises(ValueError, match=r"0 <= rate < 1|drop_path_rate=1"):
        built(name, drop_path_rate=1.5)


@pytest.mark.parametrize("name", KINDS)
def test_depths_are_scaled(name):
    if name in HEAVY or "nasnet" in name:
        return
    shapes = [
        {v.op.name: v.shape.as_list() for v in graph.get_collection("variables")}
        for graph in (
            built(name, num_classes=None, depth_multiplier=factor)[0]
            for factor in (0.25, 0.5)
        )
    ]
    assert shapes[0] != shapes[1]
    common = shapes[0].keys() & shapes[1].keys()
    pairs = [zip(shapes[0][key], shapes[1][key], strict=True) for key in common]
    assert all(small <= large for pair in pairs for small, large in pair)


@pytest.mark.parametrize("name", KINDS)
def test_a_final_endpoint_ends_the_network(name):
    _, _, every = built(name, num_classes=None)
    keys = [key for key in every if "/" not in key.removeprefix(every.scope + "/")]
    wanted = keys[len(keys) // 2]
    _, net, some = built(name, final_endpoint=wanted)
    assert some[wanted] is net and len(some) <= len(every)
    with pytest.raises(ValueError, match="unknown final endpoint 'block99'"):
        built(name, final_endpoint="block99")


PADDED = [kind for kind in KINDS if not slimnets.feature_info(kind.values[0])[-1].exact]


@pytest.mark.parametrize("name", PADDED)
def test_with_padding_sizes_are_whole_strides(name):
    options = {"padding": "SAME", **thin(name).keywords}
    infos = slimnets.feature_info(thin(name).func, **options)
    assert all(info.exact for info in infos)
    with tf.Graph().as_default():
        _, end_points = thin(name)(
            images_of(name, 97), num_classes=None, padding="SAME", is_training=False,
            final_endpoint=infos[-1].end_point,
        )  # fmt: skip
    for info in infos:
        assert end_points[info.level].shape[1] == -(-97 // info.stride)


def test_no_argument_of_all_networks_is_unknown_to_one():
    wanted = {
        "num_classes", "is_training", "output_stride", "norm", "activation_fn",
        "depth_multiplier", "drop_path_rate", "freeze_at", "recompute",
        "final_endpoint", "reuse", "scope",
    }  # fmt: skip
    for name in IMAGES:
        missing = wanted - set(row_of(name).signature.parameters)
        assert not missing, f"{name}: {missing}"
        assert slimnets.network_info(name).default_image_size, name


@pytest.mark.parametrize("name", ["mobilenet_v1", "inception_v3", "vgg_a", "resnet18"])
def test_a_model_without_classes_gives_features(name):
    model = slimnets.Model(thin(name).func, num_classes=None, **thin(name).keywords)
    size = 224 if name == "vgg_a" else 139
    model.build([1, size, size, 3])
    assert not [v for v in model.variables if "ogits" in v.name or "fc8" in v.name]


def test_a_norm_may_be_a_function():
    norm = functools.partial(layers.group_norm, groups=2)
    graph, _, _ = built("mobilenet_v2", norm=norm)
    assert not [n for n in names_in(graph) if "moving_" in n]


def traced_unit(inputs, depth, stride=1, rate=1):
    """A user's own unit, which says nothing of itself."""
    net = layers.conv2d(inputs, depth, 5, stride=stride, scope="a")
    return layers.conv2d(net, depth, 3, rate=rate, scope="b")


def test_a_units_of_ones_own_is_traced_for_its_levels():
    from slimnets.rows.residual import residual_row, root
    from slimnets.rows.stage import Stage

    row = residual_row(
        "mine",
        (Stage("block1", traced_unit, 1, 1, 8), Stage("block2", traced_unit, 1, 2, 16)),
        "My network.",
        root=root((8, 3, 2), pool=None),
    )
    infos = slimnets.feature_info(network_of(row))
    assert [(i.level, i.channels, i.receptive_field) for i in infos] == [
        ("C1", 8, 3 + 2 * 6), ("C2", 16, 15 + 2 * 4 + 4 * 2),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["vgg_a", "inception_v1"])
def test_a_denser_pooled_network_subsampled_is_the_nominal_one(name, rng):
    images = rng.normal(size=(1, 65, 65, 3)).astype(np.float32)
    last = slimnets.feature_info(name)[-1].end_point.rpartition("/")[2]

    def build():
        nets = []
        for stride in (None, 8):
            _, end_points = network_of(row_of(name))(
                images, num_classes=None, is_training=False, output_stride=stride,
                depth_multiplier=0.25, final_endpoint=last, scope="net",
                reuse=v1.AUTO_REUSE,
            )  # fmt: skip
            nets.append(end_points[last])
        return nets

    nominal, dense = run_graph(build)
    found = dense[:, ::4, ::4][:, : nominal.shape[1], : nominal.shape[2]]
    assert_close(found, nominal, 1e-4)
