"""Names and numbers equal TF-Slim's; see tests/golden/README.md."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.nets import resnet_v1, resnet_v2
from tests.helpers import GOLDEN, assert_close, of_each_kind, run_graph, v1

MANIFEST = json.loads((GOLDEN / "slim_resnets.json").read_text())
ROWS = ((4, 3, 2), (6, 2, 2), (8, 2, 2), (10, 2, 1))

# REFERENCES: TF-Slim, 1001 classes: trainable, all, variables.
COUNTS = {
    "resnet_v1_50": (25_559_081, 25_612_201, 267),
    "resnet_v1_101": (44_551_209, 44_656_553, 522),
    "resnet_v2_50": (25_570_409, 25_615_849, 272),
    "resnet_v2_101": (44_579_945, 44_677_609, 544),
}


def tiny(inputs, num_classes=None, is_training=False, *, version):
    module = {1: resnet_v1, 2: resnet_v2}[version]
    make_block = getattr(module, f"resnet_v{version}_block")
    blocks = [
        make_block(f"block{i}", base_depth=base, num_units=units, stride=stride)
        for i, (base, units, stride) in enumerate(ROWS, start=1)
    ]
    with slimnets.arg_scope(module.resnet_arg_scope()):
        return getattr(module, f"resnet_v{version}")(
            inputs,
            blocks,
            num_classes,
            is_training=is_training,
            spatial_squeeze=False,
            scope="resnet_tiny",
        )


def load(name):
    folder = GOLDEN / name
    expected = dict(np.load(folder / "expected.npz"))
    version = 1 if "v1" in name else 2
    return folder / "model.ckpt", expected, functools.partial(tiny, version=version)


def shape_of(tensor):
    return tensor.shape.as_list()


@pytest.mark.parametrize(
    "name", of_each_kind(MANIFEST, ("resnet_v1_50", "resnet_v2_50"))
)
def test_names_shapes_and_order_equal_tf_slims(name):
    expected = MANIFEST[name]
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 224, 224, 3])
        _, end_points = slimnets.build(
            name, images, num_classes=1001, is_training=True, spatial_squeeze=False
        )
        variables = {v.op.name: shape_of(v) for v in v1.global_variables()}
        trainable = [v.op.name for v in v1.trainable_variables()]
        model_variables = v1.get_collection(v1.GraphKeys.MODEL_VARIABLES)
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
    assert list(variables.items()) == list(expected["variables"].items())
    assert trainable == expected["trainable"]
    assert len(model_variables) == len(variables)
    moving = [n for n in variables if "/moving_" in n]
    assert len(updates) == len(moving)

    shapes = {key: shape_of(value) for key, value in end_points.items()}
    wanted = expected["end_points_224"]
    assert {key: shapes.get(key) for key in wanted} == wanted
    extra = {key.rpartition("/")[2] for key in set(shapes) - set(wanted)}
    assert extra <= {"pool1", "preact", "postnorm", "global_pool"}
    assert [key for key in shapes if key in wanted] == list(wanted)

    if name in COUNTS:
        sizes = {name: int(np.prod(shape)) for name, shape in variables.items()}
        counted = sum(sizes[n] for n in trainable), sum(sizes.values()), len(sizes)
        assert counted == COUNTS[name]


@pytest.mark.parametrize("name", ["slim_tiny_v1", "slim_tiny_v2", "slim_tiny_v2_train"])
def test_graph_code_restores_and_computes_what_tf_slim_does(name):
    checkpoint, expected, network = load(name)
    training = name.endswith("train")

    def build():
        images = tf.constant(expected["images"])
        classes = expected["logits"].shape[-1]
        logits, end_points = network(images, classes, is_training=training)
        reg = tf.add_n(v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES))
        return {"logits": logits, "reg": reg, "ep": dict(end_points)}

    check_outputs(run_graph(build, checkpoint), expected, training)


def check_outputs(values, expected, training):
    # Statistics of a batch of few positions pass on the rounding of sums, which differs
    # from processor to processor.
    rtol = 1e-4 if training else 1e-5
    assert_close(values["logits"], expected["logits"], rtol)
    assert_close(values["reg"], expected["reg"])
    keys = [key[3:] for key in expected if key.startswith("ep:")]
    assert len(keys) > 40
    for key in keys:
        assert_close(values["ep"][key], expected["ep:" + key], rtol)


def test_graph_code_updates_moving_averages_as_tf_slim_does():
    checkpoint, expected, network = load("slim_tiny_v2_train")

    def build():
        network(tf.constant(expected["images"]), 7, is_training=True)
        moving = {v.op.name: v for v in v1.global_variables() if "moving" in v.op.name}
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            return {name: v.read_value() for name, v in moving.items()}

    check_averages(run_graph(build, checkpoint), expected)


def check_averages(values, expected):
    names = [key[6:] for key in expected if key.startswith("after:")]
    assert len(names) > 40
    for name in names:
        assert_close(values[name], expected["after:" + name])


@pytest.mark.parametrize("name", ["slim_tiny_v1", "slim_tiny_v2", "slim_tiny_v2_train"])
def test_a_model_loads_by_name_and_computes_what_tf_slim_does(name):
    checkpoint, expected, network = load(name)
    training = name.endswith("train")
    images = tf.constant(expected["images"])
    model = slimnets.Model(network, num_classes=expected["logits"].shape[-1])
    model.build(images.shape)
    model.load(str(checkpoint))

    @tf.function
    def run(images):
        return {
            "logits": model(images, training=training),
            "reg": model.regularization_loss(),
        }

    values = run(images)
    if training:
        check_averages(model.variables_by_name, expected)
        model.load(str(checkpoint))  # The averages as they were.
    values["ep"] = model.end_points(images, training=training)
    check_outputs(values, expected, training)


@pytest.mark.parametrize("is_training", [False, True])
def test_is_training_as_placeholder_equals_a_bool(is_training):
    checkpoint, expected, network = load("slim_tiny_v2_train")

    def build(flag):
        net, _ = network(tf.constant(expected["images"]), 7, is_training=flag)
        moving = [v for v in v1.global_variables() if "moving" in v.op.name]
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            return net, [v.read_value() for v in moving]

    by_bool = run_graph(lambda: build(is_training), checkpoint)
    with tf.Graph().as_default():
        flag = v1.placeholder(tf.bool, [])
        fetches = build(flag)
        with v1.Session() as session:
            v1.train.Saver().restore(session, str(checkpoint))
            by_tensor = session.run(fetches, {flag: is_training})
    for actual, desired in zip(
        tf.nest.flatten(by_tensor), tf.nest.flatten(by_bool), strict=True
    ):
        assert_close(actual, desired)
