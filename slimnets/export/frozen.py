"""A Model as a frozen graph: constants for variables, and names that never change."""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.export.fold import fold
from slimnets.export.graph import GraphDef, NodeGraph, set_constant
from slimnets.export.preactivation import activations_apart
from slimnets.export.precision import to_precision
from slimnets.export.quantized import is_quantized, with_rounded_biases
from slimnets.features import LEVELS
from slimnets.layers import conv_operations
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
            a network without classes; `features/C3` for a level; or a head's own.
        variables: the variables' names by those of their constants.
    """

    graph_def: GraphDef
    inputs: Mapping[str, tf.TensorSpec]
    outputs: tuple[str, ...]
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def folded(self, *, explicit_padding: bool = True) -> Frozen:
        """Returns it with fewer operations; see `fold`."""
        graph_def = fold(
            self.graph_def, self.outputs, explicit_padding=explicit_padding
        )
        return dataclasses.replace(self, graph_def=graph_def)

    def in_precision(self, precision: str) -> Frozen:
        """Returns it computing in `float32`, `bfloat16` or `float16`; folded, of a
        network that was trained for it, in `int8`: in float32 what int8 files give."""
        if precision == "int8":
            return changed(self, with_rounded_biases)
        graph_def = to_precision(self.graph_def, self.outputs, precision)
        return dataclasses.replace(self, graph_def=graph_def)

    def for_tensorflow(self) -> Frozen:
        """Returns it as TensorFlow's optimizer can fuse it; see `activations_apart`."""
        return changed(self, activations_apart)

    @property
    def quantized(self) -> bool:
        """Whether the network was trained for int8; see `quantized`."""
        return is_quantized(self.graph_def.node)

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


def changed(frozen: Frozen, *changes: Callable[[NodeGraph], None]) -> Frozen:
    """Returns a network with its nodes changed, by one function after the other."""
    graph = NodeGraph(frozen.graph_def, frozen.outputs)
    for change in changes:
        change(graph)
    return dataclasses.replace(frozen, graph_def=graph.to_graph_def())


def over_batches(
    frozen: Frozen,
    names: Sequence[str],
    measure: Callable[..., list[tf.Tensor]],
    batches: Sequence[Mapping[str, np.ndarray]],
) -> list[np.ndarray]:
    """Returns what is measured of tensors inside of a graph: each `[batches, ...]`.

    Args:
        frozen: the graph.
        names: of the tensors, as nodes name their inputs.
        measure: a function of the tensors that returns as many, or others.
        batches: inputs by name.
    """
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    # It would fuse what is looked at here, then fails with a line of its own.
    rewriting.remapping = rewriting.OFF
    with tf.Graph().as_default():
        values = tf.graph_util.import_graph_def(
            frozen.graph_def,
            return_elements=[_first_output(name) for name in names],
            name="",
        )
        measured = measure(*values)
        with tf.compat.v1.Session(config=config) as session:
            found = [
                session.run(measured, {_first_output(n): x for n, x in batch.items()})
                for batch in batches
            ]
    return [np.stack(each) for each in zip(*found, strict=True)]


def _first_output(name: str) -> str:
    return name if ":" in name else f"{name}:0"


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
    variables = _variables(model)
    made: dict[str, str] = {}

    def placeholder(getter: Callable, name: str, **kwargs: Any) -> tf.Tensor:
        del getter, kwargs
        variable = variables[name]
        given = tf.compat.v1.placeholder(variable.dtype, variable.shape, name)
        made[given.op.name] = name
        return given

    with tf.Graph().as_default() as graph:
        inputs = _structured(
            input_shape,
            lambda shape, name: tf.compat.v1.placeholder(tf.float32, shape, name),
        )
        built = _build(model, inputs, placeholder, levels)
        # TensorFlow gives no operation the name of a scope, such as a layer's.
        named = {value.op.name: name for name, value in built.items()}
        graph_def = tf.compat.v1.GraphDef()
        graph_def.CopyFrom(graph.as_graph_def())
    specs = {
        given.op.name: tf.TensorSpec(given.shape, given.dtype, given.op.name)
        for given in tf.nest.flatten(inputs)
    }
    # The values come last, so that there is one copy of them.
    for node in graph_def.node:
        node.name = named.get(node.name, node.name)
        if node.name in made:
            set_constant(node, variables[made[node.name]].numpy())
    return Frozen(graph_def, specs, tuple(built), made)


def as_function(
    model: Model,
    input_shape: Any,
    *,
    levels: Sequence[str] | None = None,
    jitter: float = 0.0,
) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns what `freeze` freezes as a function that reads the Model's variables.

    It takes inputs and gives outputs by name, as `Frozen.function`, and holds no copy
    of the weights.

    Args:
        model, input_shape, levels: as of `freeze`.
        jitter: by which share each value of a variable is changed at most, at random.

    Raises:
        ValueError, KeyError: as `freeze`.
    """
    variables = _variables(model)
    specs: dict[str, tf.TensorSpec] = {}

    def spec(shape: list[int | None], name: str) -> tf.TensorSpec:
        return specs.setdefault(name, tf.TensorSpec(shape, tf.float32, name))

    _structured(input_shape, spec)

    def read(getter: Callable, name: str, **kwargs: Any) -> tf.Tensor:
        del getter, kwargs
        value = tf.convert_to_tensor(variables[name])
        if jitter and value.dtype.is_floating:
            seed = [zlib.crc32(name.encode()) & 0x7FFFFFFF, 0]
            share = tf.random.stateless_uniform(value.shape, seed, -jitter, jitter)
            value *= tf.cast(1.0 + share, value.dtype)
        return value

    def compute(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        images = _structured(input_shape, lambda shape, name: inputs[name])
        return _build(model, images, read, levels)

    return tf.function(compute, autograph=False).get_concrete_function(**specs)


def outputs_of(
    function: Callable[..., Mapping[str, tf.Tensor]], inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns what a function of tensors by name, as `as_function` gives it, makes of
    arrays, as arrays."""
    outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def _variables(model: Model) -> dict[str, tf.Variable]:
    if not model.variables_by_name:
        raise ValueError(
            "The model has no variables yet; call it, load weights, or "
            "model.build(shape), first."
        )
    return model.variables_by_name


def _build(
    model: Model, inputs: Any, getter: Callable, levels: Sequence[str] | None
) -> dict[str, tf.Tensor]:
    """Builds the network with what `getter` gives for variables."""
    # A scope of its own, so that default names start anew and leave no trace.
    scope = tf.compat.v1.VariableScope(tf.compat.v1.AUTO_REUSE, custom_getter=getter)
    with tf.compat.v1.variable_scope(scope), conv_operations.without_gradients():
        result = model.build_in_graph(inputs, False)
    net, end_points = result if isinstance(result, tuple) else (result, {})
    return _named_outputs(model, net, end_points, levels)


def _is_shape(value: Any) -> bool:
    return not isinstance(value, Mapping) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def _structured(input_shape: Any, leaf: Callable[[list[int | None], str], Any]) -> Any:
    """Returns the structure of the inputs with `leaf(shape, name)` for each shape."""
    if _is_shape(input_shape):
        return leaf(list(input_shape), IMAGES)
    numbers = itertools.count()

    def made(part: Any) -> Any:
        if _is_shape(part):
            return leaf(list(part), f"{IMAGES}_{next(numbers)}")
        if isinstance(part, Mapping):
            return {key: made(part[key]) for key in sorted(part)}
        return type(part)(made(each) for each in part)

    return made(input_shape)


def _named_outputs(
    model: Model, net: Any, end_points: Any, levels: Sequence[str] | None
) -> dict[str, tf.Tensor]:
    """Adds nodes under the fixed names, and returns what they give.

    What a network gives by names keeps them.
    """
    known = getattr(end_points, "levels", {})
    if isinstance(net, Mapping):
        outputs = {name: tf.identity(value, name=name) for name, value in net.items()}
        levels = levels or ()
    else:
        name = LOGITS if model.num_classes else FEATURES
        net = tf.cast(net, tf.float32)
        outputs = {name: tf.identity(net, name=name)}
        if model.num_classes:
            outputs[PROBABILITIES] = tf.nn.softmax(net, name=PROBABILITIES)
    for level in [x for x in LEVELS if x in known] if levels is None else levels:
        name = f"{FEATURES}/{level}"
        with tf.name_scope(""):
            outputs[name] = tf.identity(end_points[level], name=name)
    return outputs
