"""What TF-Slim's classification networks share around their layers: scope and head."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.end_points import EndPoints
from slimnets.nets import common
from slimnets.nets.residual import check_images
from slimnets.scopes import Scope, default_arg_scope


@contextlib.contextmanager
def network_scope(
    inputs: tf.Tensor,
    scope: Any,
    default_name: str,
    default_scope: Scope,
    is_training: bool | tf.Tensor | None = None,
    num_classes: int | None = None,
    reuse: Any = None,
) -> Iterator[tuple[EndPoints, str]]:
    """Opens a network's scope over the family's arg scope.

    Args:
        inputs: the images, which are checked.
        scope: name of the scope, or an open one.
        default_name: its name when `scope` is None.
        default_scope: the family's arg scope, which lies under the caller's.
        is_training: None leaves it to the arg scopes.
        num_classes: checked.
        reuse: as in `tf.compat.v1.variable_scope`.

    Yields:
        The empty end points, and the full name of the scope.

    Raises:
        ValueError: if the inputs are not images of known channels.
    """
    outer = tf.compat.v1.get_variable_scope().name
    check_images(inputs, getattr(scope, "name", scope) or default_name)
    common.check_num_classes(num_classes)
    with (
        tf.compat.v1.variable_scope(scope, default_name, [inputs], reuse=reuse) as sc,
        default_arg_scope(default_scope),
        common.training(is_training),
    ):
        if sc.name == outer or not sc.name.startswith(f"{outer}/" if outer else ""):
            outer = sc.name.rpartition("/")[0]  # The scope was open already.
        relative = common.relative_name(sc.name, outer)
        yield EndPoints(scope=relative, outer_scope=outer), sc.name


def window(net: tf.Tensor, size: int) -> tuple[int, int]:
    """Returns the height and width of a window of `size`, at most all of `net`.

    Where the height and width of `net` are not known, they are taken to be enough.
    """
    height, width = net.shape.as_list()[1:3]
    return min(height or size, size), min(width or size, size)


def pool_window(
    net: tf.Tensor, size: int, global_pool: bool, name: str, end_points: EndPoints
) -> tf.Tensor:
    """Averages over windows of `size`, or over all of the image; records the result.

    Args:
        net: `[batch, height, width, channels]`.
        size: of the window, which is made smaller for a smaller image.
        global_pool: whether to average over the whole image instead.
        name: of the pool; the window's size takes the place of `{}`.
        end_points: where the result is recorded.
    """
    common.check_global_pool(global_pool)
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
        end_points["global_pool"] = net
        return net
    kernel = window(net, size)
    net = layers.avg_pool2d(
        net, kernel, padding="VALID", scope=name.format("{}x{}".format(*kernel))
    )
    end_points[name.partition("_{}")[0]] = net
    return net


def predict(
    logits: tf.Tensor, prediction_fn: Callable | None, end_points: EndPoints
) -> None:
    """Records logits, and predictions unless `prediction_fn` is None."""
    end_points["Logits"] = logits
    if prediction_fn is not None:
        with tf.name_scope("Predictions"):
            end_points["Predictions"] = prediction_fn(logits)


def squeezed(logits: tf.Tensor, spatial_squeeze: bool, name: str) -> tf.Tensor:
    """Returns logits of one position without the dimensions of height and width."""
    return tf.squeeze(logits, [1, 2], name=name) if spatial_squeeze else logits


def convolved_head(
    net: tf.Tensor,
    num_classes: int | None,
    end_points: EndPoints,
    *,
    size: int,
    names: tuple[str, str, str],
    global_pool: bool,
    dropout_keep_prob: float,
    prediction_fn: Callable | None,
    spatial_squeeze: bool,
    pre_logits: bool = False,
) -> tf.Tensor:
    """Pools, drops out, and makes logits by a 1x1 convolution in the scope `Logits`.

    Args:
        net: `[batch, height, width, channels]`.
        num_classes: None or 0 for no logits.
        end_points: where everything is recorded.
        size: of the pool's window; see `pool_window`.
        names: of the pool, the dropout and the convolution.
        global_pool: whether to average over the whole image instead.
        dropout_keep_prob: of the features before the logits.
        prediction_fn: makes predictions of logits; None for none.
        spatial_squeeze: whether logits are `[batch, num_classes]`.
        pre_logits: whether what the logits are made of is recorded too.

    Returns:
        The logits, or the pooled features.
    """
    pool, dropout, conv = names
    with tf.compat.v1.variable_scope("Logits"):
        net = pool_window(net, size, global_pool, pool, end_points)
        if not num_classes:
            return net
        net = layers.dropout(net, dropout_keep_prob, scope=dropout)
        if pre_logits:
            end_points["PreLogits"] = net
        logits = layers.conv2d(
            net, num_classes, 1, activation_fn=None, normalizer_fn=None, scope=conv
        )
        logits = squeezed(logits, spatial_squeeze, "SpatialSqueeze")
    predict(logits, prediction_fn, end_points)
    return logits


def dense_head(
    net: tf.Tensor,
    num_classes: int | None,
    end_points: EndPoints,
    *,
    pool: str,
    dropout: str,
    dropout_keep_prob: float,
) -> tf.Tensor:
    """Pools over the whole image, and makes logits by a dense layer, in `Logits`.

    Arguments and result as of `convolved_head`; `pool` and `dropout` are names.
    """
    with tf.compat.v1.variable_scope("Logits"):
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name=pool)
        end_points["global_pool"] = net
        if not num_classes:
            return net
        net = layers.dropout(net, dropout_keep_prob, scope=dropout)
        net = layers.flatten(net, scope="PreLogitsFlatten")
        end_points["PreLogitsFlatten"] = net
        logits = layers.fully_connected(
            net, num_classes, activation_fn=None, scope="Logits"
        )
    predict(logits, layers.softmax, end_points)
    return logits


def convolved_dense_layers(
    net: tf.Tensor,
    num_classes: int | None,
    end_points: EndPoints,
    scope_name: str,
    *,
    depths: tuple[int, int],
    kernel: int,
    padding: str,
    global_pool: bool,
    dropout_keep_prob: float,
    spatial_squeeze: bool,
    options: dict[str, Any],
    logits_options: dict[str, Any],
) -> tf.Tensor:
    """Makes logits by `fc6`, `fc7` and `fc8`: dense layers as convolutions.

    Args:
        net: `[batch, height, width, channels]`.
        num_classes: None or 0 for the features before the logits.
        end_points: where everything is recorded.
        scope_name: full name of the network's scope.
        depths: of the first two.
        kernel: of the first, which makes an image one position.
        padding: of the first.
        global_pool: whether to average over all positions before the logits.
        dropout_keep_prob: of the features of the first two.
        spatial_squeeze: whether logits are `[batch, num_classes]`.
        options: further arguments of the first two.
        logits_options: further arguments of the last.

    Returns:
        The logits, or the features.
    """
    common.check_global_pool(global_pool)
    net = layers.conv2d(net, depths[0], kernel, padding=padding, scope="fc6", **options)
    end_points.add(f"{scope_name}/fc6", net)
    net = layers.dropout(net, dropout_keep_prob, scope="dropout6")
    net = layers.conv2d(net, depths[1], 1, scope="fc7", **options)
    end_points.add(f"{scope_name}/fc7", net)
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
        end_points["global_pool"] = net
    if not num_classes:
        return net
    net = layers.dropout(net, dropout_keep_prob, scope="dropout7")
    logits = layers.conv2d(
        net,
        num_classes,
        1,
        activation_fn=None,
        normalizer_fn=None,
        scope="fc8",
        **logits_options,
    )
    logits = squeezed(logits, spatial_squeeze, "fc8/squeezed")
    end_points.add(f"{scope_name}/fc8", logits)
    return logits


def aux_pool(net: tf.Tensor, name: str) -> tf.Tensor:
    """Averages windows of 5x5, stride 3, for auxiliary logits.

    Raises:
        ValueError: if `net` is known to be smaller than a window.
    """
    sides = net.shape.as_list()[1:3]
    if min(side or 5 for side in sides) < 5:
        raise ValueError(
            "The images are too small for auxiliary logits, which are made of 5x5 "
            f"positions and more; got {tuple(sides)}. create_aux_logits=False "
            "leaves them away."
        )
    return layers.avg_pool2d(net, 5, 3, "VALID", scope=name)


def dense_aux_logits(
    net: tf.Tensor, num_classes: int, names: tuple[str, str, str]
) -> tf.Tensor:
    """Makes logits for a second loss, in the scope `AuxLogits`.

    Args:
        net: `[batch, height, width, channels]`; where height and width are not known,
            they are taken to be 17.
        num_classes: number of classes.
        names: of the pool, the second convolution and the dense layer.

    Returns:
        `[batch, num_classes]`.
    """
    pool, conv, dense = names
    with tf.compat.v1.variable_scope("AuxLogits"):
        net = aux_pool(net, pool)
        net = layers.conv2d(net, 128, 1, scope="Conv2d_1b_1x1")
        kernel = tuple(side or 5 for side in net.shape.as_list()[1:3])
        net = layers.conv2d(net, 768, kernel, padding="VALID", scope=conv)
        net = tf.squeeze(net, [1, 2])
        return layers.fully_connected(net, num_classes, activation_fn=None, scope=dense)


def describe(network: Callable, chain: Any, preprocessing: str) -> Callable:
    """Gives a network function what the factory reads from it, and returns it."""
    network.__name__ = network.__qualname__ = chain.name
    network.default_image_size = chain.image_size
    network.row = chain
    network.arg_scope = chain.arg_scope
    network.preprocessing = preprocessing
    return network
