"""What the networks of videos are made of, as research/slim has it.

Source: Carreira & Zisserman, arXiv:1705.07750; Xie et al., arXiv:1712.04851; names and
layout of research/slim's nets/i3d_utils.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets import layers
from slimnets.scopes import add_arg_scope

__all__ = [
    "center_initializer",
    "conv3d_spatiotemporal",
    "inception_block_v1_3d",
    "reduced_kernel_size_3d",
]


def center_initializer() -> Callable[..., tf.Tensor]:
    """Returns an initializer by which a convolution over frames changes nothing.

    It raises ValueError for a kernel that is not `[frames, 1, 1, channels, channels]`
    with an odd number of frames.
    """

    def initializer(
        shape: Sequence[int], dtype: tf.DType = tf.float32, partition_info: Any = None
    ) -> tf.Tensor:
        del partition_info
        if dtype not in (tf.float32, tf.bfloat16):
            raise ValueError(f"dtype={dtype}; allowed are tf.float32 and tf.bfloat16.")
        shape = [int(size) for size in shape]
        if len(shape) != 5 or shape[1:3] != [1, 1] or shape[3] != shape[4]:
            raise ValueError(
                f"shape={shape}; allowed is [frames, 1, 1, channels, channels]."
            )
        if shape[0] % 2 == 0:
            raise ValueError(f"{shape[0]} frames; allowed is an odd number.")
        kernel = np.zeros(shape, np.float32)
        kernel[shape[0] // 2, 0, 0] = np.eye(shape[3])
        return tf.constant(kernel, dtype)

    return initializer


@add_arg_scope
def conv3d_spatiotemporal(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    activation_fn: Callable | None = None,
    normalizer_fn: Callable | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_regularizer: Callable | None = None,
    separable: bool = False,
    data_format: str = "NDHWC",
    scope: str = "",
) -> tf.Tensor:
    """A convolution over frames, height and width, or one over space and one over time.

    Args:
        inputs: `[batch, frames, height, width, channels]`, or channels second for
            `NCDHW`.
        num_outputs: number of output channels.
        kernel_size: frames, height and width of the kernel.
        stride: the steps likewise, or an int for all.
        padding, activation_fn, normalizer_fn, normalizer_params, weights_regularizer:
            as of `conv3d`.
        separable: whether a kernel of several frames is two: the second, over frames
            alone, has biases, and changes nothing at first.
        data_format: `NDHWC` or `NCDHW`.
        scope: of the convolution; the second one's is `temporal` in it.

    Raises:
        ValueError: for a kernel size that is not three numbers.
    """
    if len(kernel_size) != 3:
        raise ValueError(f"kernel_size={kernel_size!r}; allowed are three numbers.")
    common = {
        "padding": padding,
        "activation_fn": activation_fn,
        "data_format": data_format,
    }
    normalized = {
        "normalizer_fn": normalizer_fn,
        "normalizer_params": normalizer_params,
        "weights_regularizer": weights_regularizer,
        "scope": scope,
    }
    frames, *space = kernel_size
    if not separable or frames == 1:
        return layers.conv3d(
            inputs, num_outputs, kernel_size, stride, **common, **normalized
        )
    of_frames, *of_space = [stride] * 3 if isinstance(stride, int) else stride
    net = layers.conv3d(
        inputs, num_outputs, [1, *space], [1, *of_space], **common, **normalized
    )
    return layers.conv3d(
        net,
        num_outputs,
        [frames, 1, 1],
        [of_frames, 1, 1],
        normalizer_fn=None,
        weights_initializer=center_initializer(),
        scope=f"{scope}/temporal",
        **common,
    )


@add_arg_scope
def inception_block_v1_3d(
    inputs: tf.Tensor,
    num_outputs_0_0a: int,
    num_outputs_1_0a: int,
    num_outputs_1_0b: int,
    num_outputs_2_0a: int,
    num_outputs_2_0b: int,
    num_outputs_3_0b: int,
    temporal_kernel_size: int = 3,
    self_gating_fn: Callable[..., tf.Tensor] | None = None,
    data_format: str = "NDHWC",
    scope: str = "",
) -> tf.Tensor:
    """Inception v1's four branches, over frames too.

    Args:
        inputs: `[batch, frames, height, width, channels]`, or channels second for
            `NCDHW`.
        num_outputs_0_0a: channels of the first branch,
        num_outputs_1_0a: of the first convolution of the second branch,
        num_outputs_1_0b: and of its second one;
        num_outputs_2_0a: of the first convolution of the third branch,
        num_outputs_2_0b: and of its second one;
        num_outputs_3_0b: of the convolution behind the fourth branch's pool.
        temporal_kernel_size: frames of the 3x3 kernels.
        self_gating_fn: `(inputs, scope=)`, applied to each branch; None for none.
        data_format: `NDHWC` or `NCDHW`.
        scope: name of the variable scope.
    """
    pair = "Conv2d_0a_1x1", "Conv2d_0b_3x3"
    table = (
        (("Conv2d_0a_1x1", num_outputs_0_0a),),
        tuple(zip(pair, (num_outputs_1_0a, num_outputs_1_0b), strict=True)),
        tuple(zip(pair, (num_outputs_2_0a, num_outputs_2_0b), strict=True)),
        (("MaxPool_0a_3x3", None), ("Conv2d_0b_1x1", num_outputs_3_0b)),
    )
    branches = []
    with tf.compat.v1.variable_scope(scope):
        for i, parts in enumerate(table):
            net = inputs
            with tf.compat.v1.variable_scope(f"Branch_{i}"):
                for name, depth in parts:
                    if depth is None:
                        net = layers.max_pool3d(net, 3, scope=name)
                    elif name.endswith("3x3"):
                        kernel = [temporal_kernel_size, 3, 3]
                        net = conv3d_spatiotemporal(net, depth, kernel, scope=name)
                    else:
                        net = layers.conv3d(net, depth, 1, scope=name)
                if self_gating_fn is not None:
                    net = self_gating_fn(net, scope=name)
            branches.append(net)
        return tf.concat(branches, data_format.index("C"))


def reduced_kernel_size_3d(
    input_tensor: tf.Tensor, kernel_size: Sequence[int]
) -> list[int]:
    """Returns the kernel's size, at most that of the inputs where it is known.

    Args:
        input_tensor: `[batch, frames, height, width, channels]`.
        kernel_size: frames, height and width.
    """
    sizes = input_tensor.shape.as_list()[1:4]
    if None in sizes:
        return list(kernel_size)
    return [min(*pair) for pair in zip(sizes, kernel_size, strict=True)]
