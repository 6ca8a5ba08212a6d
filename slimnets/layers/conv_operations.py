"""Convolution by the operation that works, and trains, on the machine at hand.

TensorFlow's CPU kernels have gradients for dilated and for grouped convolutions only
where oneDNN provides them. That is tried once, on a few numbers, the first time that
it matters; elsewhere the same values come from space-to-batch and from splitting, but
for graphs that never train.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence

import tensorflow as tf

from slimnets.layers import building

_local = threading.local()


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Has dilated convolutions in this thread made for inference alone."""
    before = getattr(_local, "inference", False)
    _local.inference = True
    try:
        yield
    finally:
        _local.inference = before


def _natively(what: str) -> bool:
    # Grouped convolutions cannot be fused where they cannot be trained.
    for_inference = what == "rate" and getattr(_local, "inference", False)
    return for_inference or trains_natively(what)


def convolve(
    inputs: tf.Tensor,
    weights: tf.Tensor,
    stride: Sequence[int],
    rate: Sequence[int],
    padding: str,
    groups: int = 1,
    channels_first: bool = False,
) -> tf.Tensor:
    """Convolves over one to three spatial dimensions.

    Args:
        inputs: `[batch, ((frames,) height,) width, channels]`, or channels second.
        weights: `[..., kernel width, channels / groups, outputs]`.
        stride: one int for each spatial dimension.
        rate: one int for each spatial dimension.
        padding: `SAME` or `VALID`.
        groups: number of channel groups.
        channels_first: whether the channels are dimension 1.

    Returns:
        The outputs, in the inputs' layout.
    """
    if len(stride) == 1:  # A row is an image of height one.
        axis = 2 if channels_first else 1
        outputs = convolve(
            tf.expand_dims(inputs, axis),
            weights[tf.newaxis],
            (1, *stride),
            (1, *rate),
            padding,
            groups,
            channels_first,
        )
        return tf.squeeze(outputs, [axis])
    if len(stride) == 3:
        return _over_frames(inputs, weights, stride, rate, padding, channels_first)
    if groups > 1 and not _natively("groups"):
        axis = 1 if channels_first else -1
        parts = zip(
            tf.split(inputs, groups, axis), tf.split(weights, groups, -1), strict=True
        )
        outputs = [
            convolve(part, kernel, stride, rate, padding, 1, channels_first)
            for part, kernel in parts
        ]
        return tf.concat(outputs, axis)
    if max(rate) > 1 and not _natively("rate"):
        return _by_space_to_batch(
            inputs, weights, stride, rate, padding, channels_first
        )
    return tf.nn.conv2d(
        inputs,
        weights,
        strides=list(stride),
        padding=padding,
        data_format="NCHW" if channels_first else "NHWC",
        dilations=list(rate),
    )


def _by_space_to_batch(inputs, weights, stride, rate, padding, channels_first):
    """A dilated convolution as dense ones over interleaved pixels, then strided."""
    inputs = building.channels_last(inputs, channels_first)
    height, width, *_ = weights.shape
    sides = (((height - 1) * rate[0], stride[0]), ((width - 1) * rate[1], stride[1]))
    before = [(0, 0) if padding == "VALID" else None for _ in sides]
    if padding == "SAME":
        sizes = tf.shape(inputs)[1:3]
        for axis, (reach, step) in enumerate(sides):
            total = tf.maximum((-(-sizes[axis] // step) - 1) * step + reach + 1, 0)
            total = tf.maximum(total - sizes[axis], 0)
            before[axis] = (total // 2, total - total // 2)
    block_paddings, crops = [], []
    for axis, (first, last) in enumerate(before):
        size = tf.shape(inputs)[axis + 1] + first + last
        extra = -size % rate[axis]
        block_paddings.append([first, last + extra])
        crops.append([0, extra])
    outputs = tf.space_to_batch(inputs, list(rate), tf.stack(block_paddings))
    outputs = tf.nn.conv2d(outputs, weights, strides=1, padding="VALID")
    outputs = tf.batch_to_space(outputs, list(rate), tf.stack(crops))
    outputs = outputs[:, :: stride[0], :: stride[1]]
    return building.channels_second(outputs, channels_first)


def _over_frames(inputs, weights, stride, rate, padding, channels_first):
    """A convolution over three dimensions; on a CPU TensorFlow has channels last."""
    inputs = building.channels_last(inputs, channels_first)
    outputs = tf.nn.convolution(inputs, weights, stride, padding, dilations=rate)
    return building.channels_second(outputs, channels_first)


def check_compiled(graph: tf.Graph) -> None:
    """Raises ValueError for a graph that XLA makes many times slower on this machine.

    Its grouped and depthwise convolutions are for GPUs and TPUs. On a CPU, mobilenet_v2
    takes 12 times as long, where resnet_v2_50 takes 0.8 times.
    """
    if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
        return
    for node in graph.get_operations():
        if node.type == "DepthwiseConv2dNative" or _is_grouped(node):
            raise ValueError(
                f"jit would make this network many times slower: XLA has no fast "
                f"grouped or depthwise convolution, such as {node.name}, on a CPU. "
                "Leave it off here."
            )


def _is_grouped(node: tf.Operation) -> bool:
    if node.type != "Conv2D":
        return False
    inputs, weights = (tensor.shape for tensor in node.inputs)
    axis = 1 if node.get_attr("data_format") == b"NCHW" else 3
    return inputs[axis] != weights[2]


@functools.cache
def trains_natively(what: str) -> bool:
    """Whether tf.nn.conv2d with `groups` or `rate` has its gradients here."""
    with tf.init_scope(), tf.Graph().as_default():
        images = tf.ones([1, 4, 4, 4])
        kernel = tf.ones([2, 2, 2 if what == "groups" else 4, 4])
        outputs = tf.nn.conv2d(
            images, kernel, 1, "VALID", dilations=2 if what == "rate" else 1
        )
        gradients = tf.gradients(outputs, [images, kernel])
        with tf.compat.v1.Session() as session:
            try:
                session.run(gradients)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                return False
    return True
