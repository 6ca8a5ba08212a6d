"""The recurrent cells of TensorFlow 1, `tf.nn.rnn_cell`, for `tf.nn.dynamic_rnn`.

Source: the public interface of tf.nn.rnn_cell of TensorFlow 1.15.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets.slim.contrib.layer_base import Layer

v1 = tf.compat.v1

LSTMStateTuple = collections.namedtuple("LSTMStateTuple", ("c", "h"))


class RNNCell(Layer):
    """A cell: `output, state = cell(inputs, state)`.

    A sub-class has `state_size`, `output_size` and `call(inputs, state)`.
    """

    base_name = "rnn_cell"

    def __call__(self, inputs, state, scope: Any = None):
        if scope is not None and self._scope is None:
            self._name = scope
        return super().__call__(inputs, state)

    def zero_state(self, batch_size: Any, dtype: tf.DType) -> Any:
        """A state of zeros for a batch."""
        return tf.nest.map_structure(
            lambda size: tf.zeros([batch_size, size], dtype), self.state_size
        )

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None) -> Any:
        """`zero_state`, of the inputs' batch and type where these are given."""
        if inputs is not None:
            batch_size, dtype = tf.shape(inputs)[0], inputs.dtype
        return self.zero_state(batch_size, dtype)


class _Units(RNNCell):
    """A cell of `num_units` whose gates are one matrix product."""

    def __init__(
        self, num_units: int, activation: Callable = tf.tanh, reuse: Any = None,
        name: str | None = None, **layer: Any,
    ):  # fmt: skip
        super().__init__(name=name, _reuse=reuse, **layer)
        self._units, self._activation = num_units, activation or tf.tanh

    @property
    def state_size(self) -> Any:
        return self._units

    @property
    def output_size(self) -> int:
        return self._units

    def _gates(
        self, prefix: str, shape: tf.TensorShape, gates: int, *, bias: float = 0.0,
        initializer: Any = None,
    ) -> None:  # fmt: skip
        for name, size, begun in (
            ("kernel", [shape[-1] + self._units, gates * self._units], initializer),
            ("bias", [gates * self._units], v1.constant_initializer(bias)),
        ):
            name = f"{prefix}{name}"
            setattr(self, name.replace("/", "_"), self.add_weight(name, size, begun))


class BasicRNNCell(_Units):
    """`output = state = activation(W [inputs, state] + b)`."""

    base_name = "basic_rnn_cell"

    def build(self, shape):
        self._gates("", shape, 1)

    def call(self, inputs, state):
        net = tf.concat([inputs, state], 1) @ self.kernel + self.bias
        output = self._activation(net)
        return output, output


class GRUCell(_Units):
    """Cho et al., https://arxiv.org/abs/1406.1078."""

    base_name = "gru_cell"

    def build(self, shape):
        self._gates("gates/", shape, 2, bias=1.0)
        self._gates("candidate/", shape, 1)

    def call(self, inputs, state):
        both = tf.concat([inputs, state], 1) @ self.gates_kernel + self.gates_bias
        reset, update = tf.split(tf.sigmoid(both), 2, 1)
        net = tf.concat([inputs, reset * state], 1)
        new = self._activation(net @ self.candidate_kernel + self.candidate_bias)
        new = update * state + (1 - update) * new
        return new, new


class BasicLSTMCell(_Units):
    """Zaremba et al., https://arxiv.org/abs/1409.2329."""

    base_name = "basic_lstm_cell"

    def __init__(
        self, num_units: int, forget_bias: float = 1.0, state_is_tuple: bool = True,
        activation: Callable = tf.tanh, **options: Any,
    ):  # fmt: skip
        super().__init__(num_units, activation, **options)
        self._forget_bias, self._tuple = forget_bias, state_is_tuple

    @property
    def state_size(self):
        if self._tuple:
            return LSTMStateTuple(self._units, self._units)
        return 2 * self._units

    def build(self, shape):
        self._gates("", shape, 4)

    def call(self, inputs, state):
        c, h = state if self._tuple else tf.split(state, 2, 1)
        gates = tf.concat([inputs, h], 1) @ self.kernel + self.bias
        i, j, f, o = tf.split(gates, 4, 1)
        c = c * tf.sigmoid(f + self._forget_bias) + tf.sigmoid(i) * self._activation(j)
        h = self._activation(c) * tf.sigmoid(o)
        return h, LSTMStateTuple(c, h) if self._tuple else tf.concat([c, h], 1)


class LSTMCell(BasicLSTMCell):
    """`BasicLSTMCell` under its other name, without peepholes and projections."""

    base_name = "lstm_cell"

    def __init__(self, num_units, use_peepholes=False, cell_clip=None, initializer=None,
                 num_proj=None, **options: Any):  # fmt: skip
        if use_peepholes or cell_clip is not None or num_proj is not None:
            raise NotImplementedError(
                "LSTMCell's use_peepholes, cell_clip and num_proj are not stood in for."
            )
        super().__init__(num_units, **options)
        self._initializer = initializer

    def build(self, shape):
        self._gates("", shape, 4, initializer=self._initializer)


class MultiRNNCell(RNNCell):
    """Cells on top of each other."""

    base_name = "multi_rnn_cell"

    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True):
        super().__init__()
        self._cells, self._tuple = list(cells), state_is_tuple

    @property
    def state_size(self):
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._tuple else sum(sizes)

    @property
    def output_size(self):
        return self._cells[-1].output_size

    def call(self, inputs, state):
        new = []
        if not self._tuple:
            state = tf.split(state, [cell.state_size for cell in self._cells], 1)
        for i, (cell, its) in enumerate(zip(self._cells, state, strict=True)):
            with v1.variable_scope(f"cell_{i}"):
                inputs, its = cell(inputs, its)
            new.append(its)
        return inputs, tuple(new) if self._tuple else tf.concat(new, 1)


class DropoutWrapper(RNNCell):
    """A cell with dropout of its inputs, state and outputs."""

    def __init__(self, cell: RNNCell, input_keep_prob=1.0, output_keep_prob=1.0,
                 state_keep_prob=1.0, seed=None, **_: Any):  # fmt: skip
        super().__init__()
        self._cell, self._seed = cell, seed
        self._kept = input_keep_prob, state_keep_prob, output_keep_prob

    @property
    def state_size(self):
        return self._cell.state_size

    @property
    def output_size(self):
        return self._cell.output_size

    def __call__(self, inputs, state, scope=None):
        of_input, of_state, of_output = self._kept
        output, new = self._cell(self._dropped(inputs, of_input), state, scope)
        if isinstance(new, LSTMStateTuple):  # The memory itself is kept.
            new = LSTMStateTuple(new.c, self._dropped(new.h, of_state))
        elif not isinstance(new, tuple):
            new = self._dropped(new, of_state)
        return self._dropped(output, of_output), new

    def _dropped(self, net: tf.Tensor, kept: Any) -> tf.Tensor:
        if isinstance(kept, float) and kept == 1.0:
            return net
        return tf.nn.dropout(net, rate=1.0 - kept, seed=self._seed)
