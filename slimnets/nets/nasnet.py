"""NASNet-A, as TF-Slim builds it, for CIFAR and, mobile and large, for ImageNet.

Source: Zoph et al., Learning Transferable Architectures for Scalable Image
Recognition, arXiv:1707.07012; names and layout of research/slim's
nets/nasnet/nasnet.py. Keras Applications' networks differ in how pools are padded, and
in this only.
"""

from __future__ import annotations

from slimnets import layers
from slimnets.rows.builder import network_of
from slimnets.rows.cells import Config, row_of_cells
from slimnets.scopes import Scope, arg_scope


def cifar_config() -> Config:
    """Returns what makes NASNet-A for CIFAR."""
    return Config(
        18,
        32,
        3.0,
        drop_path_keep_prob=0.6,
        dense_dropout_keep_prob=1.0,
        total_training_steps=937_500,
        imagenet=False,
    )


def mobile_imagenet_config() -> Config:
    """Returns what makes NASNet-A (4 @ 1056)."""
    return Config(12, 44, 1.0)


def large_imagenet_config() -> Config:
    """Returns what makes NASNet-A (6 @ 4032)."""
    return Config(
        18, 168, 3.0, skip_reduction_layer_input=True, drop_path_keep_prob=0.7
    )


def _arg_scope(
    weight_decay: float, batch_norm_decay: float, batch_norm_epsilon: float
) -> Scope:
    convolutions = [layers.conv2d, layers.separable_conv2d]
    with (
        arg_scope(
            [layers.fully_connected, *convolutions],
            weights_regularizer=layers.l2_regularizer(weight_decay),
            weights_initializer=layers.variance_scaling_initializer(mode="FAN_OUT"),
        ),
        arg_scope([layers.fully_connected], activation_fn=None, scope="FC"),
        arg_scope(convolutions, activation_fn=None, biases_initializer=None),
        arg_scope(
            [layers.batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=True,
        ) as scope,
    ):
        return scope


def nasnet_cifar_arg_scope(
    weight_decay: float = 5e-4,
    batch_norm_decay: float = 0.9,
    batch_norm_epsilon: float = 1e-5,
) -> Scope:
    """Returns TF-Slim's arg scope for NASNet on CIFAR, on top of what is open."""
    return _arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def nasnet_mobile_arg_scope(
    weight_decay: float = 4e-5,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 1e-3,
) -> Scope:
    """Returns TF-Slim's arg scope for the mobile NASNet, on top of what is open."""
    return _arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def nasnet_large_arg_scope(
    weight_decay: float = 5e-5,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 1e-3,
) -> Scope:
    """Returns TF-Slim's arg scope for the large NASNet, on top of what is open."""
    return _arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


_KERAS = (("keras", ("keras_nasnet",)),)
# Name, what makes it, its arg scope, side of the images, summary, rules of names.
ROWS = (
    (
        *("nasnet_cifar", cifar_config, nasnet_cifar_arg_scope, 32),
        *("NASNet-A for CIFAR of TF-Slim.", ()),
    ),
    (
        *("nasnet_mobile", mobile_imagenet_config, nasnet_mobile_arg_scope, 224),
        *("NASNet-A (4 @ 1056) of TF-Slim.", _KERAS),
    ),
    (
        *("nasnet_large", large_imagenet_config, nasnet_large_arg_scope, 331),
        *("NASNet-A (6 @ 4032) of TF-Slim.", _KERAS),
    ),
)
NETWORKS = (nasnet_cifar, nasnet_mobile, nasnet_large) = tuple(
    network_of(row_of_cells(*row)) for row in ROWS
)
build_nasnet_cifar = nasnet_cifar
build_nasnet_mobile = nasnet_mobile
build_nasnet_large = nasnet_large
