"""Transforms of a frozen inference graph: fewer nodes, the same values.

Constants are computed once; identities and what only training needs go; a batch norm
becomes part of the convolution or dense layer before it, or of those after it. One
that stays, because an activation or a sum lies on both of its sides, becomes a scale
and a shift, and these move too where they can; see `preactivation`. What is left is
`Conv2D, BiasAdd, (AddV2,) Relu` wherever the network has these, which is the form that
runtimes compute in one go.

The arithmetic is that of Jacob et al., arXiv:1712.05877, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from slimnets.export.graph import (
    GraphDef,
    NodeDef,
    NodeGraph,
    is_channels_last,
    node_of,
)
from slimnets.export.padding import (
    dilations_into_convolutions,
    pads_into_convolutions,
)
from slimnets.export.preactivation import SUMS, scales_behind_relus, shifts_before_sums
from slimnets.export.quantized import choices_made, is_quantized, norms_to_layers
from slimnets.export.sizes import known_size, with_free_batch
from slimnets.export.weights import (
    add_bias,
    response,
    sees_padding,
    times_inputs,
    times_outputs,
    weights_of,
)
from slimnets.units.views import NORMS

# An IdentityN has a gradient of its own, as tf.nn.silu's; its other outputs are for it.
_IDENTITIES = (
    "CheckNumerics", "Identity", "IdentityN", "PreventGradient", "StopGradient",
)  # fmt: skip
# These move values, but none from one channel to another.
_TRANSPARENT = ("Squeeze", "ExpandDims", "BatchToSpaceND")

Shapes = Mapping[str, tf.TensorShape]


def fold(
    graph_def: GraphDef, outputs: Sequence[str], *, explicit_padding: bool = True
) -> GraphDef:
    """Returns a graph that gives the same outputs by fewer operations.

    Args:
        graph_def: a frozen graph for inference.
        outputs: names of the nodes that are asked for.
        explicit_padding: whether a padding with zeros becomes part of the convolution
            after it, and a dilation that is made of reshaped images too.

    Returns:
        A new GraphDef; nodes that have not changed keep their names.

    Raises:
        ValueError: for a batch norm in training mode.
    """
    graph = NodeGraph(graph_def, outputs)
    remove_identities(graph)
    fold_constants(graph)
    choices_made(graph)
    if explicit_padding:
        dilations_into_convolutions(graph)
        pads_into_convolutions(graph)
    norms_to_affine(graph)
    fold_affine(graph)
    if is_quantized(graph.nodes.values()):  # Its scales stay where they are.
        norms_to_layers(graph)
    else:
        scales_behind_relus(graph)
        shifts_before_sums(graph)
    return graph.to_graph_def()


def remove_identities(graph: NodeGraph) -> None:
    """Takes away nodes that give what they are given; outputs stay."""
    for node in graph.of(*_IDENTITIES):
        if node.name not in graph.outputs:
            graph.bypass(node.name, node.input[0])
    graph.prune()


def fold_constants(graph: NodeGraph) -> None:
    """Replaces nodes by the values that they have whatever the images are."""
    while found := _known_values(graph):
        for name, value in found.items():
            constant = graph.constant(f"{name}/folded", np.asarray(value))
            graph.bypass(name, constant)
        graph.prune()
    with_free_batch(graph)


def _known_values(graph: NodeGraph) -> dict[str, np.ndarray]:
    """Returns the values of nodes that do not depend on the images."""
    constant = {name for name, node in graph.nodes.items() if node.op == "Const"}
    # Only first outputs take a value's place.
    several = {
        node_of(source)
        for node in graph.nodes.values()
        for source in node.input
        if source != node_of(source)
    }
    for name, node in graph.nodes.items():
        known = all(node_of(source) in constant for source in node.input)
        if node.input and known and name not in several:
            constant.add(name)
    open_names = [
        name
        for name, node in graph.nodes.items()
        if node.input and name not in graph.outputs
    ]
    # Only the last of a row of nodes is computed; those before it then have no reader.
    wanted = [
        name
        for name in open_names
        if name in constant and not constant.issuperset(graph.consumers[name])
    ]
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(graph.sketch(), name="")
        with tf.compat.v1.Session() as session:
            large = filter(graph.is_large, graph.sources_of(wanted))
            values = session.run(
                [f"{name}:0" for name in wanted],
                {f"{name}:0": graph.value(name) for name in large},
            )
        found = dict(zip(wanted, values, strict=True))
        # Sizes of activations that do not depend on the number of images.
        for name in open_names:
            if name not in constant:
                value = known_size(graph, imported, name)
                if value is not None:
                    found[name] = value
    return found


def norms_to_affine(graph: NodeGraph) -> None:
    """Turns batch norms in inference into a product and a sum for each channel.

    Raises:
        ValueError: for a norm in training mode, or whose statistics are not constants.
    """
    shapes = graph.shapes()
    for norm in graph.of(*NORMS):
        found = [graph.value(name) for name in norm.input[1:5]]
        values = [value for value in found if value is not None]
        if norm.attr["is_training"].b or len(values) < len(found):
            raise ValueError(
                f"{norm.name} is not a batch norm for inference: it computes "
                "statistics of its own, or these are not constants."
            )
        if not is_channels_last(norm):
            continue
        gamma, beta, mean, variance = (v.astype(np.float64) for v in values)
        scale = gamma / np.sqrt(variance + norm.attr["epsilon"].f)
        last, inputs = _without_reshapes(graph, norm, shapes)
        dtype = graph.dtype(norm)
        total = graph.with_constant(
            "AddV2",
            f"{norm.name}/shift",
            graph.with_constant("Mul", f"{norm.name}/scale", inputs, scale, dtype),
            beta - mean * scale,
            dtype,
        )
        graph.bypass(last, total)
    graph.prune()


def _without_reshapes(
    graph: NodeGraph, norm: NodeDef, shapes: Shapes
) -> tuple[str, str]:
    """Returns the name of a norm's last node, and that of its input.

    A norm of a matrix or a row of points has it reshaped to images before and back
    after; a product and a sum need neither.
    """
    before = graph.source(norm)
    if before.op == "Reshape" and graph.is_private(norm.name):
        after = graph.nodes[graph.consumers[norm.name][0]]
        inputs = before.input[0]
        if after.op == "Reshape":
            size = graph.source(after, 1)
            old, new = shapes[inputs], shapes[after.name]
            of_inputs = size.op == "Shape" and size.input[0] == inputs
            one_unknown = old.rank and old.as_list().count(None) <= 1
            if of_inputs or (one_unknown and old.as_list() == new.as_list()):
                return after.name, inputs
    return norm.name, norm.input[0]


def fold_affine(graph: NodeGraph) -> None:
    """Moves products and sums with constants into the weights beside them."""
    for rule in (_fold_into_source, _fold_into_consumers, _fold_into_source):
        shapes = graph.shapes()
        nodes = graph.of("Mul", *SUMS)
        # Of a product and a sum, the one beside the convolution goes first.
        for node in reversed(nodes) if rule is _fold_into_consumers else nodes:
            parts = _split(graph, node, shapes)
            if parts is not None:
                rule(graph, node, *parts, shapes)
        graph.prune()


def _split(
    graph: NodeGraph, node: NodeDef, shapes: Shapes
) -> tuple[int, np.ndarray] | None:
    """Returns the index of the input that varies, and the other's constant values,
    one for each channel; None if it is not like that."""
    for index in (0, 1):
        value = graph.value(node.input[1 - index])
        shape = shapes.get(node.input[index])
        if value is None or shape is None or not shape.rank or not shape[-1]:
            continue
        of_channels = value.size == 1 or value.shape[-1:] == (value.size,)
        if of_channels and value.size in (1, shape[-1]) and value.ndim <= shape.rank:
            return index, np.broadcast_to(value.ravel(), (shape[-1],))
    return None


def _fold_into_source(graph, node, index, value, shapes) -> None:
    """Folds into the convolution before, if only `node` has its outputs.

    What lies between may change their shape, but not their channels.
    """
    source = graph.source(node, index)
    while source.op in _TRANSPARENT and graph.is_private(source.name):
        if shapes[source.name][-1] != shapes[source.input[0]][-1]:
            return
        source = graph.source(source)
    bias = None
    if source.op == "BiasAdd" and graph.is_private(source.name):
        bias, source = source, graph.source(source)
    weights = weights_of(graph, source)
    if weights is None or not graph.is_private(source.name):
        return
    if bias is None and node.op == "BiasAdd" and node.input[0] == source.name:
        return  # This is the form that is wanted.
    if node.op == "Mul":
        graph.set_value(source, times_outputs(source, weights, value))
    if bias is not None:
        old = graph.value(bias.input[1])
        new = old * value if node.op == "Mul" else old + value
        graph.set_value(bias, new)
    elif node.op != "Mul":
        add_bias(graph, source, value)
    graph.bypass(node.name, node.input[index])


def _fold_into_consumers(graph, node, index, value, shapes) -> None:
    """Folds into the convolutions after, if all that follow are such.

    A padding of zeros is not scaled, but it is not shifted either: a sum passes only
    into those that see none.
    """
    del shapes
    if node.name in graph.outputs:
        return
    readers = [graph.nodes[name] for name in graph.consumers[node.name]]
    weights = [weights_of(graph, reader) for reader in readers]
    if not readers or any(w is None for w in weights):
        return
    if node.op != "Mul" and any(map(sees_padding, readers, weights)):
        return
    for reader, old in zip(readers, weights, strict=True):
        if node.op == "Mul":
            graph.set_value(reader, times_inputs(reader, old, value))
        else:
            add_bias(graph, reader, response(reader, old, value))
    graph.bypass(node.name, node.input[index])
