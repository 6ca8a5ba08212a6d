"""LARS: momentum with one learning rate for each layer, for large batches.

Source: You, Gitman & Ginsburg, arXiv:1708.03888, algorithm 1; biases and norms, as in
its implementations, take the global learning rate. A gradient here has the weight
decay in it already.
"""

from typing import Any

import keras
import tensorflow as tf


class Lars(keras.optimizers.Optimizer):
    """`v = momentum * v + rate * ratio * gradient; w = w - v`.

    The ratio of a variable of rank 2 or more is `trust * |w| / (|gradient| +
    epsilon)`, and 1 where either norm is 0; of any other it is 1.

    Args:
        learning_rate: a number or a schedule.
        momentum: as above.
        trust: the trust coefficient.
        epsilon: as above.
        name: the first part of its variables' names.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        trust: float = 0.001,
        epsilon: float = 1e-9,
        name: str = "lars",
    ):
        super().__init__(learning_rate, name=name)
        self.momentum = momentum
        self.trust = trust
        self.epsilon = epsilon

    def build(self, variables: list) -> None:
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        velocity = self.velocities[self._get_variable_index(variable)]
        rate = tf.cast(learning_rate, variable.dtype)
        if len(variable.shape) > 1:
            rate *= self._ratio(tf.convert_to_tensor(variable), gradient)
        step = self.momentum * tf.convert_to_tensor(velocity) + rate * gradient
        self.assign(velocity, step)
        self.assign_sub(variable, step)

    def _ratio(self, weights: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        size, slope = tf.norm(weights), tf.norm(gradient)
        ratio = self.trust * size / (slope + self.epsilon)
        return tf.where((size > 0) & (slope > 0), ratio, 1.0)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("momentum", "trust", "epsilon")}
        base = super().get_config()
        return {k: base[k] for k in ("name", "learning_rate")} | own
