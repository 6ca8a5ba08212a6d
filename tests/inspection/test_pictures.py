"""Pictures of filters, activations and receptive fields, and what they show."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets import layers
from slimnets.cli import main
from slimnets.inspection import Region, field_of, layers_of, observe
from tests.helpers import run_graph, v1, write_png

pytest.importorskip("matplotlib")
CIFAR = "resnet_v2_cifar_20"


def seen_by_gradient(build, size, row, column):
    """The pixels that have a gradient, in a network of positive weights only."""

    def gradient():
        inputs = v1.placeholder_with_default(np.ones([1, size, size, 1], "f"), None)
        inputs.set_shape([1, size, size, 1])
        outputs = build(inputs)
        chosen = tf.reduce_sum(outputs[0, row, column])
        region = field_of(outputs, inputs, row, column)
        regions.append(region)
        return tf.gradients(chosen, inputs)[0]

    regions = []
    values = run_graph(gradient)[0, ..., 0]
    rows, columns = np.nonzero(values)
    return regions[0], (rows.min(), columns.min(), rows.max(), columns.max())


def residual(net, padding):
    net = slimnets.conv2d_same(net, 2, 3, 2, scope="conv1")
    net = layers.avg_pool2d(net, 3, 2, padding=padding, scope="pool")
    short = layers.conv2d(net, 2, 1, scope="short")
    net = layers.conv2d(net, 2, 3, rate=2, padding="SAME", scope="conv2")
    return net + short


def branches(net, padding):
    """Oblong kernels side by side, as in Inception."""
    net = layers.conv2d(net, 2, 3, 2, padding=padding, scope="conv1")
    wide = layers.conv2d(net, 2, (1, 7), scope="wide")
    wide = layers.conv2d(wide, 2, (3, 1), scope="low")
    pool = layers.avg_pool2d(net, 3, 1, padding="SAME", scope="pool")
    return tf.concat([wide, pool], -1)


def interleaved(net, padding):
    """A dilated depthwise convolution, which TensorFlow makes of dense ones."""
    net = layers.conv2d(net, 2, 3, 2, padding=padding, scope="conv1")
    kernel = v1.get_variable("kernel", [3, 3, 2, 1], initializer=v1.ones_initializer())
    return tf.nn.depthwise_conv2d(net, kernel, [1] * 4, "SAME", dilations=[2, 2])


def sliced(net, padding):
    net = layers.conv2d(net, 2, 3, padding=padding, scope="conv1")
    net = tf.pad(net, [[0, 0], [0, 1], [0, 1], [0, 0]])[:, 1:, 1:, :]
    net = layers.conv2d(net[:, ::2, ::2], 2, 3, padding="SAME", scope="conv2")
    return net


NETWORKS = (residual, branches, interleaved, sliced)


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("network", NETWORKS)
def test_fields_equal_the_gradients(network, size, padding):
    found = []

    def build(net):
        ones = v1.ones_initializer()
        with slimnets.arg_scope([layers.conv2d], weights_initializer=ones):
            outputs = network(net, padding)
        last = layers_of(net.graph)[-1]
        step = field_of(outputs, net, 4, 4).top - field_of(outputs, net, 3, 4).top
        assert last.stride == step
        assert last.shape == outputs.shape
        found.append(last.receptive_field)
        return outputs

    region, seen = seen_by_gradient(build, size, 3, 4)
    corners = (region.top, region.left, region.bottom, region.right)
    wanted = np.clip(corners, 0, size - 1)
    np.testing.assert_array_equal(wanted, seen)
    assert found == [max(region.height, region.width)]


def test_fields_have_the_size_that_feature_info_says():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 64, 64, 3])
        _, end_points = slimnets.build("resnet_v2_50", images)
        for feature in slimnets.feature_info("resnet_v2_50"):
            region = field_of(end_points[feature.level], images, 1, 1)
            assert region.height == region.width == feature.receptive_field


def test_fields_need_positions():
    with tf.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 8, 8, 3])
        net = layers.conv2d(images, 2, 3)
        assert field_of(net, images, 0, 7) == Region(-1, 6, 1, 8)
        with pytest.raises(ValueError, match=r"position \(8, 0\) .* 8 x 8"):
            field_of(net, images, 8, 0)
        with pytest.raises(ValueError, match="known height"):
            field_of(layers.flatten(net), images, 0, 0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model = slimnets.Model(CIFAR, num_classes=4)
    model.build([None, 32, 32, 3])
    model.save(folder / "model.ckpt")
    noise = np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)
    write_png(folder / "image.png", noise)
    return folder


PICTURES = {
    "filters": ["--filters"],
    "feature_maps": ["--feature_maps=C1", "--image=image.png"],
    "weights": ["--histograms"],
    "histograms": ["--histograms", "--image=image.png"],
}


@pytest.mark.parametrize("picture", [*PICTURES, "field", "network"])
def test_the_command_draws(checkpoint, monkeypatch, capfd, picture):
    monkeypatch.chdir(checkpoint)
    arguments = [CIFAR, "--depth=2"]
    if picture in PICTURES:
        arguments = ["--checkpoint_path=model.ckpt", *PICTURES[picture]]
    elif picture == "field":
        arguments = [CIFAR, "--receptive_field=C1", "--image=image.png"]
    code = main.main(["plot", *arguments, f"--output=pictures/{picture}.png"])
    assert (code, capfd.readouterr().out) == (0, f"written to pictures/{picture}.png\n")
    pixels = tf.io.decode_png((checkpoint / f"pictures/{picture}.png").read_bytes())
    assert min(pixels.shape[:2]) > 100 and np.std(pixels.numpy()[..., :3]) > 5


def test_filters_are_of_convolutions(checkpoint, monkeypatch, capfd):
    monkeypatch.chdir(checkpoint)
    monkeypatch.setattr(observe, "weights_of", lambda trained: {"fc": np.ones([2, 3])})
    arguments = ["--checkpoint_path=model.ckpt", "--filters", "--output=x.png"]
    assert main.main(["plot", *arguments]) == 2
    assert "convolutions of images" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "plot takes the NAME"),
        ([CIFAR], "plot needs --output"),
        ([CIFAR, "--filters", "--output=x.png"], "needs --checkpoint_path"),
        ([CIFAR, "--filters", "--histograms"], "are two pictures"),
        (["--filters", "--depth=2"], "--depth has no meaning for --filters"),
        ([CIFAR, "--image=x"], "--image has no meaning for the picture of a network"),
        ([CIFAR, "--receptive_field=C1", "--output=x.png"], "needs --image"),
        ([CIFAR, "--output=x.gif"], ".svg, .png, .pdf"),
        ([CIFAR, "--input_shape=[", "--output=x.png"], "is not JSON"),
    ],
)
def test_wrong_usage_is_named(capfd, arguments, message):
    assert main.main(["plot", *arguments]) == 2
    assert message in capfd.readouterr().err
