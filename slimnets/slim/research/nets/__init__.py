"""Networks and their parts that research/slim has, and slimnets has not as rows.

GANs, networks of videos, and what its MobileNets and NASNets are made of: functions
with its names, arguments and end points, on slimnets' layers.
"""

from __future__ import annotations

import importlib
import sys
import types

# By research/slim's paths under `nets`.
MODULES = (
    *("cyclegan", "dcgan", "i3d", "i3d_utils", "inception_utils", "pix2pix", "s3dg"),
    *("mobilenet.conv_blocks", "mobilenet.mobilenet", "nasnet.nasnet_utils"),
)
# What else is in research/slim's packages.
_INSIDE = {
    "mobilenet": ("mobilenet_v2", "mobilenet_v3"),
    "nasnet": ("nasnet", "pnasnet"),
}
# `{name in its factory: module}` of those that have one.
FACTORY = {"i3d": "i3d", "s3dg": "s3dg"}


def add_to(nets: types.ModuleType) -> list[str]:
    """Registers the modules in a module of networks, by research/slim's paths.

    Args:
        nets: the module, which has `mobilenet_v2` and others by their bare names. What
            of it is a package already stays one.

    Returns:
        The names in it that are new.
    """
    names = set(vars(nets))
    found = {name: vars(nets)[name] for both in _INSIDE.values() for name in both}
    for package, inside in _INSIDE.items():
        outer = vars(nets).get(package)
        if not hasattr(outer, "__path__"):
            outer = _package(nets, package, outer)
        for name in inside:
            _put(outer, name, found[name])
    for path in MODULES:
        package, _, name = path.rpartition(".")
        module = importlib.import_module(f"{__name__}.{path}")
        _put(vars(nets)[package] if package else nets, name, module)
    return sorted(set(vars(nets)) - names)


def _package(
    nets: types.ModuleType, name: str, module: types.ModuleType | None
) -> types.ModuleType:
    """Makes a package, with the public names of a module of its name, if there is."""
    made = types.ModuleType(f"{nets.__name__}.{name}")
    made.__path__ = []
    if module is not None:
        public = {k: v for k, v in vars(module).items() if not k.startswith("_")}
        vars(made).update(public)
        made.__doc__ = module.__doc__
    _put(nets, name, made)
    return made


def _put(parent: types.ModuleType, name: str, module: types.ModuleType) -> None:
    setattr(parent, name, module)
    sys.modules[f"{parent.__name__}.{name}"] = module
