"""Batch norm's statistics, taken anew of the weights as they are.

Moving averages lag behind the weights, and averaged weights have none of their own.
Source: Wu & Johnson, arXiv:2105.07576, section 3.1 ("precise" statistics): the mean of
the batches' statistics under fixed weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import tensorflow as tf

from slimnets.layers import recomputing
from slimnets.model import Model

_STATISTICS = ("moving_mean", "moving_variance")


def statistics_of(model: Model) -> dict[str, tf.Variable]:
    """The moving averages of a model's batch norms by name."""
    return {
        name: variable
        for name, variable in model.variables_by_name.items()
        if name.rpartition("/")[-1] in _STATISTICS
    }


class Recalibration:
    """Replaces a model's moving averages by the mean over batches in training mode.

    Args:
        strategy: where the model has its variables.
        model: whose other variables stay as they are.
    """

    def __init__(self, strategy: tf.distribute.Strategy, model: Model):
        self._statistics = statistics_of(model)

        def forward(inputs, targets):
            with recomputing.batch_statistics():
                model(inputs, training=True)

        # Kept, so that evaluations while training trace the network once.
        self._run = tf.function(
            lambda batches: strategy.run(forward, args=next(batches))
        )

    def __call__(self, batches: Iterator, number: int) -> Mapping[str, tf.Variable]:
        """Does so.

        Args:
            batches: pairs of inputs and targets, for `strategy.run`.
            number: how many of them are taken.

        Returns:
            The moving averages that were replaced, by name.
        """
        sums = dict.fromkeys(self._statistics, 0.0)
        for _ in range(number):
            self._run(batches)
            for name, variable in self._statistics.items():
                sums[name] += tf.convert_to_tensor(variable).numpy().astype("float64")
        for name, variable in self._statistics.items():
            variable.assign(tf.cast(sums[name] / number, variable.dtype))
        return self._statistics
