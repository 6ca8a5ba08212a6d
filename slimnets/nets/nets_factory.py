"""The factory under the module name research/slim gives it.

It stands in this folder for its name only: `slimnets.factory` has the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from slimnets import factory
from slimnets.factory import get_network_fn
from slimnets.rows.arg_scopes import resnet_arg_scope

__all__ = ["arg_scopes_map", "get_network_fn", "networks_map"]


class NetworkMap(Mapping):
    """A value for every registered network that has one, later ones included."""

    def __init__(self, value_of: Callable[[factory.NetworkInfo], Callable | None]):
        self._value_of = value_of

    def __getitem__(self, name: str) -> Callable:
        known = name in factory.list_networks()
        value = self._value_of(factory.network_info(name)) if known else None
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        infos = map(factory.network_info, factory.list_networks())
        return (info.name for info in infos if self._value_of(info) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _arg_scope_of(info: factory.NetworkInfo) -> Callable | None:
    if info.family in ("resnet_v1", "resnet_v2"):
        return resnet_arg_scope
    return getattr(info.network, "arg_scope", None)


# `{name: network function}`, and `{name: the function that makes its arg scope}`.
networks_map: Mapping[str, Callable] = NetworkMap(lambda info: info.network)
arg_scopes_map: Mapping[str, Callable] = NetworkMap(_arg_scope_of)
