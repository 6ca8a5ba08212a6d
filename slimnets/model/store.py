"""The variables of a Model: who has them, how they are made, what they cost.

A network function asks the variable scope for its variables; the custom getter of
here hands out one for each name, for good. In a tf.function that is being traced they
are made outside of the trace, and their initial values are drawn while it goes on.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from slimnets.layers import initializers
from slimnets.listing import nearest
from slimnets.model.network_state import Notes


class VariableStore(tf.Module):
    """A tf.Module that owns variables under the names that graph code gives them.

    Args:
        notes: what is known of the network.
        seed: as of `Model`.

    Attributes:
        trainable: whether the variables that can be trained are.
    """

    def __init__(self, notes: Notes, seed: int | None):
        super().__init__(name="model")
        self.seed = seed
        self.trainable = True
        self._notes = notes
        self._variables: dict[str, tf.Variable] = {}

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        """The variables under the names that graph code gives them, in its order."""
        return dict(self._variables)

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        return tuple(self._variables.values())

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        return self._of_training(True)

    @property
    def non_trainable_variables(self) -> tuple[tf.Variable, ...]:
        return self._of_training(False)

    def _of_training(self, trainable: bool) -> tuple[tf.Variable, ...]:
        """The variables that are trained, or those that are not."""
        variables = self._variables.values()
        return tuple(
            v for v in variables if (v.trainable and self.trainable) == trainable
        )

    def share_variables(self, other: VariableStore, names: Iterable[str]) -> None:
        """Uses variables of another Model of the same network, before it has any."""
        names = list(names)
        self._variables = {name: other._variables[name] for name in names}
        found = other._notes.regularizers
        self._notes.regularizers = {n: found[n] for n in names if n in found}

    def variable_by_name(self, name: str) -> tf.Variable:
        """Returns one variable. Raises KeyError with the nearest names."""
        if name not in self._variables:
            near = nearest(name, self._variables) or "none"
            raise KeyError(
                f"No variable {name!r} among {len(self._variables)}. Nearest: {near}."
            )
        return self._variables[name]

    @tf.autograph.experimental.do_not_convert
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
        found = self._notes.regularizers
        return sum_of_losses(found, self._variables, self.activation_losses())

    def activation_losses(self) -> list[tf.Tensor]:
        """Returns the losses of activations; see `regularization_loss`."""
        return list(self._notes.kept_losses())

    @property
    def regularizers(self) -> dict[str, Callable]:
        """Functions that give the losses of variables, by the variables' names."""
        return dict(self._notes.regularizers)

    @contextlib.contextmanager
    def _handing_out(self) -> Iterator[Callable]:
        """Yields a custom getter; new variables are kept when nothing has failed."""
        known = dict(self._variables)
        count = len(known)
        with _Outside() as outside:
            # TensorFlow looks for `constraint` in the signature, for each variable.
            def get(
                getter,
                name,
                shape,
                dtype,
                initializer,
                regularizer,
                trainable,
                aggregation,
                constraint=None,
                **kwargs,
            ) -> tf.Variable:
                variable = known.get(name)
                if variable is None:
                    self._check_unbuilt(name)
                    variable = known[name] = make_variable(
                        outside,
                        shape,
                        tf.float32 if dtype.size < 4 else dtype,
                        initializers.bind(initializer, name, self.seed),
                        name=name,
                        trainable=trainable,
                        aggregation=aggregation,
                    )
                    if regularizer is not None:
                        self._notes.regularizers[name] = regularizer
                _check_shape(variable, name, shape)
                return variable

            yield get
            outside.wait()
        if len(known) > count:
            self._variables = known

    def _check_unbuilt(self, name: str) -> None:
        if self._notes.built:
            raise RuntimeError(
                f"The network asks for a new variable {name!r} after it was built: "
                "its structure must not change from call to call."
            )


def sum_of_losses(
    regularizers: Mapping[str, Callable],
    variables: Mapping[str, tf.Variable],
    others: Iterable[tf.Tensor] = (),
) -> tf.Tensor:
    """The losses that regularizers give of variables, and other losses; 0 for none."""
    losses = [
        regularizer(variables[name])
        for name, regularizer in regularizers.items()
        if name in variables
    ]
    losses = [loss for loss in [*losses, *others] if loss is not None]
    return tf.add_n(losses) if losses else tf.constant(0.0)


def _check_shape(variable: tf.Variable, name: str, shape: Any) -> None:
    if tuple(variable.shape) != tuple(shape):
        raise ValueError(
            f"The variable {name!r} has shape {tuple(variable.shape)}, but these "
            f"inputs need {tuple(shape)}: the model was built for inputs with "
            "other channels."
        )


def make_variable(
    outside: _Outside, shape, dtype, initializer, **kwargs
) -> tf.Variable:
    """Makes a variable eagerly, whose initial value may come in `outside.wait()`."""
    strategy = tf.distribute.get_strategy()
    may_be_later = not tf.distribute.has_strategy()

    def make(initial_value) -> tf.Variable:
        with strategy.scope():
            return tf.Variable(initial_value, dtype=dtype, **kwargs)

    def draw(initializer=initializer) -> tf.Tensor:
        return tf.cast(initializer(shape, dtype=dtype), dtype)

    def make_outside() -> tf.Variable:
        prepared = initializers.prepared(initializer) if may_be_later else None
        if prepared is None:
            return make(draw)
        # Memory that nobody has written takes next to no time.
        variable = make(tf.raw_ops.Empty(shape=shape, dtype=dtype))
        outside.do_later(lambda: variable.assign(draw(prepared), read_value=False))
        return variable

    if tf.inside_function():
        return outside.run(make_outside)
    with tf.name_scope(""):
        return make(draw)


class _Outside:
    """Runs functions eagerly, outside of the tf.function that is being traced.

    A tf.function that sees a variable being made traces its body once more. A thread
    of its own is outside of the trace; another does what need not be waited for.
    """

    def __init__(self):
        self._stack = contextlib.ExitStack()
        self._threads: list[concurrent.futures.ThreadPoolExecutor] = []
        self._later: list[concurrent.futures.Future] = []

    def __enter__(self) -> _Outside:
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def _thread(self, index: int) -> concurrent.futures.ThreadPoolExecutor:
        if not self._threads:
            self._threads = [
                self._stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))
                for _ in range(2)
            ]
        return self._threads[index]

    def run(self, function: Callable) -> Any:
        """Returns what the function does."""
        return self._thread(0).submit(function).result()

    def do_later(self, function: Callable) -> None:
        """Has a function run, after those before it, by when `wait` returns."""
        self._later.append(self._thread(1).submit(function))

    def wait(self) -> None:
        """Waits for what was to be done later, and raises what it raised."""
        for future in self._later:
            future.result()
