"""research/slim's factory: TF-Slim's networks to the letter, and slimnets' others."""

from __future__ import annotations

import functools
import importlib
from collections import ChainMap
from collections.abc import Callable, Mapping

import tensorflow as tf

from slimnets import factory
from slimnets.nets import nets_factory
from slimnets.scopes import arg_scope
from slimnets.slim import nets as facade
from slimnets.slim.research import nets as research

__all__ = ["arg_scopes_map", "get_network_fn", "networks_map"]
_VIDEOS = {
    name: importlib.import_module(f"{research.__name__}.{module}")
    for name, module in research.FACTORY.items()
}


def _network(info: factory.NetworkInfo) -> Callable:
    if info.family not in _FAMILIES:
        return info.network
    module = getattr(facade, info.family, None)
    made = getattr(module, info.network.__name__, None)
    return made or facade.FORM.of(info.network)


# Of slimnets' families those that TF-Slim and DeepLab have.
_FAMILIES = {*facade.MODULES, "resnet_v1_beta", "xception"}
# `{name: network function}`, and `{name: the function that makes its arg scope}`.
networks_map: Mapping[str, Callable] = ChainMap(
    {name: getattr(module, name) for name, module in _VIDEOS.items()},
    nets_factory.NetworkMap(_network),
)
arg_scopes_map: Mapping[str, Callable] = ChainMap(
    {n: getattr(module, f"{n}_arg_scope") for n, module in _VIDEOS.items()},
    nets_factory.arg_scopes_map,
)


def get_network_fn(
    name: str,
    num_classes: int | None,
    weight_decay: float = 0.0,
    is_training: bool | tf.Tensor | None = False,
) -> Callable:
    """Returns `network_fn(images, **kwargs) -> (net, end_points)` in its arg scope.

    Args:
        name: a registered name, or one of a network of videos.
        num_classes: number of classes; None or 0 gives features.
        weight_decay: of the arg scope.
        is_training: whether the network is built for training.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in _VIDEOS and factory.network_info(name).family not in _FAMILIES:
        return factory.get_network_fn(name, num_classes, weight_decay, is_training)
    network = networks_map[name]

    @functools.wraps(network)
    def network_fn(images: tf.Tensor, **kwargs):
        with arg_scope(arg_scopes_map[name](weight_decay=weight_decay)):
            return network(
                images, num_classes=num_classes, is_training=is_training, **kwargs
            )

    return network_fn
