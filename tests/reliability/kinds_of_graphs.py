"""Damaged graphs: bytes, and nodes that no TensorFlow would have written."""

import functools
import pathlib

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from tests.reliability.fuzzing import Kind
from tests.reliability.kinds_of_records import as_records
from tests.reliability.mutations import mutated


@functools.cache
def _graph() -> tf.compat.v1.GraphDef:
    from slimnets import layers
    from slimnets.scopes import arg_scope

    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
        with arg_scope([layers.conv2d], normalizer_fn=layers.batch_norm):
            net = layers.conv2d(images, 4, 3)
            net = layers.conv2d(
                net, 4, 3, weights_regularizer=layers.l2_regularizer(1.0)
            )
        net = layers.dropout(tf.reduce_mean(net, [1, 2]))
        layers.fully_connected(net, 2, activation_fn=None)
        return graph.as_graph_def()


def _damaged_graph(rng, graph) -> None:
    """Changes a few nodes of a GraphDef, which can be read all the same."""
    for _ in range(rng.integers(1, 6)):
        node, other = (graph.node[rng.integers(len(graph.node))] for _ in range(2))
        change = rng.integers(7)
        if change == 0:  # A circle, perhaps.
            node.input[:] = [other.name, *node.input[1:]]
        elif change == 1:
            node.input.append(other.name)
        elif change == 2:
            del node.input[:]
        elif change == 3:
            node.op = other.op
        elif change == 4:
            node.name = other.name
        elif change == 5 and node.attr:
            del node.attr[sorted(node.attr)[rng.integers(len(node.attr))]]
        else:
            _damage_attributes(rng, node)


def _damage_attributes(rng, node) -> None:
    for value in node.attr.values():
        if value.HasField("type"):
            value.type = int(rng.integers(200))
        for shape in (value.shape, value.tensor.tensor_shape):
            for dim in shape.dim:
                dim.size = int(rng.choice((-3, -1, 0, 1, 5, 2**31, 2**40, 2**62)))
        if value.HasField("tensor"):
            value.tensor.dtype = int(rng.integers(30))


def _in_graph(message_type, graph_of):
    """Damage to the bytes of a message, or to the graph that is in it."""

    def damage(rng, original: bytes) -> bytes:
        if rng.random() < 0.4:
            return mutated(rng, original)
        message = message_type.FromString(original)
        _damaged_graph(rng, graph_of(message))
        return message.SerializeToString()

    return damage


def _in_text(rng, original: bytes) -> bytes:
    if rng.random() < 0.4:
        return mutated(rng, original)
    graph = text_format.Parse(original.decode(), tf.compat.v1.GraphDef())
    _damaged_graph(rng, graph)
    return text_format.MessageToString(graph).encode()


def _in_log(rng, original: bytes) -> bytes:
    if rng.random() < 0.4:
        return mutated(rng, original)
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(_graph())
    _damaged_graph(rng, graph)
    event = tf.compat.v1.Event(graph_def=graph.SerializeToString())
    return as_records([event.SerializeToString()])


def _write_graph(path: str) -> None:
    tf.io.write_graph(_graph(), ".", path, as_text=path.endswith("txt"))


def _write_saved_model(path: str) -> None:
    module = tf.Module()
    module.weights = tf.Variable(tf.ones([3, 3, 3, 2]))
    module.call = tf.function(
        lambda x: tf.nn.relu(tf.nn.conv2d(x, module.weights, 1, "SAME")),
        input_signature=[tf.TensorSpec([None, 8, 8, 3])],
    )
    tf.saved_model.save(module, path)


def _write_log(path: str) -> None:
    with tf.Graph().as_default(), tf.compat.v1.summary.FileWriter(path) as writer:
        writer.add_graph(graph_def=_graph(), graph=None)
    (log,) = pathlib.Path(path).glob("*tfevents*")
    log.rename(pathlib.Path(path, "tfevents"))


def _read_graph(path: str) -> None:
    """As `slimnets lint` and `slimnets diff` do."""
    from slimnets import inspection

    str(inspection.lint_graph(path))
    str(inspection.diff(path, path))


KINDS = {
    "graph": Kind(
        _write_graph,
        "x.pb",
        _read_graph,
        damage=_in_graph(tf.compat.v1.GraphDef, lambda graph: graph),
    ),
    "graph_text": Kind(_write_graph, "x.pbtxt", _read_graph, damage=_in_text),
    "saved_model": Kind(
        _write_saved_model,
        "saved",
        _read_graph,
        damaged="saved/saved_model.pb",
        damage=_in_graph(
            saved_model_pb2.SavedModel, lambda saved: saved.meta_graphs[0].graph_def
        ),
    ),
    "log": Kind(_write_log, "log", _read_graph, damaged="log/tfevents", damage=_in_log),
}
