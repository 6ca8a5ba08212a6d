"""Exponential moving averages of a network's variables.

Named and warmed up as TF-Slim's training does it, with
`tf.train.ExponentialMovingAverage(decay, num_updates=global_step)` over all model
variables, moving statistics included: `NAME/ExponentialMovingAverage`.
"""

import contextlib
from collections.abc import Iterator, Mapping

import tensorflow as tf

from slimnets.checkpoints.base import AVERAGE


class Averages:
    """Averages of variables, which can stand in for them.

    Args:
        strategy: where the variables are.
        variables: the variables by name; those that are not floating are left out.
        decay: the share that an average keeps of itself in one update, at most; after
            n updates it is `min(decay, (1 + n) / (10 + n))`.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        variables: Mapping[str, tf.Variable],
        decay: float,
    ):
        self._strategy = strategy
        self._decay = decay
        self._averaged = {
            name: variable
            for name, variable in variables.items()
            if variable.dtype.is_floating
        }
        with strategy.scope():
            self._averages = {
                name: tf.Variable(
                    tf.convert_to_tensor(variable), trainable=False, name=name + AVERAGE
                )
                for name, variable in self._averaged.items()
            }

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        """The averages by the names that checkpoints have of them."""
        return {name + AVERAGE: average for name, average in self._averages.items()}

    def update(self, updates: tf.Tensor) -> None:
        """Takes in what the variables are now; not inside of a replica.

        Args:
            updates: how many updates came before.
        """
        updates = tf.cast(updates, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + updates) / (10.0 + updates))
        for name, average in self._averages.items():
            self._strategy.extended.update(
                average, _approach, args=(self._averaged[name], decay)
            )

    def restart(self) -> None:
        """Begins anew with what the variables are."""
        for name, average in self._averages.items():
            average.assign(tf.identity(self._averaged[name]))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """As long as the context lasts, averages and variables have changed places."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Has averages and variables change places."""
        for name, average in self._averages.items():
            variable = self._averaged[name]
            value = tf.identity(variable)
            variable.assign(tf.identity(average))
            average.assign(value)


def _approach(average: tf.Variable, value: tf.Tensor, decay: tf.Tensor) -> None:
    value = tf.convert_to_tensor(value)
    average.assign_sub((1.0 - tf.cast(decay, value.dtype)) * (average - value))
