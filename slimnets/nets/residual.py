"""The generator behind every residual network: root, blocks, head.

Families differ in rows: their root, their blocks, their arg scope.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import Block, check_output_stride, conv2d_same, stack_blocks
from slimnets.end_points import EndPoints, as_collections
from slimnets.scopes import Scope, arg_scope, current_arg_scope, default_arg_scope


def resnet_arg_scope(
    weight_decay: float = 0.0001,
    batch_norm_decay: float = 0.997,
    batch_norm_epsilon: float = 1e-5,
    batch_norm_scale: bool = True,
    activation_fn: Callable | None = tf.nn.relu,
    use_batch_norm: bool = True,
    batch_norm_updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
) -> Scope:
    """Returns TF-Slim's arg scope for ResNets, on top of what is open.

    Args:
        weight_decay: of the convolutions' weights, as an L2 loss.
        batch_norm_decay: of the moving averages.
        batch_norm_epsilon: added to the variances.
        batch_norm_scale: whether batch norms have a `gamma`.
        activation_fn: of the convolutions.
        use_batch_norm: whether convolutions are normalized rather than biased.
        batch_norm_updates_collections: graph collections for the updates.
    """
    with (
        arg_scope(
            [layers.conv2d],
            weights_regularizer=layers.l2_regularizer(weight_decay),
            weights_initializer=layers.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=layers.batch_norm if use_batch_norm else None,
        ),
        arg_scope(
            [layers.batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=batch_norm_scale,
            updates_collections=batch_norm_updates_collections,
        ),
        # SAME padding for pool1 keeps features aligned in dense prediction; the
        # paper's code pads VALID: arg_scope([max_pool2d], padding="VALID").
        arg_scope([layers.max_pool2d], padding="SAME") as scope,
    ):
        return scope


@dataclasses.dataclass(frozen=True)
class Root:
    """What comes before the blocks: a convolution and perhaps a pool.

    Attributes:
        depth: channels of the convolution.
        kernel_size: of the convolution.
        stride: of the convolution.
        pool: size of a max pool of stride 2, or None.
    """

    depth: int = 64
    kernel_size: int = 7
    stride: int = 2
    pool: int | None = 3

    @property
    def total_stride(self) -> int:
        return self.stride * (2 if self.pool else 1)


ROOT = Root()

# (base depth, units, stride) of each block, stride in the last unit, by depth: table 1
# of arXiv:1512.03385; 200 from arXiv:1603.05027.
STAGES = {
    layers: tuple(zip((64, 128, 256, 512), units, (2, 2, 2, 1), strict=True))
    for layers, units in {
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
        200: (3, 24, 36, 3),
    }.items()
}


def residual_network(
    inputs: tf.Tensor,
    blocks: Sequence[Block],
    *,
    scope: Any,
    default_name: str,
    default_scope: Scope,
    root: Root | None,
    preactivation: bool,
    num_classes: int | None = None,
    is_training: bool | tf.Tensor | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    spatial_squeeze: bool = True,
    store_non_strided_activations: bool = False,
    reuse: Any = None,
) -> tuple[tf.Tensor, EndPoints]:
    """Builds a residual network. The public parameters are as of `resnet_v2`.

    Args:
        default_name: the scope's name when `scope` is None.
        default_scope: the family's arg scope, which lies under the caller's.
        root: what comes before the blocks; None for nothing.
        preactivation: whether normalization comes first in units, so that the root
            ends without and the blocks end with one (`postnorm`).
    """
    outer = tf.compat.v1.get_variable_scope().name
    check_images(inputs, scope or default_name)
    root_stride = root.total_stride if root else 1
    check_output_stride(output_stride, blocks, root_stride)
    if num_classes is not None and num_classes < 0:
        raise ValueError(
            f"num_classes={num_classes}; allowed is None or 0 for features, or more."
        )
    with (
        tf.compat.v1.variable_scope(scope, default_name, [inputs], reuse=reuse) as sc,
        default_arg_scope(default_scope),
    ):
        end_points = EndPoints(scope=_relative(sc.name, outer), outer_scope=outer)
        unit_fns = {block.unit_fn for block in blocks}
        with _collecting(end_points, [layers.conv2d, stack_blocks, *unit_fns]):
            with _training(is_training):
                net = inputs
                if root:
                    net = _build_root(net, root, preactivation, end_points, sc.name)
                net = stack_blocks(
                    net,
                    blocks,
                    output_stride and output_stride // root_stride,
                    store_non_strided_activations,
                    root_stride=root_stride,
                )
                if preactivation:
                    # v2 units end un-normalized, so the network's last norm is here.
                    net = layers.batch_norm(
                        net, activation_fn=tf.nn.relu, scope="postnorm"
                    )
                    end_points.add(f"{sc.name}/postnorm", net)
                net = _head(
                    net, num_classes, global_pool, spatial_squeeze, end_points, sc.name
                )
    return net, end_points


def check_images(inputs: tf.Tensor, name: str) -> None:
    """Raises ValueError unless `inputs` are images of known channels."""
    shape = tf.TensorShape(getattr(inputs, "shape", None))
    if shape.rank != 4 or shape[-1] is None:
        raise ValueError(
            f"{getattr(name, 'name', name)} takes images [batch, height, width, "
            f"channels] with known channels; got inputs of shape {shape}."
        )


def _relative(name: str, outer: str) -> str:
    return name[len(outer) + 1 :] if outer else name


def _collecting(end_points: EndPoints, functions: list[Callable]):
    """A scope in which `functions` leave their outputs in `end_points` too.

    Collections that the caller has named for them stay.
    """
    stack = contextlib.ExitStack()
    scope = current_arg_scope()
    for function in functions:
        key = getattr(function, "_key_op", None)
        if key is None:
            continue  # A plain unit function of the caller's collects nothing.
        named = scope.get(key, {}).get("outputs_collections")
        collections = [end_points, *as_collections(named)]
        stack.enter_context(arg_scope([function], outputs_collections=collections))
    return stack


def _training(is_training):
    """The scope of `is_training`; None leaves to the caller's scopes what they say."""
    if is_training is None:
        return contextlib.nullcontext()
    return arg_scope([layers.batch_norm, layers.dropout], is_training=is_training)


def _build_root(net, root, preactivation, end_points, scope_name):
    # Pre-activation units normalize and activate what the root gives.
    plain = {"activation_fn": None, "normalizer_fn": None} if preactivation else {}
    net = conv2d_same(
        net, root.depth, root.kernel_size, root.stride, scope="conv1", **plain
    )
    end_points.mark_stride(net, root.stride)
    if root.pool:
        net = layers.max_pool2d(net, root.pool, stride=2, scope="pool1")
        end_points.add(f"{scope_name}/pool1", net)
        end_points.mark_stride(net, root.total_stride)
    return net


def _head(net, num_classes, global_pool, spatial_squeeze, end_points, scope_name):
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="pool5")
        end_points["global_pool"] = net
    if not num_classes:
        return net
    net = layers.conv2d(
        net, num_classes, 1, activation_fn=None, normalizer_fn=None, scope="logits"
    )
    if spatial_squeeze and global_pool:
        net = tf.squeeze(net, [1, 2], name="SpatialSqueeze")
        end_points.add(f"{scope_name}/spatial_squeeze", net)
    end_points["predictions"] = layers.softmax(net, scope="predictions")
    return net


@dataclasses.dataclass(frozen=True)
class Row:
    """A named residual network, as data.

    Attributes:
        name: of the network, and of its scope by default.
        stages: `(base depth, number of units, stride)` of each block.
        block: makes a block: `block(scope, base_depth, num_units, stride)`.
        preactivation: whether normalization comes first in units.
        root: what comes before the blocks.
        arg_scope: gives the family's arg scope.
        image_size: the side of the images it is made for, in pixels.
        summary: one line of help.
    """

    name: str
    stages: tuple[tuple[int, int, int], ...]
    block: Callable[[str, int, int, int], Block]
    preactivation: bool
    root: Root = Root()
    arg_scope: Callable[[], Scope] = resnet_arg_scope
    image_size: int = 224
    summary: str = ""

    def blocks(self, depth_multiplier: float = 1.0, min_base_depth: int = 8):
        """Returns the blocks, every base depth scaled down to min_base_depth."""
        return [
            self.block(
                f"block{index}",
                max(
                    int(base_depth * depth_multiplier), min(min_base_depth, base_depth)
                ),
                num_units,
                stride,
            )
            for index, (base_depth, num_units, stride) in enumerate(
                self.stages, start=1
            )
        ]


def network_of(row: Row) -> Callable:
    """Returns the network function that a row stands for."""

    def network(
        inputs: tf.Tensor,
        num_classes: int | None = None,
        is_training: bool | tf.Tensor | None = True,
        global_pool: bool = True,
        output_stride: int | None = None,
        spatial_squeeze: bool = True,
        reuse: Any = None,
        scope: Any = row.name,
        *,
        store_non_strided_activations: bool = False,
        depth_multiplier: float = 1.0,
        min_base_depth: int = 8,
    ) -> tuple[tf.Tensor, EndPoints]:
        return residual_network(
            inputs,
            row.blocks(depth_multiplier, min_base_depth),
            scope=scope,
            default_name=row.name,
            default_scope=row.arg_scope(),
            root=row.root,
            preactivation=row.preactivation,
            num_classes=num_classes,
            is_training=is_training,
            global_pool=global_pool,
            output_stride=output_stride,
            spatial_squeeze=spatial_squeeze,
            store_non_strided_activations=store_non_strided_activations,
            reuse=reuse,
        )

    network.__name__ = network.__qualname__ = row.name
    network.__doc__ = (
        f"{row.summary}\n\nArguments and result as of `resnet_v2`; depth_multiplier "
        "scales the units' base depths, down to min_base_depth."
    )
    network.default_image_size = row.image_size
    network.row = row
    return network
