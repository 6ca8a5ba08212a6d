"""The optimizers of `tf.contrib.opt` that are others with a step before or after.

Source: the public interface of tf.contrib.opt of TensorFlow 1.15; Loshchilov and
Hutter, "Decoupled Weight Decay Regularization", https://arxiv.org/abs/1711.05101.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

v1 = tf.compat.v1


def extend_with_decoupled_weight_decay(base_optimizer: type) -> type:
    """A sub-class of an optimizer that decays variables before it moves them.

    Its first argument is `weight_decay`: a variable becomes `(1 - weight_decay)` times
    itself in each step, whatever the learning rate; `apply_gradients` and `minimize`
    take `decay_var_list`, the variables that decay (None for all that move).
    """

    class Decoupled(base_optimizer):
        def __init__(self, weight_decay: Any, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self._weight_decay, self._decayed = weight_decay, None

        def minimize(self, loss, *args, decay_var_list=None, **kwargs):
            self._decayed = decay_var_list
            return super().minimize(loss, *args, **kwargs)

        def apply_gradients(
            self, grads_and_vars, global_step=None, name=None, decay_var_list=None
        ):
            pairs = list(grads_and_vars)
            decayed = decay_var_list or self._decayed
            moving = [v for gradient, v in pairs if gradient is not None]
            decays = [
                v1.assign_sub(v, self._weight_decay * v)
                for v in moving
                if decayed is None or any(v is one for one in decayed)
            ]
            with tf.control_dependencies(decays):
                return super().apply_gradients(pairs, global_step, name)

    Decoupled.__name__ = Decoupled.__qualname__ = f"{base_optimizer.__name__}W"
    return Decoupled


AdamWOptimizer = extend_with_decoupled_weight_decay(v1.train.AdamOptimizer)
MomentumWOptimizer = extend_with_decoupled_weight_decay(v1.train.MomentumOptimizer)


class MovingAverageOptimizer(v1.train.Optimizer):
    """An optimizer that keeps moving averages of the variables it moves."""

    def __init__(
        self, opt: v1.train.Optimizer, average_decay: float = 0.9999,
        num_updates: Any = None, sequential_update: bool = True,
    ):  # fmt: skip
        super().__init__(False, "MovingAverage")
        self._optimizer = opt
        self._averages = v1.train.ExponentialMovingAverage(average_decay, num_updates)
        self._sequential, self._swapped = sequential_update, {}

    def compute_gradients(self, *args, **kwargs):
        return self._optimizer.compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        pairs = list(grads_and_vars)
        moving = [v for gradient, v in pairs if gradient is not None]
        moved = self._optimizer.apply_gradients(pairs, global_step, name)
        with tf.control_dependencies([moved] if self._sequential else []):
            averaged = self._averages.apply(moving)
        self._swapped = {v.op.name: self._averages.average(v) for v in moving}
        return tf.group(moved, averaged)

    def swapping_saver(
        self, var_list: Any = None, name: str = "swapping_saver", **kwargs: Any
    ) -> v1.train.Saver:
        """A Saver that writes averages under their variables' names, and the reverse.

        Raises:
            RuntimeError: before `apply_gradients`.
        """
        if not self._swapped:
            raise RuntimeError("Must call apply_gradients before swapping_saver.")
        names = {v.op.name: v for v in var_list or v1.global_variables()}
        swapped = dict(names)
        for key, average in self._swapped.items():
            if key in names:
                swapped[key], swapped[average.op.name] = average, names[key]
        return v1.train.Saver(swapped, name=name, **kwargs)
