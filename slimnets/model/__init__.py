"""Model: any network function as a tf.Module for TF2.

The network function stays graph code: it asks the variable scope for variables, and
the scope's custom getter hands out the Model's own. So the names are the ones that
graph code has, and one function serves both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import checkpoints, variables
from slimnets import rules as layer_rules
from slimnets.end_points import EndPoints
from slimnets.features import features as features_of
from slimnets.layers import building, conv_operations
from slimnets.model import arguments, pretrained
from slimnets.model.described import DescribedModel
from slimnets.model.network_state import Notes
from slimnets.scopes import arg_scope

_PRECISIONS = {
    "float32": tf.float32,
    "bfloat16": tf.bfloat16,
    "float16": tf.float16,
}

# Network functions are graph code, with no control flow for AutoGraph to convert: that
# would only cost time and bury what an error says.
_as_written = tf.autograph.experimental.do_not_convert


class Model(DescribedModel):
    """A network that owns its variables.

        model = slimnets.Model("resnet_v2_50", num_classes=10)
        logits = model(images, training=False)
        trained = slimnets.Model("resnet50", weights="timm")

    It works eagerly, where it runs as a tf.function with one trace for each kind of
    input, inside the caller's own tf.function, and under the strategies of
    tf.distribute. The arg scope and the rules that are open where a Model is made are
    opened again whenever its network is built. `model.trainable = False` makes it
    that of inference in training too: it has no trainable variables then, and batch
    norms keep their statistics; what was traced before in a tf.function of the
    caller's stays as it was.

    Args:
        network: a registered name, or a function `network(inputs, ...)` that returns
            outputs or `(outputs, end_points)`.
        num_classes: number of classes; None or 0 gives features. With `weights` None
            is for as many as they have; of another number the logits are new.
        weights: public weights by name, of those in `slimnets.weights.list_weights()`:
            `timm`, `timm/a1_in1k`, `keras`, `best`; they are fetched if need be. Or a
            path as of `load`. The Model is then built, and `preprocessing` the name of
            how images become its input, as far as that is known.
        precision: `float32`, `bfloat16` or `float16`: what the network computes in.
            Variables, batch statistics and the returned logits are float32.
        seed: an integer from which, with the variables' names, the initial weights
            follow; None draws new ones.
        jit: whether XLA compiles what the Model runs as a tf.function of its own;
            inside the caller's tf.function that decides.
        rules: other arguments for layers, by their places; see `slimnets.layer_rules`.
        **kwargs: further arguments of the network function; of `weights` those that
            their metadata say, unless they are given.

    Raises:
        ValueError: for an unknown network, precision or weights; when it is built, for
            `jit` where XLA has only slow convolutions, see
            `conv_operations.check_compiled`, and for a rule that does nothing.
        TypeError: for a network that is neither a name nor a function, or an argument
            that it does not take.
    """

    def __init__(
        self,
        network: str | Callable,
        num_classes: int | None = None,
        *,
        weights: str | os.PathLike | None = None,
        precision: str = "float32",
        seed: int | None = None,
        jit: bool = False,
        rules: layer_rules.RuleValues = (),
        **kwargs: Any,
    ):
        network_name, function = arguments.named(network)
        if precision not in _PRECISIONS:
            raise ValueError(
                f"precision={precision!r}; allowed are {', '.join(_PRECISIONS)}."
            )
        self.rules = layer_rules.taken_over(rules)
        ruled = layer_rules.ruled(function, self.rules)
        found = classes = None
        if weights is not None:
            found = pretrained.open_named(weights, network_name)
            kwargs = {**pretrained.options_in(found, network_name), **kwargs}
            classes = pretrained.classes_in(found, network_name, function, kwargs)
            num_classes = classes if num_classes is None else num_classes
        super().__init__(Notes(ruled if self.rules else function, kwargs), seed)
        self.network_name = network_name
        self.num_classes = num_classes
        self.precision = precision
        self.jit = jit
        self.default_image_size = getattr(function, "default_image_size", None)
        self._notes.keep_input_metadata(found.metadata if found else {})
        self._notes.arguments = {
            **{"network": network, "num_classes": num_classes, "seed": seed},
            **{"precision": precision, "jit": jit, "rules": self.rules.pairs},
            **kwargs,
        }
        self._network = arguments.bound(ruled, network_name, num_classes, kwargs)
        self._forget_traces()
        if found is not None:
            pretrained.fill(self, found, classes)

    @_as_written
    def __call__(self, images: Any, training: bool | tf.Tensor = False) -> tf.Tensor:
        """Returns the network's outputs, in float32.

        Args:
            images: `[batch, height, width, channels]`, or what the network takes: a
                tensor, or a list, tuple or dict of tensors.
            training: whether batch norms use the batch's statistics and update their
                moving averages, and dropout drops.
        """
        self._ensure_built(images)
        training = self._training(training)
        if arguments.runs_inline() or self._must_give_losses(images, training):
            return self._forward_outputs(images, training)
        return self._forward(images, training)

    def build(self, input_shape: Sequence[int | None] | Any) -> None:
        """Makes the variables.

        Args:
            input_shape: `[batch, height, width, channels]`, None where unknown; or a
                list, tuple or dict of such shapes for a network of several inputs.
        """
        with tf.init_scope():
            self._forward.get_concrete_function(arguments.specs(input_shape), False)

    @_as_written
    def end_points(self, images: Any, training: bool | tf.Tensor = False) -> EndPoints:
        """Returns every activation by name; see `EndPoints`."""
        values = self._activations(images, training, None)
        return self._notes.end_points.with_values(values)

    @_as_written
    def with_end_points(
        self, images: Any, training: bool | tf.Tensor = False
    ) -> tuple[tf.Tensor, EndPoints]:
        """Returns the outputs and every activation of one run, for a caller's own
        tf.function: gradients of the ones with regard to the others are there.

        Raises:
            ValueError: if the network gives no end points.
        """
        self._ensure_built(images)
        return self._outputs_and_end_points(images, self._training(training))

    @_as_written
    def features(
        self,
        images: Any,
        levels: str | Sequence[str] = ("C2", "C3", "C4", "C5"),
        training: bool | tf.Tensor = False,
        normalized: bool = False,
    ) -> dict[str, tf.Tensor]:
        """Returns `{level: activation}`; computes only what these need.

        Args:
            images: as of a call.
            levels: levels, or other names that the end points answer to; or one.
            training: as of a call.
            normalized: whether the features of pre-activation networks are those
                after the following norm and activation.

        Raises:
            KeyError: for a level or end point that the network does not have.
        """
        levels = (levels,) if isinstance(levels, str) else tuple(levels)
        return dict(self._activations(images, training, levels, normalized))

    @property
    def network_function(self) -> Callable:
        """The network function with the Model's rules, without its arguments."""
        return self._notes.function

    @property
    def network_options(self) -> dict[str, Any]:
        """The further arguments that the Model gives it."""
        return dict(self._notes.options)

    def adopt_variables(self, variables_: Mapping[str, tf.Variable]) -> None:
        """Uses other variables from now on, and forgets what has been traced.

        Args:
            variables_: for each of the Model's names a variable of the same shape.

        Raises:
            ValueError: if names or shapes are not the Model's.
        """
        wanted = {name: v.shape for name, v in self._variables.items()}
        given = {name: v.shape for name, v in variables_.items()}
        if given != wanted:
            different = sorted(wanted.items() ^ given.items(), key=str)
            raise ValueError(
                f"These are not the Model's variables; what differs: {different[:4]}."
            )
        self._variables.update({name: variables_[name] for name in wanted})
        self._forget_traces()

    def _forget_traces(self) -> None:
        options = {"autograph": False, "jit_compile": True if self.jit else None}
        self._forward = tf.function(self._forward_outputs, **options)
        self._forward_end_points = tf.function(self._end_point_values, **options)
        # As an attribute of the instance it is saved by tf.saved_model.save, so that
        # the loaded object can be called; Python itself calls the class's own.
        self.__dict__["__call__"] = self._forward

    def output_shape(self, input_shape: Any) -> tf.TensorShape:
        """Returns the shape of the outputs for inputs of a shape; as of `build`."""
        specs = arguments.specs(input_shape)
        with tf.init_scope():
            return self._forward.get_concrete_function(specs, False).output_shapes

    def build_in_graph(self, images: Any, training: bool | tf.Tensor = False) -> Any:
        """Builds the same network in the default graph, with variables of its own.

        Args:
            images: the inputs, tensors of that graph.
            training: as of a call.

        Returns:
            What the network function does.
        """
        with arg_scope(self._notes.arg_scope):
            return self._network(images, training)

    def load(self, path: str | os.PathLike, **kwargs: Any) -> checkpoints.LoadReport:
        """Loads weights; see `slimnets.load_weights`. Returns its report.

        A Model that is not built yet is built for the images of the weights.
        """
        reader = checkpoints.read_checkpoint(path)
        if not self._variables and (shape := pretrained.input_shape_of(reader, self)):
            self.build(shape)
        return checkpoints.load_weights(reader, self, **kwargs)

    def save(self, path: str, **kwargs: Any) -> str:
        """Writes a name-keyed checkpoint; see `slimnets.save_weights`."""
        return checkpoints.save_weights(path, self, **kwargs)

    @property
    def trace_count(self) -> int:
        """How often the network function has run to build a graph or eagerly."""
        return self._notes.runs

    def _training(self, training: bool | tf.Tensor) -> bool | tf.Tensor:
        return training if self.trainable else False

    def _ensure_built(self, images: Any) -> None:
        """In a replica, variables must be made before the replicas part."""
        if self._variables or tf.distribute.in_cross_replica_context():
            return
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return
        shapes = tf.nest.map_structure(lambda x: tf.TensorShape(x.shape), images)
        context.merge_call(lambda strategy: self.build(shapes))

    def _must_give_losses(self, images, training) -> bool:
        """Whether an eager call runs without a function of its own, from which the
        losses of activations could not come out."""
        if building.static_bool(training) is False:
            return False
        if not self._notes.built:
            self._forward.get_concrete_function(images, training)
        return self._notes.has_losses

    def _forward_outputs(self, images, training=False):
        return self._run(images, training)[0]

    def _activations(self, images, training, levels, normalized=False):
        self._ensure_built(images)
        inline = arguments.runs_inline()
        run = self._end_point_values if inline else self._forward_end_points
        return run(images, self._training(training), levels, normalized)

    def _end_point_values(self, images, training, levels, normalized=False):
        _, end_points = self._outputs_and_end_points(images, training)
        if levels is None:
            return {**end_points, **end_points.further}
        return features_of(end_points, levels, normalized=normalized)

    def _outputs_and_end_points(self, images, training):
        outputs, end_points = self._run(images, training)
        if end_points is None:
            raise ValueError(f"The network {self.network_name!r} gives no end points.")
        return outputs, end_points

    def _run(self, images, training) -> tuple[Any, EndPoints | None]:
        dtype = _PRECISIONS[self.precision]
        images = tf.nest.map_structure(lambda x: tf.cast(x, dtype), images)
        self._notes.keep_inputs(images)
        reuse = tf.compat.v1.AUTO_REUSE
        with self._notes.run():
            with (
                self._handing_out() as getter,
                arg_scope(self._notes.arg_scope),
                tf.compat.v1.variable_scope(
                    tf.compat.v1.VariableScope(reuse, custom_getter=getter)
                ),
                variables.collecting_losses() as losses,
            ):
                result = self._network(images, training)
                if self.jit and not tf.executing_eagerly():
                    conv_operations.check_compiled(tf.compat.v1.get_default_graph())
            self._notes.has_losses |= bool(losses)
            self._notes.built = True
        if building.static_bool(training) is not False:
            self._notes.keep_losses(losses)
        outputs, end_points = arguments.outputs_of(result)
        if end_points is not None:
            self._notes.end_points = end_points.with_values(
                dict.fromkeys([*end_points, *end_points.further])
            )
        return tf.nest.map_structure(_widened, outputs), end_points


def _widened(outputs: tf.Tensor) -> tf.Tensor:
    return tf.cast(outputs, tf.float32) if outputs.dtype.size < 4 else outputs
