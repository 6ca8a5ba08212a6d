"""CycleGAN's generator, as research/slim has it.

Source: Zhu et al., arXiv:1703.10593, appendix 7.2; names and layout of research/slim's
nets/cyclegan.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from slimnets import layers
from slimnets.blocks.same import even_sides
from slimnets.scopes import Scope, arg_scope

__all__ = ["cyclegan_arg_scope", "cyclegan_generator_resnet", "cyclegan_upsample"]


def cyclegan_arg_scope(
    instance_norm_center: bool = True,
    instance_norm_scale: bool = True,
    instance_norm_epsilon: float = 0.001,
    weights_init_stddev: float = 0.02,
    weight_decay: float = 0.0,
) -> Scope:
    """Returns the arg scope of both networks, on top of what is open.

    Args:
        instance_norm_center: whether instance norms add `beta`.
        instance_norm_scale: whether they multiply by `gamma`.
        instance_norm_epsilon: added to the variances.
        weights_init_stddev: of the initial weights.
        weight_decay: of the weights, as an L2 loss; 0 for none.
    """
    decays = weight_decay and weight_decay > 0
    with arg_scope(
        [layers.conv2d],
        normalizer_fn=layers.instance_norm,
        normalizer_params={
            "center": instance_norm_center,
            "scale": instance_norm_scale,
            "epsilon": instance_norm_epsilon,
        },
        weights_initializer=tf.compat.v1.random_normal_initializer(
            0, weights_init_stddev
        ),
        weights_regularizer=layers.l2_regularizer(weight_decay) if decays else None,
    ) as scope:
        return scope


def cyclegan_upsample(
    net: tf.Tensor,
    num_outputs: int,
    stride: Sequence[int],
    method: str = "conv2d_transpose",
    pad_mode: str = "REFLECT",
    align_corners: bool = False,
) -> tf.Tensor:
    """Makes an image larger, by a 3x3 kernel.

    Args:
        net: `[batch, height, width, channels]`.
        num_outputs: channels of the result.
        stride: by how much, vertically and horizontally.
        method: `nn_upsample_conv` or `bilinear_upsample_conv`, which resize and then
            convolve, or `conv2d_transpose`.
        pad_mode: how what is resized is padded, as in `tf.pad`.
        align_corners: whether the centers of corner pixels stay, where pixels are
            mixed.

    Raises:
        ValueError: for another method.
    """
    with tf.compat.v1.variable_scope("upconv"):
        height, width = tf.shape(net)[1], tf.shape(net)[2]
        size = [stride[0] * height, stride[1] * width]
        if method == "conv2d_transpose":
            # A transposed convolution is aligned right where a convolution is left.
            net = layers.conv2d_transpose(
                net, num_outputs, kernel_size=3, stride=stride, padding="VALID"
            )
            return net[:, 1:, 1:, :]
        if method == "nn_upsample_conv":
            net = tf.image.resize(net, size, "nearest")
        elif method == "bilinear_upsample_conv":
            net = tf.compat.v1.image.resize_bilinear(net, size, align_corners)
        else:
            raise ValueError(
                f"method={method!r}; allowed are 'nn_upsample_conv', "
                "'bilinear_upsample_conv' and 'conv2d_transpose'."
            )
        net = _padded(net, (3, 3), pad_mode)
        return layers.conv2d(net, num_outputs, kernel_size=3, padding="VALID")


def cyclegan_generator_resnet(
    images: tf.Tensor,
    arg_scope_fn: Callable[[], Scope] = cyclegan_arg_scope,
    num_resnet_blocks: int = 6,
    num_filters: int = 64,
    upsample_fn: Callable[..., tf.Tensor] = cyclegan_upsample,
    kernel_size: int | Sequence[int] = 3,
    tanh_linear_slope: float = 0.0,
    is_training: bool = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Makes an image of an image.

    Args:
        images: `[batch, height, width, channels]`, of sides divisible by 4.
        arg_scope_fn: makes the arg scope.
        num_resnet_blocks: number of residual units.
        num_filters: channels of the first convolution.
        upsample_fn: makes activations larger, as `cyclegan_upsample`.
        kernel_size: height and width of inner kernels, or an int for both.
        tanh_linear_slope: of a linear function that is added to the hyperbolic tangent.
        is_training: not used: instance norms are the same in both.

    Returns:
        `(predictions, end_points)`; predictions have the images' shape.

    Raises:
        ValueError: for known sides that are not divisible by 4.
    """
    del is_training
    channels, end_points = images.shape.as_list()[3], {}
    for name, side in zip(
        ("height", "width"), images.shape.as_list()[1:3], strict=True
    ):
        if side and side % 4:
            raise ValueError(f"The input {name} must be a multiple of 4; got {side}.")
    kernel = [kernel_size] * 2 if isinstance(kernel_size, int) else kernel_size
    inner = {"kernel_size": kernel, "padding": "VALID"}
    depth = 4 * num_filters

    def convolved(net: tf.Tensor, depth: int, **options) -> tf.Tensor:
        return layers.conv2d(_padded(net, kernel), depth, **inner, **options)

    with arg_scope(arg_scope_fn()):
        with tf.compat.v1.variable_scope("input"):
            net = layers.conv2d(
                _padded(images, (7, 7)), num_filters, 7, padding="VALID"
            )
            end_points["encoder_0"] = net
        with tf.compat.v1.variable_scope("encoder"):
            for i in (1, 2):
                net = convolved(net, num_filters * 2**i, stride=2)
                end_points[f"encoder_{i}"] = net
        with tf.compat.v1.variable_scope("residual_blocks"):
            for i in range(num_resnet_blocks):
                with tf.compat.v1.variable_scope(f"block_{i}"):
                    residual = convolved(net, depth)
                    net += convolved(residual, depth, activation_fn=None)
                    end_points[f"resnet_block_{i}"] = net
        with (
            tf.compat.v1.variable_scope("decoder"),
            arg_scope([layers.conv2d], kernel_size=kernel),
        ):
            for i in (1, 2):
                with tf.compat.v1.variable_scope(f"decoder{i}"):
                    net = upsample_fn(net, num_outputs=depth // 2**i, stride=[2, 2])
                end_points[f"decoder{i}"] = net
        with tf.compat.v1.variable_scope("output"):
            plain = {"activation_fn": None, "normalizer_fn": None}
            net = _padded(net, (7, 7))
            logits = layers.conv2d(net, channels, 7, padding="VALID", **plain)
            known = images.shape.is_fully_defined()
            shape = images.shape if known else tf.shape(images)
            logits = tf.reshape(logits, shape)
            end_points["logits"] = logits
            predictions = tf.tanh(logits) + logits * tanh_linear_slope
            end_points["predictions"] = predictions
    return predictions, end_points


def _padded(net: tf.Tensor, kernel: Sequence[int], mode: str = "REFLECT") -> tf.Tensor:
    """Padded so that a convolution without padding keeps the size."""
    sides = [even_sides(side) for side in kernel]
    return tf.pad(net, [[0, 0], *sides, [0, 0]], mode)
