"""Model: any network function as a tf.Module for TF2.

The network function stays graph code: it asks the variable scope for variables, and
the scope's custom getter hands out the Model's own. So the names are the ones that
graph code has, and one function serves both.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import difflib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets import checkpoints, factory, variables
from slimnets.end_points import EndPoints
from slimnets.features import features as features_of
from slimnets.layers import common, initializers, native
from slimnets.scopes import arg_scope, current_arg_scope

_PRECISIONS = {
    "float32": tf.float32,
    "bfloat16": tf.bfloat16,
    "float16": tf.float16,
}

# Network functions are graph code, with no control flow for AutoGraph to convert: that
# would only cost time and bury what an error says.
_as_written = tf.autograph.experimental.do_not_convert


class Model(tf.Module):
    """A network that owns its variables.

        model = slimnets.Model("resnet_v2_50", num_classes=10)
        logits = model(images, training=False)

    It works eagerly, where it runs as a tf.function with one trace for each kind of
    input, inside the caller's own tf.function, and under the strategies of
    tf.distribute. The arg scope that is open where a Model is made is opened again
    whenever its network is built.

    Args:
        network: a registered name, or a function `network(inputs, ...)` that returns
            outputs or `(outputs, end_points)`.
        num_classes: number of classes; None or 0 gives features.
        precision: `float32`, `bfloat16` or `float16`: what the network computes in.
            Variables, batch statistics and the returned logits are float32.
        seed: an integer from which, with the variables' names, the initial weights
            follow; None draws new ones.
        jit: whether XLA compiles what the Model runs as a tf.function of its own;
            inside the caller's tf.function that decides.
        **kwargs: further arguments of the network function.

    Raises:
        ValueError: for an unknown network or precision; when it is built, for `jit`
            where XLA has only slow convolutions, see `native.check_compiled`.
        TypeError: for a network that is neither a name nor a function, or an argument
            that it does not take.
    """

    def __init__(
        self,
        network: str | Callable,
        *,
        num_classes: int | None = None,
        precision: str = "float32",
        seed: int | None = None,
        jit: bool = False,
        **kwargs: Any,
    ):
        if isinstance(network, str):
            info = factory.network_info(network)
            network_name, function = info.name, info.network
        elif callable(network):
            network_name, function = getattr(network, "__name__", "network"), network
        else:
            raise TypeError(
                f"network is a registered name or a function; got {network!r}."
            )
        if precision not in _PRECISIONS:
            raise ValueError(
                f"precision={precision!r}; allowed are {', '.join(_PRECISIONS)}."
            )
        super().__init__(name="model")
        self.network_name = network_name
        self.num_classes = num_classes
        self.precision = precision
        self.seed = seed
        self.jit = jit
        self.default_image_size = getattr(function, "default_image_size", None)
        self._open_arg_scope = functools.partial(arg_scope, dict(current_arg_scope()))
        self._network = _bound(function, network_name, num_classes, kwargs)
        self._variables: dict[str, tf.Variable] = {}
        self._notes = _Notes(function, kwargs)
        self._forget_traces()

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
        if _runs_inline() or self._must_give_losses(images, training):
            return self._forward_outputs(images, training)
        return self._forward(images, training)

    def build(self, input_shape: Sequence[int | None] | Any) -> None:
        """Makes the variables.

        Args:
            input_shape: `[batch, height, width, channels]`, None where unknown; or a
                list, tuple or dict of such shapes for a network of several inputs.
        """
        specs = tf.nest.map_structure(
            lambda shape: tf.TensorSpec(shape, tf.float32), _shapes(input_shape)
        )
        with tf.init_scope():
            self._forward.get_concrete_function(specs, False)

    @_as_written
    def end_points(self, images: Any, training: bool | tf.Tensor = False) -> EndPoints:
        """Returns every activation by name; see `EndPoints`."""
        self._ensure_built(images)
        run = self._end_point_values if _runs_inline() else self._forward_end_points
        values = run(images, training, None)
        return self._notes.end_points.with_values(values)

    @_as_written
    def features(
        self,
        images: Any,
        levels: Sequence[str] = ("C2", "C3", "C4", "C5"),
        training: bool | tf.Tensor = False,
        normalized: bool = False,
    ) -> dict[str, tf.Tensor]:
        """Returns `{level: activation}`; computes only what these need.

        Args:
            images: as of a call.
            levels: levels, or other names that the end points answer to.
            training: as of a call.
            normalized: whether the features of pre-activation networks are those
                after the following norm and activation.

        Raises:
            KeyError: for a level or end point that the network does not have.
        """
        self._ensure_built(images)
        run = self._end_point_values if _runs_inline() else self._forward_end_points
        return dict(run(images, training, tuple(levels), normalized))

    @property
    def network_function(self) -> Callable:
        """The network function, without the arguments that the Model gives it."""
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
        specs = tf.nest.map_structure(
            lambda shape: tf.TensorSpec(shape, tf.float32), _shapes(input_shape)
        )
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
        with self._open_arg_scope():
            return self._network(images, training)

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        """The variables under the names that graph code gives them, in its order."""
        return dict(self._variables)

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        return tuple(self._variables.values())

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        return tuple(v for v in self._variables.values() if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple[tf.Variable, ...]:
        return tuple(v for v in self._variables.values() if not v.trainable)

    def variable_by_name(self, name: str) -> tf.Variable:
        """Returns one variable. Raises KeyError with the nearest names."""
        if name not in self._variables:
            near = difflib.get_close_matches(name, self._variables, n=3)
            raise KeyError(
                f"No variable {name!r} among {len(self._variables)}. "
                f"Nearest: {', '.join(near) or 'none'}."
            )
        return self._variables[name]

    @_as_written
    def regularization_loss(self) -> tf.Tensor:
        """Returns the sum of all regularizers' losses; 0 where there are none.

        To the losses of variables come those of activations, if the network has any:
        of the last call with training, if that was here, in the same tf.function and
        replica or in eager code.

        Raises:
            RuntimeError: before the variables are made.
        """
        if not self._variables:
            raise RuntimeError(
                "The model has no variables yet; call it, or model.build(shape), first."
            )
        losses = [
            regularizer(self._variables[name])
            for name, regularizer in self._notes.regularizers.items()
        ]
        losses = [loss for loss in losses if loss is not None]
        losses += self.activation_losses()
        return tf.add_n(losses) if losses else tf.constant(0.0)

    def activation_losses(self) -> list[tf.Tensor]:
        """Returns the losses of activations; see `regularization_loss`."""
        return list(self._notes.kept_losses())

    @property
    def regularizers(self) -> dict[str, Callable]:
        """Functions that give the losses of variables, by the variables' names."""
        return dict(self._notes.regularizers)

    def load(self, path: str, **kwargs: Any):
        """Loads weights; see `slimnets.load_weights`. Returns its report."""
        return checkpoints.load_weights(path, self, **kwargs)

    def save(self, path: str, **kwargs: Any) -> str:
        """Writes a name-keyed checkpoint; see `slimnets.save_weights`."""
        return checkpoints.save_weights(path, self, **kwargs)

    @property
    def trace_count(self) -> int:
        """How often the network function has run to build a graph or eagerly."""
        return self._notes.runs

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
        if common.static_bool(training) is False:
            return False
        if not self._notes.built:
            self._forward.get_concrete_function(images, training)
        return self._notes.has_losses

    def _forward_outputs(self, images, training=False):
        return self._run(images, training)[0]

    def _end_point_values(self, images, training, levels, normalized=False):
        _, end_points = self._run(images, training)
        if end_points is None:
            raise ValueError(f"The network {self.network_name!r} gives no end points.")
        if levels is None:
            return dict(end_points)
        return features_of(end_points, levels, normalized=normalized)

    def _run(self, images, training) -> tuple[Any, EndPoints | None]:
        dtype = _PRECISIONS[self.precision]
        images = tf.nest.map_structure(lambda x: tf.cast(x, dtype), images)
        outside = _Outside()
        scope = tf.compat.v1.VariableScope(
            tf.compat.v1.AUTO_REUSE,
            custom_getter=functools.partial(self._get_variable, outside),
        )
        with (
            self._notes.run(),
            contextlib.closing(outside),
            self._open_arg_scope(),
            tf.compat.v1.variable_scope(scope),
            variables.collecting_losses() as losses,
        ):
            result = self._network(images, training)
            if self.jit and not tf.executing_eagerly():
                native.check_compiled(tf.compat.v1.get_default_graph())
            self._notes.has_losses |= bool(losses)
            self._notes.built = True
        if common.static_bool(training) is not False:
            self._notes.keep_losses(losses)
        outputs, end_points = result if isinstance(result, tuple) else (result, None)
        if end_points is not None and not isinstance(end_points, EndPoints):
            end_points = EndPoints(end_points)
        if end_points is not None:
            self._notes.end_points = end_points.with_values(dict.fromkeys(end_points))
        return tf.nest.map_structure(_widened, outputs), end_points

    def _get_variable(
        self,
        outside,
        getter,
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        trainable,
        **kwargs,
    ) -> tf.Variable:
        """The custom getter: one variable for each name, for good."""
        variable = self._variables.get(name)
        if variable is None:
            if self._notes.built:
                raise RuntimeError(
                    f"The network asks for a new variable {name!r} after it was built: "
                    "its structure must not change from call to call."
                )
            dtype = tf.float32 if dtype.size < 4 else dtype
            variable = self._make_variable(
                outside,
                name,
                shape,
                dtype,
                initializer,
                trainable,
                kwargs["aggregation"],
            )
            self._variables[name] = variable
            if regularizer is not None:
                self._notes.regularizers[name] = regularizer
        elif tuple(variable.shape) != tuple(shape):
            raise ValueError(
                f"The variable {name!r} has shape {tuple(variable.shape)}, but these "
                f"inputs need {tuple(shape)}: the model was built for inputs with "
                "other channels."
            )
        return variable

    def _make_variable(
        self, outside, name, shape, dtype, initializer, trainable, aggregation
    ):
        initializer = initializers.bind(initializer, name, self.seed)
        strategy = tf.distribute.get_strategy()

        def make():
            with strategy.scope():
                return tf.Variable(
                    lambda: tf.cast(initializer(shape, dtype=dtype), dtype),
                    trainable=trainable,
                    name=name,
                    dtype=dtype,
                    aggregation=aggregation,
                )

        if not tf.inside_function():
            with tf.name_scope(""):
                return make()
        return outside.run(make)


class _Outside:
    """Runs functions eagerly, outside of the tf.function that is being traced.

    A tf.function that sees a variable being made traces its body once more. A thread
    of its own is outside of the trace.
    """

    def __init__(self):
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None

    def run(self, function: Callable) -> Any:
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1)
        return self._thread.submit(function).result()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()


class _Notes:
    """What a Model keeps that TensorFlow should not track."""

    def __init__(self, function: Callable, options: dict[str, Any]):
        self.function = function
        self.options = dict(options)
        self.regularizers: dict[str, Callable] = {}
        self.end_points: EndPoints | None = None
        self.built = False
        self.has_losses = False
        self.runs = 0
        # By thread, because replicas of a strategy have one each.
        self._last = threading.local()
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Counts a run; until the Model is built, one thread's at a time."""
        with self._lock:
            self.runs += 1
            if not self.built:
                yield
                return
        yield

    def keep_losses(self, losses: list[tf.Tensor]) -> None:
        """Remembers the losses of activations of a call with training."""
        self._last.losses, self._last.graph = losses, _graph()

    def kept_losses(self) -> list[tf.Tensor]:
        """Those of this thread's last call, if the same graph is open, or none."""
        here = getattr(self._last, "graph", self) is _graph()
        return self._last.losses if here else []


def _graph() -> tf.Graph | None:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _runs_inline() -> bool:
    """Whether to run in the caller's function rather than the Model's own.

    Updates of moving averages agree between replicas by a merge call, which cannot
    stand in a function inside a replica.
    """
    if tf.inside_function() or not tf.executing_eagerly():
        return True
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def _widened(outputs: tf.Tensor) -> tf.Tensor:
    return tf.cast(outputs, tf.float32) if outputs.dtype.size < 4 else outputs


def _shapes(input_shape: Any) -> Any:
    """Returns one tf.TensorShape, or the given structure of them."""
    if isinstance(input_shape, tf.TensorShape):
        return input_shape
    if all(size is None or isinstance(size, int) for size in input_shape):
        return tf.TensorShape(input_shape)
    if isinstance(input_shape, dict):
        return {key: _shapes(shape) for key, shape in input_shape.items()}
    return type(input_shape)(_shapes(shape) for shape in input_shape)


def _bound(
    function: Callable, name: str, num_classes: int | None, kwargs: dict[str, Any]
) -> Callable[[Any, Any], Any]:
    """Returns `network(images, training)` with all other arguments checked and set."""
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if num_classes is not None:
        kwargs = {"num_classes": num_classes, **kwargs}
    for keyword in kwargs:
        if keyword not in parameters and not takes_any:
            near = difflib.get_close_matches(keyword, parameters, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"The network {name!r} does not take {keyword!r}.{hint} "
                f"It takes: {', '.join(parameters)}."
            )
    takes_training = "is_training" in parameters or takes_any

    def network(images, training):
        if takes_training:
            return function(images, is_training=training, **kwargs)
        return function(images, **kwargs)

    return network
