"""PNASNet-5, as TF-Slim builds it, mobile and large.

Source: Liu et al., Progressive Neural Architecture Search, arXiv:1712.00559; names and
layout of research/slim's nets/nasnet/pnasnet.py.
"""

from __future__ import annotations

from slimnets.nets.nasnet import nasnet_mobile_arg_scope
from slimnets.rows.builder import network_of
from slimnets.rows.cells import Config, row_of_cells
from slimnets.units.cells import PNASNET


def mobile_imagenet_config() -> Config:
    """Returns what makes the mobile PNASNet-5."""
    return Config(9, 54, 1.0, PNASNET, None, True)


def large_imagenet_config() -> Config:
    """Returns what makes the large PNASNet-5."""
    return Config(12, 216, 3.0, PNASNET, None, True, drop_path_keep_prob=0.6)


# Both have the defaults of the mobile NASNet's.
pnasnet_mobile_arg_scope = pnasnet_large_arg_scope = nasnet_mobile_arg_scope

NETWORKS = (pnasnet_mobile, pnasnet_large) = tuple(
    network_of(row_of_cells(name, config, nasnet_mobile_arg_scope, size, summary))
    for name, config, size, summary in (
        (
            *("pnasnet_mobile", mobile_imagenet_config, 224),
            "PNASNet-5 of TF-Slim, for mobile devices.",
        ),
        ("pnasnet_large", large_imagenet_config, 331, "PNASNet-5 of TF-Slim."),
    )
)
build_pnasnet_mobile, build_pnasnet_large = pnasnet_mobile, pnasnet_large
