"""The ResNet-50 that people write by hand in Keras, in a page of rows.

A 7x7 VALID root after padding by 3, conv blocks and identity blocks with the stride in
the first 1x1 convolution, an average pool of 2x2, flatten, and a sigmoid over several
labels. `own_resnet50` is all of it in slimnets; the test copies the weights of the
Keras model and compares the outputs.
"""

import keras
import numpy as np
import tensorflow as tf

import slimnets
from slimnets import layers, units
from slimnets.checkpoints import keras_networks
from slimnets.rows.arg_scopes import keras_biased_arg_scope
from tests.helpers import assert_close

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


def own_resnet50(images, num_classes, is_training=False):
    blocks = [
        slimnets.Block(
            f"block{index}",
            units.bottleneck_v1,
            [(4 * base, base, stride)] + [(4 * base, base, 1)] * (num_units - 1),
        )
        for index, (base, num_units, stride) in enumerate(STAGES, start=1)
    ]
    with (
        slimnets.arg_scope(keras_biased_arg_scope()),
        slimnets.arg_scope([units.bottleneck_v1], stride_first=True),
        slimnets.arg_scope([layers.batch_norm], is_training=is_training, epsilon=1e-3),
    ):
        net = slimnets.conv2d_same(images, 64, 7, 2, scope="conv1")
        net = layers.max_pool2d(net, 3, stride=2, padding="VALID")
        net = slimnets.stack_blocks(net, blocks)
        net = layers.flatten(layers.avg_pool2d(net, 2))
        return layers.fully_connected(
            net, num_classes, activation_fn=tf.nn.sigmoid, scope="logits"
        )


def keras_resnet50(size, labels):
    """As the tutorials have it."""
    k = keras.layers

    def normed(net, name):
        return k.BatchNormalization(name=name + "_bn")(net)

    def unit(net, name, depth, stride, conv_shortcut):
        shortcut = net
        for index, (filters, kernel, step) in enumerate(
            ((depth, 1, stride), (depth, 3, 1), (4 * depth, 1, 1)), start=1
        ):
            net = k.Conv2D(
                filters, kernel, step, padding="same", name=f"{name}_{index}_conv"
            )(net)
            net = normed(net, f"{name}_{index}")
            if index < 3:
                net = k.Activation("relu")(net)
        if conv_shortcut:
            shortcut = k.Conv2D(4 * depth, 1, stride, name=name + "_0_conv")(shortcut)
            shortcut = normed(shortcut, name + "_0")
        return k.Activation("relu")(k.Add()([shortcut, net]))

    inputs = keras.Input((size, size, 3))
    net = k.ZeroPadding2D(3)(inputs)
    net = normed(k.Conv2D(64, 7, 2, name="conv1_conv")(net), "conv1")
    net = k.MaxPooling2D(3, 2)(k.Activation("relu")(net))
    for stage, (depth, num_units, stride) in enumerate(STAGES, start=2):
        for index in range(1, num_units + 1):
            first = index == 1
            name = f"conv{stage}_block{index}"
            net = unit(net, name, depth, stride if first else 1, first)
    net = k.Flatten()(k.AveragePooling2D(2)(net))
    outputs = k.Dense(labels, activation="sigmoid", name="predictions")(net)
    return keras.Model(inputs, outputs)


def test_outputs_equal_the_keras_models(rng):
    theirs = keras_resnet50(64, 6)
    values = {}
    for layer in theirs.layers:
        for variable in layer.variables:
            noise = rng.normal(size=variable.shape).astype(np.float32)
            if variable.name in ("gamma", "moving_variance"):
                noise = 0.5 + 0.3 * np.abs(np.tanh(noise))
            elif variable.name == "kernel":
                noise = noise / np.sqrt(np.prod(variable.shape[:-1]))
            variable.assign(0.1 * noise if variable.name == "beta" else noise)
            values[f"{layer.name}/{variable.name}"] = variable.numpy()

    ours = slimnets.Model(own_resnet50, num_classes=6)
    images = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    ours.build(images.shape)
    foreign = keras_networks.foreign_names(ours.variables_by_name, "keras")
    assert {entry.name for entry in foreign.values()} == set(values)
    for name, variable in ours.variables_by_name.items():
        variable.assign(values[foreign[name].name].reshape(variable.shape))
    expected = theirs(images, training=False)
    assert np.std(expected) > 0.01
    assert_close(ours(images), expected, 1e-4)
