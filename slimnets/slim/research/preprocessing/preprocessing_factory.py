"""Preprocessing by the name of a network."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from slimnets.slim.research.preprocessing import (
    cifarnet_preprocessing,
    inception_preprocessing,
    lenet_preprocessing,
    vgg_preprocessing,
)

_OTHERS = {
    "cifarnet": cifarnet_preprocessing,
    "lenet": lenet_preprocessing,
}
_LIKE_VGG = ("resnet_v1_", "resnet_v2_", "vgg")
_LIKE_INCEPTION = ("inception", "mobilenet", "nasnet", "pnasnet", "resnet_v2_50_tpu")


def get_preprocessing(
    name: str, is_training: bool = False, use_grayscale: bool = False
) -> Callable[..., tf.Tensor]:
    """Returns the preprocessing of a network, `preprocess(image, height, width, ...)`.

    Args:
        name: of the network or of the preprocessing, such as `inception_v3` or `vgg`.
        is_training: whether images are distorted, as for training.
        use_grayscale: whether the result has one channel.

    Raises:
        ValueError: for a name that has none.
    """
    if name in _OTHERS:
        module = _OTHERS[name]
    elif name.startswith(_LIKE_INCEPTION):
        module = inception_preprocessing
    elif name.startswith(_LIKE_VGG):
        module = vgg_preprocessing
    else:
        raise ValueError(f"Preprocessing name [{name}] was not recognized")

    def preprocess(image, output_height, output_width, **options):
        return module.preprocess_image(
            image,
            output_height,
            output_width,
            is_training=is_training,
            use_grayscale=use_grayscale,
            **options,
        )

    return preprocess
