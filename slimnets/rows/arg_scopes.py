"""Default arg scopes of the families.

Each gives a scope on top of what is open; a network lays its family's under the
caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.scopes import Scope, arg_scope
from slimnets.units.normalized import normalized


def resnet_arg_scope(
    weight_decay: float = 0.0001,
    batch_norm_decay: float = 0.997,
    batch_norm_epsilon: float = 1e-5,
    batch_norm_scale: bool = True,
    activation_fn: Callable | None = tf.nn.relu,
    use_batch_norm: bool = True,
    batch_norm_updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
) -> Scope:
    """Returns TF-Slim's arg scope for ResNets, on top of what is open.

    Args:
        weight_decay: of the convolutions' weights, as an L2 loss.
        batch_norm_decay: of the moving averages.
        batch_norm_epsilon: added to the variances.
        batch_norm_scale: whether batch norms have a `gamma`.
        activation_fn: of the convolutions.
        use_batch_norm: whether convolutions are normalized rather than biased.
        batch_norm_updates_collections: graph collections for the updates.
    """
    with (
        arg_scope(
            [layers.conv2d],
            weights_regularizer=layers.l2_regularizer(weight_decay),
            weights_initializer=layers.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=layers.batch_norm if use_batch_norm else None,
        ),
        arg_scope(
            [layers.batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=batch_norm_scale,
            updates_collections=batch_norm_updates_collections,
        ),
        # SAME padding for pool1 keeps features aligned in dense prediction; the
        # paper's code pads VALID: arg_scope([max_pool2d], padding="VALID").
        arg_scope([layers.max_pool2d], padding="SAME") as scope,
    ):
        return scope


def extended(scope: Scope, functions: list[Callable], **options: Any) -> Scope:
    """Returns `scope` with further arguments of functions."""
    with arg_scope(scope), arg_scope(functions, **options) as result:
        return result


def cifar_arg_scope() -> Scope:
    """`resnet_arg_scope` for small data sets: faster moving averages."""
    return resnet_arg_scope(batch_norm_decay=0.9)


def torch_arg_scope() -> Scope:
    """torchvision's defaults: momentum 0.1, epsilon 1e-5, fan-out initial weights."""
    return depthwise_arg_scope(0.0001, 0.9, batch_norm_epsilon=1e-5)


def keras_arg_scope() -> Scope:
    """Keras Applications' defaults: momentum 0.99, epsilon 1.001e-5, Glorot."""
    scope = resnet_arg_scope(batch_norm_decay=0.99, batch_norm_epsilon=1.001e-5)
    glorot = layers.xavier_initializer()
    return extended(scope, [layers.conv2d], weights_initializer=glorot)


def keras_biased_arg_scope() -> Scope:
    """`keras_arg_scope` with biases before the norms too, as Keras's v1 networks."""
    return extended(keras_arg_scope(), [layers.conv2d], biases_before_norm=True)


def bit_arg_scope() -> Scope:
    """BiT's defaults: group norm and weight standardization."""
    with (
        arg_scope(resnet_arg_scope()),
        arg_scope(
            [layers.conv2d],
            normalizer_fn=layers.group_norm,
            weight_transform=layers.weight_standardization,
        ),
        arg_scope([layers.weight_standardization], epsilon=1e-8),
        arg_scope([layers.group_norm], groups=32, epsilon=1e-5) as scope,
    ):
        return scope


def layer_norm_arg_scope(weight_decay: float = 0.0001) -> Scope:
    """ConvNeXt's defaults: layer norms of each position, where units have them.

    Args:
        weight_decay: of the weights of all but depthwise convolutions, as an L2 loss.
    """
    with (
        arg_scope(
            [layers.conv2d, layers.separable_conv2d],
            weights_initializer=layers.truncated_normal_initializer(0.02),
            activation_fn=None,
            normalizer_fn=None,
        ),
        arg_scope(
            [layers.conv2d], weights_regularizer=layers.l2_regularizer(weight_decay)
        ),
        arg_scope([normalized], normalizer_fn=layers.layer_norm),
        arg_scope([layers.layer_norm], begin_norm_axis=-1, epsilon=1e-6) as scope,
    ):
        return scope


def depthwise_arg_scope(
    weight_decay: float,
    batch_norm_decay: float,
    activation_fn: Callable | None = tf.nn.relu,
    weights_initializer: Callable | None = None,
    batch_norm_epsilon: float = 1e-3,
) -> Scope:
    """`resnet_arg_scope` with depthwise convolutions, which do not decay.

    Args:
        weight_decay: of the other convolutions' weights, as an L2 loss.
        batch_norm_decay: of the moving averages.
        activation_fn: of the convolutions.
        weights_initializer: of all weights; None for fan-out initial weights.
        batch_norm_epsilon: added to the variances.
    """
    initializer = weights_initializer or layers.variance_scaling_initializer(
        mode="FAN_OUT"
    )
    return extended(
        resnet_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon),
        [layers.conv2d, layers.separable_conv2d],
        weights_initializer=initializer,
        activation_fn=activation_fn,
        normalizer_fn=layers.batch_norm,
    )


def inception_arg_scope(
    weight_decay: float = 0.00004,
    use_batch_norm: bool = True,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    activation_fn: Callable | None = tf.nn.relu,
    batch_norm_updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
    batch_norm_scale: bool = False,
) -> Scope:
    """Returns TF-Slim's arg scope for Inception. Arguments as `resnet_arg_scope`."""
    regularizer = layers.l2_regularizer(weight_decay)
    with (
        arg_scope(
            [layers.conv2d],
            weights_initializer=layers.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=layers.batch_norm if use_batch_norm else None,
        ),
        arg_scope(
            [layers.batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=batch_norm_scale,
            updates_collections=batch_norm_updates_collections,
        ),
        arg_scope(
            [layers.conv2d, layers.fully_connected], weights_regularizer=regularizer
        ) as scope,
    ):
        return scope


def biased_arg_scope(
    weight_decay: float = 0.0005, biases: Callable | None = None
) -> Scope:
    """Returns TF-Slim's arg scope for networks without norms: VGG, AlexNet, OverFeat.

    Args:
        weight_decay: of the weights, as an L2 loss.
        biases: initializer of the biases; None for zeros.
    """
    biases = biases or tf.compat.v1.zeros_initializer()
    with (
        arg_scope(
            [layers.conv2d, layers.fully_connected],
            activation_fn=tf.nn.relu,
            weights_regularizer=layers.l2_regularizer(weight_decay),
            biases_initializer=biases,
        ),
        arg_scope([layers.conv2d], padding="SAME"),
        arg_scope([layers.max_pool2d], padding="VALID") as scope,
    ):
        return scope
