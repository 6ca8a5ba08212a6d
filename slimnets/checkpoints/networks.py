"""What loading needs to know of a network: its row, its scope, its variables."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.checkpoints import keras_networks, keras_places, mapping
from slimnets.checkpoints.mapping import Foreign, Rules
from slimnets.rows.row import Row

Network = str | Callable
# The first convolution of every network that has counterparts elsewhere.
ROOTS = ("conv1/weights", "conv1_1/weights")
# Ends the name of rules of which Keras's places are wanted, rather than names.
IN_ORDER = "_order"
_IN_UNIT = re.compile(r"(?:^|/)unit_\d+/")


def network_of(target: Any, network: Network | None) -> Network | None:
    """The network that a target's variables are of, as far as that can be known.

    Args:
        target: as of `load_weights`: a Model knows its network, and a scope may end in
            the name of a registered one.
        network: what the caller says; it wins.

    Raises:
        ValueError: if the caller names an unknown one.
    """
    if network is not None:
        return factory.network_info(network).network if _is_name(network) else network
    if _is_name(target):
        name = target.rstrip("/").rpartition("/")[2]
    else:
        function = getattr(target, "network_function", None)
        if function is not None:
            return function
        name = getattr(target, "network_name", None)
    known = name in factory.list_networks()
    return factory.network_info(name).network if known else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def name_of(network: Network) -> str:
    """The name that a network goes by."""
    return network if _is_name(network) else getattr(network, "__name__", "network")


def weights_of(network: Network) -> str:
    """Whose weights load into a network: `torch`, `keras` ...; empty for its own."""
    return getattr(getattr(network, "row", None), "weights", "")


def row_of(network: Network | None) -> Row | None:
    """The row of a network of images; None for any other network."""
    row = getattr(network, "row", None)
    return row if isinstance(row, Row) else None


def sources_of(network: Network, kind: str) -> tuple[str | Rules, ...]:
    """The mappings of names that a file of that kind may need for a network."""
    row = row_of(network)
    sources = dict(row.names).get(kind, ()) if row else ()
    if kind != "keras":
        return sources
    legacy = [s + keras_networks.LEGACY for s in sources]
    # Before Keras 3.3 its files said where each layer stands, and not its name.
    placed = [s + IN_ORDER for s in sources if s in keras_networks.PLACED]
    return (*sources, *(s for s in legacy if s in keras_networks.SOURCES), *placed)


def written_sources(network: Network, kind: str) -> tuple[str | Rules, ...]:
    """Those by which files of that kind are written, too."""
    sources = sources_of(network, kind)
    placed = any(str(source).endswith(IN_ORDER) for source in sources)
    return sources if kind != "keras" or placed else ()


def roots_of(network: Network | None) -> tuple[str, ...]:
    """The names that a network's first variable may have, in its scope."""
    row = row_of(network)
    return (row.first_variable,) if row and row.first_variable else ROOTS


def every_root() -> frozenset[str]:
    """The names of the first variables of all registered networks, in their scopes."""
    names = factory.list_networks()
    rows = [row_of(factory.network_info(name).network) for name in names]
    return frozenset({*ROOTS, *(row.first_variable for row in rows if row)})


def is_at_top(name: str, relative: str) -> bool:
    """Whether a variable is called `relative` in a network's own scope.

    Units, which lie deeper, have a `conv1` too.
    """
    if name != relative and not name.endswith(f"/{relative}"):
        return False
    return not _IN_UNIT.search(name)


def scope_of(names: Iterable[str], roots: Iterable[str] = ROOTS) -> str | None:
    """The scope of the one network among variables: what its root's name begins with.

    None if there is no root or more than one network.
    """
    found = [
        name.removesuffix(root).rstrip("/")
        for name in names
        for root in roots
        if is_at_top(name, root)
    ]
    if len(found) > 1 and len(tuple(roots)) == 1:
        # Inner layers may be called as the root is, `squeeze_excite/Conv` for example.
        outer = min(found, key=len)
        inner = f"{outer}/" if outer else ""
        found = [s for s in found if s == outer or not s.startswith(inner)]
    return found[0] if len(found) == 1 else None


def foreign_names(
    names: Iterable[str], source: str | Rules, network: Network | None = None
) -> dict[str, Foreign]:
    """What the variables of a network are called elsewhere; see `mapping`.

    Those that lie outside of the network's scope are left out; all of them if any in
    it has no counterpart.

    Args:
        names: of the variables.
        source: a key of `mapping.SOURCES` or one of `keras_networks.SOURCES`, behind
            which `_order` asks for places in a Keras file; or the network's own rules.
        network: the network, whose first variable tells its scope.
    """
    names = list(names)
    scope = scope_of(names, roots_of(network))
    if scope is None:
        return {}
    prefix = f"{scope}/" if scope else ""
    own = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
    try:
        foreign = foreign_of(own, source, name_of(network) if network else "")
    except ValueError:
        return {}
    return {prefix + name: value for name, value in foreign.items()}


def foreign_of(
    names: Iterable[str], source: str | Rules, network: str = ""
) -> dict[str, Foreign]:
    """As `foreign_names`, of names relative to the scope of the network of that name.

    Raises:
        ValueError: for a name that has no counterpart.
    """
    if not isinstance(source, str):
        return mapping.foreign_names(names, source)
    if source.endswith(IN_ORDER):
        named = foreign_of(names, source.removesuffix(IN_ORDER), network)
        places = keras_places.places(named)
        return {n: dataclasses.replace(f, name=places[n]) for n, f in named.items()}
    if source in keras_networks.SOURCES:
        return keras_networks.foreign_names(names, source, network)
    return mapping.foreign_names(names, source)


def variable_specs(
    network: Callable,
    num_classes: int | None,
    channels: int = 3,
    options: Mapping[str, Any] | None = None,
) -> dict[str, tf.TensorSpec]:
    """Names, shapes and types of a network's variables; their values are not made.

    Args:
        network: the network function.
        num_classes: None or 0 for no logits.
        channels: of the images.
        options: further arguments of the network function.
    """

    def built(size: int | None) -> dict[str, tf.TensorSpec]:
        with tf.Graph().as_default():
            images = tf.compat.v1.placeholder(tf.float32, [None, size, size, channels])
            arguments = {"num_classes": num_classes, "is_training": False}
            network(images, **arguments, **(options or {}))
            return {
                v.op.name: tf.TensorSpec(v.shape, v.dtype.base_dtype)
                for v in tf.compat.v1.global_variables()
            }

    row = row_of(network)
    if row and row.fixed_size:
        return built(row.image_size)
    try:
        return built(None)
    except (ValueError, TypeError):
        size = getattr(network, "default_image_size", None)
        if not size:
            raise
        return built(size)
