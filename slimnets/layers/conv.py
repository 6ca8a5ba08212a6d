"""Convolutions, with TF-Slim's arguments, defaults and variable names.

Source: tf_slim/layers/layers.py (`convolution`), here on `tf.nn`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets.layers import building, conv_operations, initializers
from slimnets.scopes import add_arg_scope


def _convolution(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: int | Sequence[int] = 1,
    activation_fn: Callable | None = tf.nn.relu,
    normalizer_fn: Callable | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Callable = initializers.XAVIER,
    weights_regularizer: Callable | None = None,
    biases_initializer: Callable | None = initializers.zeros,
    biases_regularizer: Callable | None = None,
    reuse: bool | None = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    groups: int = 1,
    biases_before_norm: bool = False,
    weight_transform: building.WeightTransform = None,
    *,
    dims: int,
) -> tf.Tensor:
    """Convolves, then normalizes or adds biases, then activates.

    Args:
        inputs: `[batch, height, width, channels]` (conv1d: `[batch, width,
            channels]`; conv3d: `[batch, frames, height, width, channels]`), or with
            the channels second for a data_format of `NC...`.
        num_outputs: number of output channels.
        kernel_size: an int, or one for each spatial dimension.
        stride: an int, or one for each spatial dimension.
        padding: `SAME` or `VALID`.
        data_format: `NHWC` (default) or `NCHW`; conv1d `NWC` (default) or `NCW`;
            conv3d `NDHWC` (default) or `NCDHW`.
        rate: dilation of the kernel (atrous convolution); unlike in TF-Slim it may
            be combined with a stride.
        activation_fn: applied last; None for none.
        normalizer_fn: used instead of biases, `batch_norm` for example.
        normalizer_params: keyword arguments for normalizer_fn.
        weights_initializer: a function of shape and dtype.
        weights_regularizer: gives a scalar loss of the weights.
        biases_initializer: None for no biases.
        biases_regularizer: gives a scalar loss of the biases.
        reuse: whether the scope's variables exist already; as in
            `tf.compat.v1.variable_scope`.
        variables_collections: further collections for the variables, as a list or
            as a dict `{"weights": [...], "biases": [...]}`.
        outputs_collections: collections for the outputs.
        trainable: whether optimizers find the variables.
        scope: name of the variable scope.
        groups: number of groups, each of which sees its own share of the channels.
        biases_before_norm: whether there are biases where a normalizer follows too,
            as in Keras Applications' networks.
        weight_transform: what is made of the weights before use: `spectral_norm`,
            `lora` or another function of `weight_transforms`, or several in a list.

    Returns:
        `[batch, height / stride, width / stride, num_outputs]`; equal to TF-Slim's.

    Raises:
        ValueError: if the inputs' rank or channels, or another argument, do not fit.
    """
    channels_first = data_format is not None and building.is_channels_first(
        data_format, dims
    )
    padding = building.padding_of(padding)
    with tf.compat.v1.variable_scope(scope, "Conv", [inputs], reuse=reuse) as sc:
        layer = f"{sc.name}: a {dims}-D convolution"
        inputs = building.of_rank(inputs, dims + 2, layer)
        num_outputs = building.whole(num_outputs, "num_outputs")
        channels = building.channels_of(inputs, 1 if channels_first else -1)
        if groups < 1 or channels % groups or num_outputs % groups:
            raise ValueError(
                f"{sc.name}: groups={groups} must divide the {channels} input and "
                f"{num_outputs} output channels."
            )
        kernel = building.tuple_of(kernel_size, dims, "kernel_size")
        weights = building.make_variable(
            "weights",
            (*kernel, channels // groups, num_outputs),
            inputs.dtype.base_dtype,
            weights_initializer,
            weights_regularizer,
            trainable,
            variables_collections,
        )
        outputs = conv_operations.convolve(
            inputs,
            building.weights_of(weights, inputs.dtype, weight_transform),
            building.tuple_of(stride, dims, "stride"),
            building.tuple_of(rate, dims, "rate"),
            padding,
            groups,
            channels_first,
        )
        biased = normalizer_fn is None or biases_before_norm
        if biased and biases_initializer is not None:
            outputs = building.biased(
                outputs,
                num_outputs,
                biases_initializer,
                biases_regularizer,
                trainable,
                variables_collections,
                channels_first,
            )
        return building.finish(
            outputs,
            normalizer_fn,
            normalizer_params,
            activation_fn,
            outputs_collections,
            sc.name,
        )


def _of_dims(dims: int, name: str, like: Callable) -> Callable:
    @functools.wraps(_convolution)
    def convolution(*args, **kwargs):
        return _convolution(*args, dims=dims, **kwargs)

    signature = inspect.signature(_convolution)
    shown = [p for p in signature.parameters.values() if p.name != "dims"]
    vars(convolution)["__signature__"] = signature.replace(parameters=shown)
    convolution.__name__ = convolution.__qualname__ = name
    return add_arg_scope(convolution, like=like, default_scope="Conv")


conv1d = _of_dims(1, "conv1d", tf_slim.convolution1d)
conv2d = _of_dims(2, "conv2d", tf_slim.conv2d)
conv3d = _of_dims(3, "conv3d", tf_slim.conv3d)
