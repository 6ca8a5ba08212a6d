"""Networks of cells: what makes one, and how it is built.

Source: [1] Zoph et al., Learning Transferable Architectures for Scalable Image
Recognition, arXiv:1707.07012; names and layout of research/slim's nets/nasnet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.layers.common import static_bool
from slimnets.nets.chains import Chain
from slimnets.nets.heads import aux_pool, describe, network_scope, predict
from slimnets.nets.nasnet_cells import (
    NASNET_NORMAL,
    NASNET_REDUCTION,
    Cell,
    State,
    build_cell,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """What makes a network of cells.

    Attributes:
        num_cells: number of normal cells.
        num_conv_filters: channels of a state of the first ones.
        stem_multiplier: of the stem's channels.
        normal: the normal cell.
        reduction: the cell with stride 2; None for the normal one, with stride.
        skip_reduction_layer_input: whether the cell after a reduction takes the output
            of the cell before it, rather than the reduction's input.
        drop_path_keep_prob: of the last cell, in training.
        dense_dropout_keep_prob: of the features before the logits.
        total_training_steps: over which drop path grows to its full strength, if the
            step is known.
        imagenet: whether the stem is that for ImageNet.
        filter_scaling_rate: how much wider cells are after a reduction.
        num_reduction_layers: number of reductions after the stem.
        use_aux_head: whether training has logits for a second loss.
        zero_padded_pools: whether strided pools are padded with zeros, which count, as
            in Keras Applications.
    """

    num_cells: int
    num_conv_filters: int
    stem_multiplier: float
    normal: Cell = NASNET_NORMAL
    reduction: Cell | None = NASNET_REDUCTION
    skip_reduction_layer_input: bool = False
    drop_path_keep_prob: float = 1.0
    dense_dropout_keep_prob: float = 0.5
    total_training_steps: int = 250_000
    imagenet: bool = True
    filter_scaling_rate: float = 2.0
    num_reduction_layers: int = 2
    use_aux_head: bool = True
    zero_padded_pools: bool = False

    @property
    def reductions(self) -> list[int]:
        """The numbers of the cells that a reduction comes before, or that are one."""
        parts = self.num_reduction_layers + 1
        return [self.num_cells * part // parts for part in range(1, parts)]

    @property
    def total_cells(self) -> int:
        """Number of cells, those of the stem and the reductions counted."""
        reductions = 0 if self.reduction is None else self.num_reduction_layers
        return self.num_cells + reductions + (2 if self.imagenet else 0)


class _Cells:
    """Builds the cells one after the other."""

    def __init__(
        self,
        config: Config,
        drop_path: Callable[[tf.Tensor, int], tf.Tensor],
    ):
        self._config = config
        self._drop_path = drop_path
        self._outputs: list[State | None] = []
        self._built = 0
        self._scaling = 1.0

    def steps(self, images: tf.Tensor) -> Iterator[tuple[str, State]]:
        """Yields the key and the output of the stem and of each cell."""
        stem = self._imagenet_stem if self._config.imagenet else self._cifar_stem
        yield "Stem", stem(images)
        for number in range(self._config.num_cells):
            yield from self._steps_of(number)

    def _steps_of(self, number: int) -> Iterator[tuple[str, State]]:
        config = self._config
        before, stride = self._outputs[-2], 1
        if number in config.reductions:
            self._scaling *= config.filter_scaling_rate
            if config.reduction is None:
                stride = 2
            else:
                index = config.reductions.index(number)
                yield (
                    f"Reduction_Cell_{index}",
                    self._cell(config.reduction, before, 2, f"reduction_cell_{index}"),
                )
                if not config.skip_reduction_layer_input:
                    before = self._outputs[-2]
        cell = self._cell(config.normal, before, stride, f"cell_{number}")
        yield f"Cell_{number}", cell

    def _cell(self, row: Cell, before: State | None, stride: int, scope: str) -> State:
        number, self._built = self._built, self._built + 1
        state = build_cell(
            row,
            self._outputs[-1],
            before,
            int(self._config.num_conv_filters * self._scaling),
            stride,
            scope,
            drop_path=lambda net: self._drop_path(net, number),
            zero_padded_pools=self._config.zero_padded_pools,
        )
        self._outputs.append(state)
        return state

    def _imagenet_stem(self, images: tf.Tensor) -> State:
        config = self._config
        depth = int(32 * config.stem_multiplier)
        net = layers.conv2d(images, depth, 3, 2, "VALID", scope="conv0")
        net = layers.batch_norm(net, scope="conv0_bn")
        self._outputs = [None, State(net, 2)]
        row = config.reduction or config.normal
        for index, power in ((0, 2), (1, 1)):
            self._scaling = 1.0 / config.filter_scaling_rate**power
            self._cell(row, self._outputs[-2], 2, f"cell_stem_{index}")
        self._scaling = 1.0
        return self._outputs[-1]

    def _cifar_stem(self, images: tf.Tensor) -> State:
        depth = int(self._config.num_conv_filters * self._config.stem_multiplier)
        net = layers.conv2d(images, depth, 3, scope="l1_stem_3x3")
        net = layers.batch_norm(net, scope="l1_stem_bn")
        self._outputs = [None, State(net, 1)]
        return self._outputs[-1]


def _drop_path(
    config: Config, is_training: bool | tf.Tensor | None, current_step: Any
) -> Callable[[tf.Tensor, int], tf.Tensor]:
    """Returns what drops paths of a cell, the more the deeper it lies [1]."""
    keep = config.drop_path_keep_prob
    if keep == 1.0 or (is_training is not None and static_bool(is_training) is False):
        return lambda net, number: net
    if current_step is None and not tf.executing_eagerly():
        current_step = tf.compat.v1.train.get_global_step()
    progress = 1.0
    if current_step is not None:
        steps = tf.cast(current_step, tf.float32) / config.total_training_steps
        progress = tf.minimum(1.0, steps)

    def drop_path(net: tf.Tensor, number: int) -> tf.Tensor:
        depth = (number + 1) / config.total_cells
        keep_prob = 1.0 - progress * depth * (1.0 - keep)
        shape = tf.stack([tf.shape(net)[0], 1, 1, 1])
        return layers.dropout(net, keep_prob, noise_shape=shape, scope="drop_path")

    return drop_path


def _aux_logits(net: tf.Tensor, num_classes: int, side: int, scope: str) -> tf.Tensor:
    """Logits for a second loss; `side` is that of an image of unknown size."""
    with tf.compat.v1.variable_scope(scope), tf.compat.v1.variable_scope("aux_logits"):
        net = aux_pool(tf.nn.relu(net), "AvgPool2D")
        net = layers.conv2d(net, 128, 1, scope="proj")
        net = tf.nn.relu(layers.batch_norm(net, scope="aux_bn0"))
        sizes = net.shape.as_list()[1:3]
        kernel = tuple(size or (side - 5) // 3 + 1 for size in sizes)
        net = layers.conv2d(net, 768, kernel, padding="VALID", scope="Conv")
        net = tf.nn.relu(layers.batch_norm(net, scope="aux_bn1"))
        return layers.fully_connected(tf.squeeze(net, [1, 2]), num_classes, scope="FC")


def network_of_cells(
    chain: Chain, make_config: Callable[[], Config], summary: str
) -> Callable:
    """Returns the network function of a configuration.

    Args:
        chain: its name, arg scope and image size.
        make_config: gives the default of its argument `config`.
        summary: of its docstring.
    """

    def network(
        images: tf.Tensor,
        num_classes: int | None = 1001,
        is_training: bool | tf.Tensor | None = True,
        final_endpoint: str | None = None,
        config: Config | None = None,
        current_step: Any = None,
        create_aux_logits: bool | None = None,
        scope: Any = None,
        reuse: Any = None,
    ):
        config = make_config() if config is None else config
        # A Model's variables are the same in each call.
        in_model = tf.compat.v1.get_variable_scope().custom_getter is not None
        training = is_training is None or static_bool(is_training) is not False
        auxiliary = config.use_aux_head and (training or in_model)
        if create_aux_logits is not None:
            auxiliary = create_aux_logits
        aux_cell = config.reductions[-1] - 1 if len(config.reductions) > 1 else None
        opened = tf.compat.v1.get_variable_scope() if scope is None else scope
        with network_scope(
            images,
            opened,
            chain.name,
            chain.arg_scope(),
            is_training,
            num_classes,
            reuse,
        ) as (end_points, _):
            drop_path = _drop_path(config, is_training, current_step)
            for key, state in _Cells(config, drop_path).steps(images):
                end_points[key] = state.net
                if key == final_endpoint:
                    return state.net, end_points
                if auxiliary and num_classes and key == f"Cell_{aux_cell}":
                    side = -(-chain.image_size // state.stride)
                    end_points["AuxLogits"] = _aux_logits(
                        state.net, num_classes, side, f"aux_{aux_cell}"
                    )
            if final_endpoint not in (None, "global_pool", "Logits", "Predictions"):
                raise ValueError(
                    f"{chain.name}: unknown final endpoint {final_endpoint!r}; allowed "
                    f"are {', '.join(end_points)}."
                )
            with tf.compat.v1.variable_scope("final_layer"):
                net = tf.reduce_mean(tf.nn.relu(state.net), [1, 2])
                end_points["global_pool"] = net
                if not num_classes or final_endpoint == "global_pool":
                    return net, end_points
                net = layers.dropout(
                    net, config.dense_dropout_keep_prob, scope="dropout"
                )
                logits = layers.fully_connected(net, num_classes, scope="FC")
                predict(logits, layers.softmax, end_points)
        return logits, end_points

    network.__doc__ = f"{summary}\n\n{_ARGUMENTS}"
    return describe(network, chain, "inception")


_ARGUMENTS = """Args:
    images: `[batch, height, width, channels]`.
    num_classes: number of classes; None or 0 gives the pooled features.
    is_training: whether batch norms use the batch's statistics, and dropout and drop
        path drop: a bool, a scalar bool tensor, or None for the open arg scopes'.
    final_endpoint: the last cell that is built: `Stem`, `Cell_0`, `Reduction_Cell_0`
        ... or `global_pool`.
    config: what makes the network, instead of its own.
    current_step: of the training, with which drop path grows; None for the graph's
        global step, and full strength where there is none.
    create_aux_logits: whether to make the end point `AuxLogits`, for a second loss;
        None does unless is_training is False, as TF-Slim, and always in a Model. Their
        weights depend on the size of the images.
    scope: name of a variable scope; None for the open one, as TF-Slim.
    reuse: as in `tf.compat.v1.variable_scope`.

Returns:
    `(net, end_points)`: logits or features `[batch, depth]`, and the outputs of all
    cells by name.

Raises:
    ValueError: if the images are not images of known channels, or for an unknown end
        point.
"""

_NO_LEVELS = "its cells mix activations of two strides, and its stem does not pad"


def chain_of(
    name: str, arg_scope_fn: Callable, image_size: int, keras: bool = False
) -> Chain:
    """Returns what is known of a network of cells."""
    return Chain(
        name,
        (),
        arg_scope_fn,
        image_size=image_size,
        no_levels=_NO_LEVELS,
        sources=(("keras", ("keras_nasnet",)),) if keras else (),
        root="l1_stem_3x3/weights" if image_size == 32 else "conv0/weights",
        logits="final_layer/FC/biases",
    )
