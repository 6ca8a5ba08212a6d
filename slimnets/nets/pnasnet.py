"""PNASNet-5, as TF-Slim builds it, mobile and large.

Source: Liu et al., Progressive Neural Architecture Search, arXiv:1712.00559; names and
layout of research/slim's nets/nasnet/pnasnet.py.
"""

from __future__ import annotations

from slimnets.nets import nasnet
from slimnets.rows.builder import network_of
from slimnets.rows.cells import Config, row_of_cells
from slimnets.scopes import Scope
from slimnets.units.cells import PNASNET


def mobile_imagenet_config() -> Config:
    """Returns what makes the mobile PNASNet-5."""
    return Config(9, 54, 1.0, PNASNET, None, True)


def large_imagenet_config() -> Config:
    """Returns what makes the large PNASNet-5."""
    return Config(12, 216, 3.0, PNASNET, None, True, drop_path_keep_prob=0.6)


def pnasnet_mobile_arg_scope(
    weight_decay: float = 4e-5,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
) -> Scope:
    """Returns TF-Slim's arg scope for the mobile PNASNet, on top of what is open."""
    return nasnet.nasnet_mobile_arg_scope(
        weight_decay, batch_norm_decay, batch_norm_epsilon
    )


def pnasnet_large_arg_scope(
    weight_decay: float = 4e-5,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
) -> Scope:
    """Returns TF-Slim's arg scope for the large PNASNet, on top of what is open."""
    return nasnet.nasnet_large_arg_scope(
        weight_decay, batch_norm_decay, batch_norm_epsilon
    )


NETWORKS = (pnasnet_mobile, pnasnet_large) = tuple(
    map(
        network_of,
        (
            row_of_cells(
                "pnasnet_mobile",
                mobile_imagenet_config,
                arg_scope=pnasnet_mobile_arg_scope,
                image_size=224,
                summary="PNASNet-5 of TF-Slim, for mobile devices.",
            ),
            row_of_cells(
                "pnasnet_large",
                large_imagenet_config,
                arg_scope=pnasnet_large_arg_scope,
                image_size=331,
                summary="PNASNet-5 of TF-Slim.",
            ),
        ),
    )
)
build_pnasnet_mobile, build_pnasnet_large = pnasnet_mobile, pnasnet_large
