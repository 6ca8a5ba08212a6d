"""ResNets for small images: a root without pool and three blocks.

Source: [1] He et al., arXiv:1512.03385, section 4.2: 6n + 2 layers of basic units,
shortcuts padded with zero channels; [2] He et al., arXiv:1603.05027, section 4:
9n + 2 layers of pre-activation bottleneck units; [3] Zagoruyko & Komodakis,
arXiv:1605.07146: wide networks of pre-activation basic units with dropout.
"""

from __future__ import annotations

from slimnets.nets.arg_scopes import cifar_arg_scope
from slimnets.nets.roots import Root
from slimnets.nets.rows import Row, network_of
from slimnets.units import basic_v1, basic_v2, bottleneck_v2

ROOT = Root(convs=((16, 3, 1),), pool=None, biases=False)


def v1_row(layers: int) -> Row:
    """Returns the row of the network of that many layers, `6n + 2` [1]."""
    return _row(
        "resnet_v1_cifar", layers, 6, basic_v1, False, (("pad_shortcut", True),)
    )


def v2_row(layers: int) -> Row:
    """Returns the row of the network of that many layers, `9n + 2` [2]."""
    return _row("resnet_v2_cifar", layers, 9, bottleneck_v2, True, (("biases", False),))


def _row(prefix, layers, step, unit_fn, preactivation, options) -> Row:
    num_units, rest = divmod(layers - 2, step)
    if rest or num_units < 1:
        raise ValueError(
            f"{prefix} networks have {step}n + 2 layers, n >= 1; got {layers}."
        )
    return Row(
        name=f"{prefix}_{layers}",
        stages=((16, num_units, 1), (32, num_units, 2), (64, num_units, 2)),
        unit_fn=unit_fn,
        preactivation=preactivation,
        unit_options=options,
        root=ROOT,
        arg_scope=cifar_arg_scope,
        image_size=32,
        preprocessing="cifar",
        # A shortcut cannot take channels away from the root's.
        depth_multiple=16 if unit_fn is basic_v1 else 1,
        summary=f"ResNet of {layers} layers for small images.",
    )


def wide_row(layers: int, width: int, dropout_rate: float = 0.3) -> Row:
    """Returns the row of a wide network: `6n + 4` layers, `width` times as wide [3]."""
    num_units = (layers - 4) // 6
    return Row(
        name=f"wrn_{layers}_{width}",
        stages=tuple(
            (base * width, num_units, stride)
            for base, stride in ((16, 1), (32, 2), (64, 2))
        ),
        unit_fn=basic_v2,
        preactivation=True,
        unit_options=(("biases", False), ("dropout_rate", dropout_rate)),
        root=ROOT,
        arg_scope=cifar_arg_scope,
        image_size=32,
        preprocessing="cifar",
        summary=f"Wide ResNet of {layers} layers, {width} times as wide, with dropout.",
    )


NETWORKS = tuple(
    network_of(row)
    for row in (
        *map(v1_row, (20, 32, 44, 56, 110)),
        *map(v2_row, (20, 29, 110, 164, 1001)),
        wide_row(28, 10),
        wide_row(16, 8),
    )
)
