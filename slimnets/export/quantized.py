"""Networks that were trained for int8: what their graphs say of it, for int8 formats.

Rounded activations are nodes with the range that training found; rounded weights are
constants that already are whole multiples of a scale for each output, and stay that
when batch norms are folded into them. See `slimnets.layers.fake_quantization`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from slimnets.export.graph import (
    AttrValue,
    NodeDef,
    NodeGraph,
    type_attribute,
)
from slimnets.export.weights import weights_of

RANGE = "FakeQuantWithMinMaxVars"
_PER_OUTPUT = "FakeQuantWithMinMaxVarsPerChannel"
# The largest weight of an output is so many times its scale.
STEPS = 127
# These give some of the values that they take, or all of them.
_KEEP_VALUES = ("Identity", "MaxPool", "Pad", "Reshape", "Squeeze")
# By how much of a step folding in float32 moves a weight.
_OFF = 2e-2
# Of a convolution of 1x1.
_OF_ONE_PIXEL = {
    "strides": AttrValue(list=AttrValue.ListValue(i=[1, 1, 1, 1])),
    "padding": AttrValue(s=b"VALID"),
    "data_format": AttrValue(s=b"NHWC"),
}


def is_quantized(nodes: Iterable[NodeDef]) -> bool:
    """Whether nodes round activations in ranges that training has found."""
    return any(node.op == RANGE for node in nodes)


def choices_made(graph: NodeGraph) -> None:
    """Takes away selections whose condition is known: of a delay that is over."""
    for node in graph.of("SelectV2"):
        condition = graph.value(node.input[0])
        if condition is not None and condition.ndim == 0:
            graph.bypass(node.name, node.input[1 if condition else 2])
    graph.prune()


def norms_to_layers(graph: NodeGraph) -> None:
    """Turns `scale * x + shift` of rounded images into depthwise convolutions of 1x1.

    Their weights, one for each output, are whole multiples of a scale of their own.
    """
    shapes = graph.shapes()
    for product in graph.of("Mul"):
        source, scale = graph.source(product), graph.value(product.input[1])
        while source.op == "MaxPool":
            source = graph.source(source)
        if source.op != RANGE or scale is None or scale.ndim != 1:
            continue
        if shapes[source.name].rank != 4:
            continue
        name, dtype = f"{product.name}/layer", graph.dtype(product)
        layer = graph.with_constant(
            "DepthwiseConv2dNative",
            name,
            product.input[0],
            scale.reshape(1, 1, -1, 1),
            dtype,
            **_OF_ONE_PIXEL,
        )
        graph.bypass(product.name, layer)
        for reader in [graph.nodes[each] for each in graph.consumers[layer]]:
            shift = graph.value(reader.input[1]) if reader.op == "AddV2" else None
            if shift is not None and shift.shape == scale.shape:
                reader.op = "BiasAdd"
    graph.prune()


def scales_of(graph: NodeGraph, node: NodeDef) -> np.ndarray | None:
    """Returns the scale of each output's weights, `[outputs]`; None if they are not
    whole multiples of one in float32, or are of no layer."""
    weights = weights_of(graph, node)
    if weights is None or weights.dtype != np.float32 or node.attr["transpose_b"].b:
        return None
    scales = scales_by_largest(node, weights)
    steps = outputs_last(node, weights) / scales
    if np.abs(steps - np.round(steps)).max(initial=0) > _OFF:
        return None
    return scales.astype(np.float32)


def scales_by_largest(node: NodeDef, weights: np.ndarray) -> np.ndarray:
    """Returns the scale of each output's weights by the largest of them, `[outputs]`;
    1 where all are zero."""
    columns = outputs_last(node, weights)
    largest = np.abs(columns).max(tuple(range(columns.ndim - 1)))
    scales = largest.astype(np.float64) / STEPS
    return np.where(scales > 0, scales, 1)


def outputs_last(node: NodeDef, weights: np.ndarray) -> np.ndarray:
    """Returns a layer's weights as `[..., inputs, outputs]`."""
    if node.op != "DepthwiseConv2dNative":
        return weights
    return weights.reshape(*weights.shape[:2], 1, -1)


def affine_of(graph: NodeGraph, node: NodeDef) -> tuple[np.float32, np.uint8]:
    """Returns the scale and the zero point, uint8, of a range; as TensorFlow rounds
    them, so that zero is one of the values.

    Raises:
        ValueError: unless it has 256 values.
    """
    low, high = (float(graph.value(name)) for name in node.input[1:3])
    if node.attr["num_bits"].i != 8 or node.attr["narrow_range"].b:
        raise ValueError(
            f"{node.name} rounds to {node.attr['num_bits'].i} bits; int8 formats take "
            "those of 8."
        )
    scale = np.float32((high - low) / 255 or 1)
    zero = np.clip(np.floor(-low / scale + 0.5), 0, 255)
    return scale, np.uint8(zero)


def with_rounded_biases(graph: NodeGraph) -> None:
    """Rounds biases as int8 runtimes have them, to whole multiples of the scale of what
    a layer takes times those of its weights.

    That is all by which they differ from the network that was trained, so that the
    graph gives what they give, but where a sum lies between two steps.
    """
    for node in list(graph.nodes.values()):
        scales = scales_of(graph, node)
        if scales is None:
            continue
        source = graph.source(node)
        while source.op in _KEEP_VALUES:
            source = graph.source(source)
        if source.op != RANGE:
            continue
        steps = np.float64(scales) * affine_of(graph, source)[0]
        for reader in [graph.nodes[name] for name in graph.consumers[node.name]]:
            bias = graph.value(reader.input[-1])
            if reader.op in ("BiasAdd", "AddV2") and bias is not None:
                graph.set_value(reader, np.round(bias / steps) * steps)
    graph.prune()


def for_tflite(graph: NodeGraph) -> None:
    """Makes of the graph what TFLite's converter takes.

    The ranges of weights are nodes. Dense layers are convolutions of 1x1, which alone
    it can have with a scale for each output.
    """
    _means_of_whole_images(graph)
    _ranges_before_concats(graph)
    for node in list(graph.nodes.values()):
        scales = scales_of(graph, node)
        if scales is None:
            continue
        if node.op == "MatMul":
            node = _as_convolution(graph, node)
        weights = graph.value(node.input[1])
        flat = outputs_last(node, weights)
        rounded = graph.add(
            _PER_OUTPUT,
            f"{node.name}/rounded_weights",
            [
                graph.constant(f"{node.name}/weights", flat),
                graph.constant(f"{node.name}/weights/min", -STEPS * scales),
                graph.constant(f"{node.name}/weights/max", STEPS * scales),
            ],
            num_bits=AttrValue(i=8),
            narrow_range=AttrValue(b=True),
        )
        if flat.shape != weights.shape:
            rounded = _reshaped(graph, rounded, weights.shape, tf.float32)
        graph.set_input(node, 1, rounded)
    graph.prune()


def _means_of_whole_images(graph: NodeGraph) -> None:
    """Replaces pools of whole images, whose range TFLite would have be that of what
    comes in, by means."""
    shapes = graph.shapes()
    for pool in graph.of("AvgPool"):
        window = list(pool.attr["ksize"].list.i)[1:3]
        whole = window == shapes[pool.input[0]].as_list()[1:3]
        if not whole or shapes[pool.name].as_list()[1:3] != [1, 1]:
            continue
        axes = graph.constant(f"{pool.name}/axes", np.array([1, 2], np.int32))
        mean = graph.add(
            "Mean",
            f"{pool.name}/mean",
            (pool.input[0], axes),
            T=pool.attr["T"],
            Tidx=type_attribute(tf.int32),
            keep_dims=AttrValue(b=True),
        )
        graph.bypass(pool.name, mean)


def _ranges_before_concats(graph: NodeGraph) -> None:
    """Rounds what others read too in the range of the concatenation it is a part of.

    TFLite has all parts in one range. It chooses that for what a concatenation alone
    reads; of two ranges in a row it would keep the first, so that a convolution with
    ones stands between.
    """
    shapes = graph.shapes()
    for end in graph.of(RANGE):
        concat = graph.source(end)
        if concat.op != "ConcatV2":
            continue
        for index, name in enumerate(list(concat.input)[:-1]):
            if graph.nodes[name].op != RANGE or graph.is_private(name):
                continue
            ones = np.ones([1, 1, shapes[name][-1], 1], np.float32)
            layer = graph.with_constant(
                "DepthwiseConv2dNative",
                f"{name}/as_part",
                name,
                ones,
                tf.float32,
                **_OF_ONE_PIXEL,
            )
            inputs = [layer, *end.input[1:]]
            part = graph.add(RANGE, f"{layer}/range", inputs, **end.attr)
            graph.set_input(concat, index, part)


def _as_convolution(graph: NodeGraph, dense: NodeDef) -> NodeDef:
    """Replaces a dense layer by a convolution of images of one pixel."""
    weights, dtype = graph.value(dense.input[1]), graph.dtype(dense)
    inputs, outputs = weights.shape
    images = _reshaped(graph, dense.input[0], (-1, 1, 1, inputs), dtype)
    layer = graph.with_constant(
        "Conv2D",
        f"{dense.name}/layer",
        images,
        weights.reshape(1, 1, inputs, outputs),
        dtype,
        **_OF_ONE_PIXEL,
    )
    # What follows reads rows again, behind the bias and the range if there are any.
    end, last = dense, layer
    while end.name not in graph.outputs and graph.is_private(end.name):
        follower = graph.nodes[graph.consumers[end.name][0]]
        if follower.op not in ("BiasAdd", "Relu", "Relu6", RANGE):
            break
        if follower.input[0] != end.name:
            break
        last = graph.add(
            follower.op,
            f"{follower.name}/of_images",
            [last, *follower.input[1:]],
            **follower.attr,
        )
        end = follower
    rows = _reshaped(graph, last, (-1, outputs), dtype)
    graph.redirect(end.name, rows)
    return graph.nodes[layer]


def _reshaped(graph: NodeGraph, name: str, shape, dtype: tf.DType) -> str:
    size = graph.constant(f"{name}/shape", np.array(shape, np.int32))
    return graph.add(
        "Reshape",
        f"{name}/reshaped",
        (name, size),
        T=type_attribute(dtype),
        Tshape=type_attribute(tf.int32),
    )
