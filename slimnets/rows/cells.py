"""Networks of cells: what makes one, as data, and the rows of it.

Source: [1] Zoph et al., Learning Transferable Architectures for Scalable Image
Recognition, arXiv:1707.07012; names and layout of research/slim's nets/nasnet.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.layers.building import is_channels_first, static_bool
from slimnets.rows.changes import with_activation
from slimnets.rows.head_layers import (
    AuxiliaryPool,
    Dropout,
    GlobalPool,
    Logits,
    Predictions,
    Squeeze,
    WindowConv,
)
from slimnets.rows.heads import Auxiliary, Head
from slimnets.rows.row import Row
from slimnets.rows.stage import Stage, check_drop_path
from slimnets.scopes import Scope
from slimnets.units import Conv, Norm
from slimnets.units.cells import NASNET_NORMAL, NASNET_REDUCTION, Cell, cell_unit


@dataclasses.dataclass
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
        data_format: of all end points: `NHWC` or `NCHW`; images have channels last.
        use_bounded_activation: whether all activations are between -6 and 6.
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
    data_format: str = "NHWC"
    use_bounded_activation: bool = False

    def set_hparam(self, name: str, value: Any) -> None:
        """Sets an attribute by its name. Raises KeyError for one that there is not."""
        names = [field.name for field in dataclasses.fields(self)]
        if name not in names:
            raise KeyError(f"{name!r} is not in a Config; it has {', '.join(names)}.")
        setattr(self, name, value)

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

    @property
    def auxiliary_cell(self) -> int | None:
        """The number of the cell that auxiliary logits are made of."""
        reductions = self.reductions
        return reductions[-1] - 1 if len(reductions) > 1 else None

    def root(self) -> tuple[Any, ...]:
        """Returns the stem's convolution and norm."""
        if self.imagenet:
            depth = int(32 * self.stem_multiplier)
            conv = Conv("conv0", depth, 3, 2, "VALID", further=True)
            return (conv, Norm("conv0_bn", further=True))
        depth = int(self.num_conv_filters * self.stem_multiplier)
        conv = Conv("l1_stem_3x3", depth, further=True)
        return (conv, Norm("l1_stem_bn", key="Stem"))

    def stages(self, drop: Callable[[tf.Tensor, int], tf.Tensor]) -> tuple[Stage, ...]:
        """Returns the cells, a stage for each size of activations.

        Args:
            drop: drops paths of the cell of a number.
        """
        stages: list[list[dict[str, Any]]] = [[]]
        number = 0

        def add(cell, scaling, stride, scope, key, before=-2):
            nonlocal number
            if stride > 1 and stages[-1]:
                stages.append([])
            row = {
                "cell": cell,
                "depth": self.num_conv_filters,
                "scaling": scaling,
                "stride": stride,
                "scope": scope,
                "key": key,
                "before": before,
                "drop_path": functools.partial(drop, number=number),
                "zero_padded_pools": self.zero_padded_pools,
                "bounded": self.use_bounded_activation,
            }
            stages[-1].append(row)
            number += 1

        rate, reduction = self.filter_scaling_rate, self.reduction or self.normal
        if self.imagenet:
            add(reduction, rate**-2, 2, "cell_stem_0", "")
            add(reduction, rate**-1, 2, "cell_stem_1", "Stem")
        scaling = 1.0
        for cell in range(self.num_cells):
            stride, before = 1, -2
            if cell in self.reductions:
                scaling *= rate
                index = self.reductions.index(cell)
                if self.reduction is None:
                    stride = 2
                else:
                    key = f"Reduction_Cell_{index}"
                    add(self.reduction, scaling, 2, key.lower(), key)
                    if self.skip_reduction_layer_input:
                        before = -3
            add(self.normal, scaling, stride, f"cell_{cell}", f"Cell_{cell}", before)
        return tuple(
            Stage(
                "",
                cell_unit,
                len(each),
                each[0]["stride"],
                each=tuple(tuple(row.items()) for row in each),
            )
            for each in stages
            if each
        )

    def auxiliary(self, image_size: int) -> Auxiliary | None:
        """Returns what makes the second logits, if they can be made.

        Args:
            image_size: the side of images of unknown size, in pixels.
        """
        cell = self.auxiliary_cell
        if cell is None:
            return None
        stride = 8 if self.imagenet else 1
        side = -(-image_size // (stride * 2 ** (len(self.reductions) - 1)))
        whole = Conv("Conv", 768, padding="VALID")
        return Auxiliary(
            f"Cell_{cell}",
            (
                AuxiliaryPool("AvgPool2D", tf.nn.relu),
                Conv("proj", 128, 1),
                Norm("aux_bn0", tf.nn.relu),
                WindowConv(whole, whole=(side - 5) // 3 + 1),
                Norm("aux_bn1", tf.nn.relu),
                Squeeze(None, always=True),
                Logits(None, dense=True, plain=False),
            ),
            scope=f"aux_{cell}/aux_logits",
            in_place=True,
        )


HEAD = Head(
    features=(GlobalPool(None, keepdims=False, activation_fn=tf.nn.relu),),
    logits=(
        Dropout("dropout"),
        Logits(None, dense=True, plain=False),
        Predictions("Predictions", "Logits", tf.nn.softmax, name="predictions"),
    ),
    scope="final_layer",
)


def row_of_cells(
    name: str,
    make_config: Callable[[], Config],
    arg_scope: Callable[..., Scope],
    image_size: int,
    summary: str,
    names: tuple = (),
) -> Row:
    """Returns the row of a configuration.

    Args:
        name: of the network.
        make_config: gives the default of its argument `config`.
        arg_scope, image_size, summary, names: of `Row`.
    """
    config = make_config()

    def vary(
        row: Row,
        options: dict[str, Any],
        config: Config | None,
        current_step: Any,
        zero_padded_pools: bool | None,
    ) -> Row:
        config = _config_of(config, make_config())
        if zero_padded_pools is not None:
            config = dataclasses.replace(config, zero_padded_pools=zero_padded_pools)
        training = options["is_training"]
        training = training is None or static_bool(training) is not False
        if options["create_aux_logits"] is None:
            # A Model's variables are the same in each call.
            in_model = tf.compat.v1.get_variable_scope().custom_getter is not None
            wanted = config.use_aux_head and (training or in_model)
            options["create_aux_logits"] = wanted
        if options["dropout_keep_prob"] is None:
            options["dropout_keep_prob"] = config.dense_dropout_keep_prob
        if options["drop_path_rate"]:
            check_drop_path(options["drop_path_rate"])
            keep = 1.0 - options["drop_path_rate"]
            config = dataclasses.replace(config, drop_path_keep_prob=keep)
            options["drop_path_rate"] = 0.0
        options["channels_first"] = is_channels_first(config.data_format)
        made = dataclasses.replace(
            row,
            root=config.root(),
            stages=config.stages(_drop_path(config, training, current_step, row.exact)),
            auxiliary=config.auxiliary(row.image_size),
        )
        if config.use_bounded_activation:
            made = with_activation(made, tf.nn.relu6)
        return made

    return Row(
        name,
        root=config.root(),
        stages=config.stages(_nothing_dropped),
        head=HEAD,
        auxiliary=config.auxiliary(image_size),
        scope="",
        arguments=(
            *(("images", None), ("num_classes", 1001), ("is_training", True)),
            *(("final_endpoint", None), ("config", None), ("current_step", None)),
            *(("create_aux_logits", None), ("scope", None), ("reuse", None)),
        ),
        keywords=(("zero_padded_pools", None),),
        texts=_TEXTS,
        vary=vary,
        bare_keys=True,
        preprocessing="inception",
        weights="tf-slim",
        arg_scope=arg_scope,
        image_size=image_size,
        summary=summary,
        names=names,
    )


def _nothing_dropped(net: tf.Tensor, number: int) -> tf.Tensor:
    return net


def _config_of(config: Any, default: Config) -> Config:
    """What a config says, HParams of TensorFlow 1 for example, over the default."""
    if config is None or isinstance(config, Config):
        return config or default
    names = [f.name for f in dataclasses.fields(default) if hasattr(config, f.name)]
    return dataclasses.replace(default, **{n: getattr(config, n) for n in names})


def _drop_path(
    config: Config, training: bool, current_step: Any, makes_step: bool
) -> Callable[[tf.Tensor, int], tf.Tensor]:
    """Returns what drops paths of a cell, the more the deeper it lies [1]."""
    keep = config.drop_path_keep_prob
    if not training or keep == 1.0:
        return _nothing_dropped
    train = tf.compat.v1.train
    # TF-Slim makes the step in the scope of the first path, if there is none.
    find = train.get_or_create_global_step if makes_step else train.get_global_step

    def drop_path(net: tf.Tensor, number: int) -> tf.Tensor:
        step, progress = current_step, 1.0
        if step is None and not tf.executing_eagerly():
            step = find()
        if step is not None:
            steps = tf.cast(step, tf.float32) / config.total_training_steps
            progress = tf.minimum(1.0, steps)
        depth = (number + 1) / config.total_cells
        keep_prob = 1.0 - progress * depth * (1.0 - keep)
        shape = tf.stack([tf.shape(net)[0], 1, 1, 1])
        return layers.dropout(net, keep_prob, noise_shape=shape, scope="drop_path")

    return drop_path


_TEXTS = (
    (
        "zero_padded_pools",
        "whether strided pools are padded with zeros, which count, as in Keras "
        "Applications; None for what `config` says.",
    ),
    (
        "final_endpoint",
        "the last cell that is built: `Stem`, `Cell_0`, `Reduction_Cell_0` ... or "
        "`global_pool`.",
    ),
    ("config", "what makes the network, instead of its own."),
    (
        "current_step",
        "of the training, with which drop path grows; None for the graph's global "
        "step, and full strength where there is none.",
    ),
    (
        "create_aux_logits",
        "whether to make the end point `AuxLogits`, for a second loss; None does "
        "unless is_training is False, as TF-Slim, and always in a Model. Their weights "
        "depend on the size of the images.",
    ),
    ("scope", "name of a variable scope; None for the open one, as TF-Slim."),
)
