"""A Model as a frozen graph: constants for variables, and names that never change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.export.fold import fold
from slimnets.export.graph import GraphDef
from slimnets.export.preactivation import activations_apart
from slimnets.export.precision import to_precision
from slimnets.features import LEVELS
from slimnets.model import Model

IMAGES, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
FEATURES = "features"


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A frozen graph and the names of what goes in and comes out.

    Attributes:
        graph_def: the graph.
        inputs: the placeholders' shapes and types by name: `images`, or `images_0`,
            `images_1` ... for a network of several.
        outputs: names of what it gives: `logits` and `probabilities`, or `features` of
            a network without classes; and `features/C3` for a level.
    """

    graph_def: GraphDef
    inputs: Mapping[str, tf.TensorSpec]
    outputs: tuple[str, ...]

    def folded(self, *, explicit_padding: bool = True) -> Frozen:
        """Returns it with fewer operations; see `fold`."""
        graph_def = fold(
            self.graph_def, self.outputs, explicit_padding=explicit_padding
        )
        return dataclasses.replace(self, graph_def=graph_def)

    def in_precision(self, precision: str) -> Frozen:
        """Returns it computing in `float32`, `bfloat16` or `float16`."""
        graph_def = to_precision(self.graph_def, self.outputs, precision)
        return dataclasses.replace(self, graph_def=graph_def)

    def for_tensorflow(self) -> Frozen:
        """Returns it as TensorFlow's optimizer can fuse it; see `activations_apart`."""
        graph_def = activations_apart(self.graph_def, self.outputs)
        return dataclasses.replace(self, graph_def=graph_def)

    def function(self) -> Callable[..., dict[str, tf.Tensor]]:
        """Returns a function, of one trace, from inputs to outputs by name."""

        def compute(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            values = tf.graph_util.import_graph_def(
                self.graph_def,
                input_map=inputs,
                return_elements=[f"{name}:0" for name in self.outputs],
                name="",
            )
            return dict(zip(self.outputs, values, strict=True))

        specs = {
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in self.inputs.items()
        }
        return tf.function(compute, autograph=False).get_concrete_function(**specs)


def freeze(
    model: Model,
    input_shape: Any,
    *,
    levels: Sequence[str] | None = None,
) -> Frozen:
    """Builds a Model's network for inference, with constants for its variables.

    Args:
        model: a Model with variables.
        input_shape: `[batch, height, width, channels]`, None for a free batch; or a
            list, tuple or dict of shapes for a network of several inputs.
        levels: which levels it gives too; None for those of C2 to C5 that it has.

    Returns:
        The graph in float32, whatever the Model computes in.

    Raises:
        ValueError: if the Model has no variables yet.
        KeyError: for a level that the network does not have.
    """
    if not model.variables_by_name:
        raise ValueError(
            "The model has no variables yet; call it, load weights, or "
            "model.build(shape), first."
        )
    values = {name: v.numpy() for name, v in model.variables_by_name.items()}

    def constant(getter: Callable, name: str, **kwargs: Any) -> tf.Tensor:
        del getter, kwargs
        return tf.constant(values[name], name=name)

    with tf.Graph().as_default() as graph:
        inputs = _placeholders(input_shape)
        with tf.compat.v1.variable_scope("", custom_getter=constant):
            result = model.build_in_graph(inputs, False)
        net, end_points = result if isinstance(result, tuple) else (result, {})
        outputs = _name_outputs(model, net, end_points, levels)
        names = [p.op.name for p in tf.nest.flatten(inputs)]
        graph_def = tf.compat.v1.GraphDef()
        graph_def.CopyFrom(graph.as_graph_def())
        specs = {n: tf.TensorSpec(_shape_of(graph, n), tf.float32, n) for n in names}
    return Frozen(graph_def, specs, outputs)


def input_names(input_shape: Any) -> list[str]:
    """The names of the inputs of these shapes, in the order of tf.nest.flatten."""
    if _is_shape(input_shape):
        return [IMAGES]
    return [f"{IMAGES}_{i}" for i in range(len(shapes_of(input_shape)))]


def shapes_of(input_shape: Any) -> list[list[int | None]]:
    """Returns one shape, or those of a structure, as a list."""
    if _is_shape(input_shape):
        return [list(input_shape)]
    parts = input_shape
    if isinstance(parts, Mapping):
        parts = [parts[key] for key in sorted(parts)]
    return [shape for part in parts for shape in shapes_of(part)]


def _is_shape(value: Any) -> bool:
    return not isinstance(value, Mapping) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def _placeholders(input_shape: Any) -> Any:
    names = iter(input_names(input_shape))

    def made(part: Any) -> Any:
        if _is_shape(part):
            return tf.compat.v1.placeholder(tf.float32, list(part), next(names))
        if isinstance(part, Mapping):
            return {key: made(part[key]) for key in sorted(part)}
        return type(part)(made(each) for each in part)

    return made(input_shape)


def _name_outputs(
    model: Model, net: tf.Tensor, end_points: Any, levels: Sequence[str] | None
) -> tuple[str, ...]:
    """Adds nodes under the fixed names, and returns these."""
    names = [LOGITS if model.num_classes else FEATURES]
    net = tf.cast(net, tf.float32)
    tf.identity(net, name=names[0])
    if model.num_classes:
        tf.nn.softmax(net, name=PROBABILITIES)
        names.append(PROBABILITIES)
    known = getattr(end_points, "levels", {})
    for level in [x for x in LEVELS if x in known] if levels is None else levels:
        with tf.name_scope(""):
            tf.identity(end_points[level], name=f"{FEATURES}/{level}")
        names.append(f"{FEATURES}/{level}")
    return tuple(names)


def _shape_of(graph: tf.Graph, name: str) -> tf.TensorShape:
    return graph.get_tensor_by_name(f"{name}:0").shape
