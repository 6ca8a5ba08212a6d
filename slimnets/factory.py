"""The registry of networks, and building by name.

net, end_points = slimnets.build("resnet_v2_50", images, num_classes=10)
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import importlib
import importlib.resources
import json
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.blocks import takes
from slimnets.listing import nearest
from slimnets.scopes import arg_scope, default_arg_scope

_NETWORKS: dict[str, NetworkInfo] = {}


@dataclasses.dataclass(frozen=True)
class NetworkInfo:
    """What is known of a registered network without building it.

    Attributes:
        name: the name it is built by.
        network: the network function.
        family: the module it comes from, or `custom`.
        default_image_size: the side of the images it is made for, in pixels.
        summary: one line of help.
        weights: whose weights load into it: `tf-slim`, `torch`, `keras`, `bit`.
        preprocessing: how its authors made its input of pictures, by the name in
            `data.preprocessing_names()`; empty if it has none of its own.
    """

    name: str
    network: Callable
    family: str = "custom"
    default_image_size: int | None = None
    summary: str = ""
    weights: str = ""
    preprocessing: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """`parameters`, `trainable` and `multiply_adds` with `num_classes` classes.

        As committed in nets/counts.json, at the default size; empty for a network
        that is not slimnets' own.
        """
        return _counts().get(self.name, {}) if self.family != "custom" else {}


@functools.cache
def _counts() -> dict[str, dict[str, int]]:
    file = importlib.resources.files("slimnets.nets") / "counts.json"
    return json.loads(file.read_text())


def register_network(
    network: Callable | None = None, *, name: str | None = None, family: str = "custom"
) -> Callable:
    """Registers a network function; also a decorator, with or without arguments.

    Args:
        network: `network(inputs, num_classes=..., is_training=..., ...)` that returns
            `(net, end_points)`.
        name: its name; the function's own by default.
        family: the group it is listed with.

    Returns:
        The network function.

    Raises:
        TypeError: if it is not a function.
        ValueError: if there is no name, or it is taken, by another function than an
            earlier definition of the same one, as of a notebook's cell that is run
            again.
    """
    if network is None:
        return functools.partial(register_network, name=name, family=family)
    if not callable(network):
        raise TypeError(f"A network is a function of inputs; got {network!r}.")
    name = name or getattr(network, "__name__", None)
    if name is None:
        raise ValueError(f"{network!r} has no name of its own: give one.")
    if name in _NETWORKS and not _defined_anew(network, _NETWORKS[name].network):
        raise ValueError(
            f"A network named {name!r} is registered already, in the family "
            f"{_NETWORKS[name].family!r}; give this one another name."
        )
    _NETWORKS[name] = NetworkInfo(
        name=name,
        network=network,
        family=family,
        default_image_size=getattr(network, "default_image_size", None),
        summary=(network.__doc__ or "").strip().partition("\n")[0],
        weights=getattr(getattr(network, "row", None), "weights", ""),
        preprocessing=getattr(network, "preprocessing", ""),
    )
    return network


def _defined_anew(network: Callable, earlier: Callable) -> bool:
    """Whether two functions are definitions in one place, of which the later counts."""
    places = {
        (f.__module__, getattr(f, "__qualname__", None)) for f in (network, earlier)
    }
    return len(places) == 1 and None not in places.pop() and network is not earlier


def list_networks(pattern: str = "*") -> list[str]:
    """Returns the registered names that match a shell pattern, in order."""
    return [name for name in _NETWORKS if fnmatch.fnmatchcase(name, pattern)]


def network_info(name: str) -> NetworkInfo:
    """Returns what is known of a registered network.

    Raises:
        ValueError: for an unknown name, with the nearest ones.
    """
    if name not in _NETWORKS:
        near = nearest(name, _NETWORKS)
        hint = f"Nearest: {near}." if near else "None is near."
        raise ValueError(
            f"Unknown network {name!r}. {hint} slimnets.list_networks() names all "
            f"{len(_NETWORKS)}."
        )
    return _NETWORKS[name]


def build(
    name: str,
    inputs: tf.Tensor,
    *,
    num_classes: int | None = None,
    is_training: bool | tf.Tensor | None = False,
    **kwargs: Any,
):
    """Builds a network by name; see the network's own function.

    Args:
        name: a registered name.
        inputs: `[batch, height, width, channels]`.
        num_classes: number of classes; None or 0 gives features.
        is_training: a bool, a scalar bool tensor, or None for the open arg scopes'.
        **kwargs: further arguments of the network's function.

    Returns:
        `(net, end_points)`.

    Raises:
        ValueError: for an unknown name, or as the network's function.
    """
    network = network_info(name).network
    return network(inputs, num_classes=num_classes, is_training=is_training, **kwargs)


def get_network_fn(
    name: str,
    num_classes: int | None,
    weight_decay: float = 0.0,
    is_training: bool | tf.Tensor | None = False,
) -> Callable:
    """Returns `network_fn(images, **kwargs) -> (net, end_points)`, as research/slim.

    Args:
        name: a registered name.
        num_classes: number of classes; None or 0 gives features.
        weight_decay: of the weights of convolutions and dense layers.
        is_training: whether the network is built for training.

    Raises:
        ValueError: for an unknown name.
    """
    network = network_info(name).network

    @functools.wraps(network)
    def network_fn(images, **kwargs):
        with _decaying(network, weight_decay):
            return network(
                images, num_classes=num_classes, is_training=is_training, **kwargs
            )

    return network_fn


def _decaying(network: Callable, weight_decay: float):
    """The scope of a weight decay, which a family may keep from some weights."""
    family_scope = getattr(network, "arg_scope", None)
    if family_scope and takes(family_scope, "weight_decay"):
        return default_arg_scope(family_scope(weight_decay=weight_decay))
    return arg_scope(
        [layers.conv1d, layers.conv2d, layers.fully_connected],
        weights_regularizer=layers.l2_regularizer(weight_decay),
    )


# Modules of nets/, in the order in which their networks are listed.
_FAMILIES = (
    "resnet_v1", "resnet_v1_beta", "resnet_v2", "resnet_cifar", "resnet_torch",
    "resnet_keras", "bit", "point_cloud", "vgg", "alexnet", "overfeat", "cifarnet",
    "lenet", "inception_v1", "inception_v2", "inception_v3", "inception_v4",
    "inception_resnet_v2", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3", "nasnet",
    "pnasnet", "regnet", "efficientnet", "efficientnet_v2", "mnasnet", "mobilenet_v4",
    "densenet", "convnext", "xception", "xception_keras",
)  # fmt: skip


def _register_all() -> None:
    for family in _FAMILIES:
        for network in importlib.import_module(f"slimnets.nets.{family}").NETWORKS:
            register_network(network, family=family)


_register_all()
