"""Initial values of weights: TF-Slim's distributions in few graph operations.

With a graph seed (`tf.compat.v1.set_random_seed`) or a Model's seed the values are a
function of the seed and the variable's name alone, so that they are the same in
graph code and TF2, and in any order of building.

Source: Glorot & Bengio 2010 (xavier), He et al. 2015 (fan in, factor 2); defaults of
tf_slim/layers/initializers.py.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import zlib

import tensorflow as tf

# A normal distribution cut off at two standard deviations has this variance factor.
_TRUNCATED_STDDEV_FACTOR = 1.3
_MODES = ("FAN_IN", "FAN_OUT", "FAN_AVG")


def zeros(shape, dtype=tf.float32, partition_info=None) -> tf.Tensor:
    """Returns zeros: one constant in the graph."""
    return tf.constant(0, dtype, shape)


def ones(shape, dtype=tf.float32, partition_info=None) -> tf.Tensor:
    """Returns ones: one constant in the graph."""
    return tf.constant(1, dtype, shape)


@dataclasses.dataclass(frozen=True)
class VarianceScaling:
    """Draws weights of variance `factor / fan`; TF-Slim's
    `variance_scaling_initializer` and, for FAN_AVG, factor 1 and uniform, `xavier`.

    Attributes:
        factor: multiplies the variance.
        mode: which fan: `FAN_IN`, `FAN_OUT` or their mean, `FAN_AVG`.
        uniform: uniform, or else normal cut off at two standard deviations.
        seed: an integer, or None for the graph's or TensorFlow's own.
    """

    factor: float = 2.0
    mode: str = "FAN_IN"
    uniform: bool = False
    seed: int | None = None

    def __post_init__(self):
        if self.mode not in _MODES:
            raise ValueError(f"mode={self.mode!r}; allowed are {_MODES}.")

    def __call__(
        self, shape, dtype=tf.float32, partition_info=None, name=None, op_seeds=None
    ):
        """Returns weights `[..., fan in, fan out]` for the variable `name`.

        Args:
            shape: of the weights.
            dtype: of the weights.
            partition_info: not used.
            name: what seeded values depend on.
            op_seeds: see `prepared`.
        """
        shape = [int(size) for size in shape]
        spread = self._spread(shape)
        seed = self.seed if self.seed is not None else graph_seed()
        if seed is not None:
            values = self._seeded(shape, (seed, zlib.crc32((name or "").encode())))
        else:
            # One pass over the values, where tf.random takes three.
            seed, seed2 = op_seeds or _op_seeds()
            draw = (
                tf.raw_ops.RandomUniform if self.uniform else tf.raw_ops.TruncatedNormal
            )
            values = draw(shape=shape, dtype=tf.float32, seed=seed, seed2=seed2)
            if self.uniform:
                values = values * 2.0 - 1.0
        return tf.cast(values * spread, dtype)

    def _seeded(self, shape, seed):
        seed = tf.constant([s & 0x7FFFFFFF for s in seed], tf.int32)
        if self.uniform:
            return tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
        return tf.random.stateless_truncated_normal(shape, seed)

    def _spread(self, shape) -> float:
        receptive = math.prod(shape[:-2])
        fan_in = receptive * (shape[-2] if len(shape) > 1 else shape[-1])
        fan_out = receptive * shape[-1]
        fans = {
            "FAN_IN": fan_in,
            "FAN_OUT": fan_out,
            "FAN_AVG": (fan_in + fan_out) / 2.0,
        }
        variance = self.factor / max(fans[self.mode], 1.0)
        if self.uniform:
            return math.sqrt(3.0 * variance)
        return math.sqrt(_TRUNCATED_STDDEV_FACTOR * variance)


@dataclasses.dataclass(frozen=True)
class TruncatedNormal(VarianceScaling):
    """Draws weights from a normal distribution cut off at two standard deviations.

    Attributes:
        stddev: of the distribution before it is cut off, whatever the fans.
    """

    stddev: float = 1.0

    def _spread(self, shape) -> float:
        return self.stddev


def graph_seed() -> int | None:
    """The seed of the graph that is being built; None in eager code."""
    if tf.executing_eagerly():
        return None
    return tf.compat.v1.get_default_graph().seed


def _op_seeds() -> tuple[int, int]:
    """The seeds of the next operation: in eager code, those of tf.random.set_seed."""
    if not tf.executing_eagerly():
        return 0, 0
    seed, seed2 = tf.compat.v1.get_seed(None)
    return seed or 0, seed2 or 0


def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: int | None = None,
) -> VarianceScaling:
    """TF-Slim's initializer of this name. See `VarianceScaling`."""
    return VarianceScaling(factor, mode, uniform, seed)


def xavier_initializer(
    uniform: bool = True, seed: int | None = None
) -> VarianceScaling:
    """TF-Slim's initializer of this name. See `VarianceScaling`."""
    return VarianceScaling(1.0, "FAN_AVG", uniform, seed)


def truncated_normal_initializer(
    stddev: float, seed: int | None = None
) -> TruncatedNormal:
    """TensorFlow's initializer of this name, of mean 0. See `TruncatedNormal`."""
    return TruncatedNormal(stddev=stddev, seed=seed)


def bind(initializer, name: str, seed: int | None = None):
    """Returns `initializer` as a function of shape and dtype for one variable.

    Args:
        initializer: a `VarianceScaling` or any initializer of TensorFlow, TF-Slim or
            Keras.
        name: the variable's full name, from which seeded values depend.
        seed: used where the initializer has none of its own.
    """
    if isinstance(initializer, type):
        initializer = initializer()
    if isinstance(getattr(initializer, "func", None), VarianceScaling):
        initializer = initializer.func  # Bound before, by the layer.
    if isinstance(initializer, VarianceScaling):
        if initializer.seed is None and seed is not None:
            initializer = dataclasses.replace(initializer, seed=seed)
        return functools.partial(initializer, name=name)
    return initializer


def prepared(initializer):
    """Returns a bound `VarianceScaling` that can be called in another thread.

    It gives there, at any time, what it would give here and now. None for any other
    initializer, of which that is not known.
    """
    scaling = getattr(initializer, "func", None)
    if not isinstance(scaling, VarianceScaling):
        return None
    if scaling.seed is not None:
        return initializer
    return functools.partial(initializer, op_seeds=_op_seeds())


XAVIER = xavier_initializer()
