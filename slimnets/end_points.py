"""End points: the activations of a network, by every sensible name.

A network gives its activations as an `EndPoints`. While the network is built the
same object stands in `outputs_collections`, where layers, units and blocks leave
their outputs; a graph collection named there works as in TF-Slim.
"""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from slimnets.listing import html_table, nearest

_LEVEL = re.compile(r"C[0-9]+")


class EndPoints(dict):
    """Activations by name: an ordered dict that answers to every sensible name.

    Keys are scopes relative to where the network was called, so they do not change
    with an outer variable scope: `resnet_v2_50/block1/unit_1/bottleneck_v2/conv1`,
    `resnet_v2_50/block4`, `predictions`. Looking up accepts besides these
    the key without the network's scope (`block4`), with outer scopes
    (`Detection/resnet_v2_50/block4`), and a level: `C2` to `C5` are the last
    activations at stride 4, 8, 16 and 32. Some networks have further end points, that
    are found by looking up but not by walking, so that walking gives TF-Slim's.

    Attributes:
        scope: the network's scope relative to the outer one.
        outer_scope: the variable scope that was open where the network was called.
        levels: `{"C2": key, ...}` for the levels that this network has.
        normalized: the same for levels that a pre-activation unit normalizes and
            activates next: the key of what it then has.
        bare: whether keys are relative to the network's scope, as those of TF-Slim's
            Inceptions are.
        further: end points that walking leaves out.
        exact: whether walking leaves out what `mark_normalized` records, as TF-Slim.
    """

    def __init__(
        self,
        *args,
        scope: str = "",
        outer_scope: str = "",
        levels=(),
        normalized=(),
        bare: bool = False,
        further=(),
        exact: bool = False,
    ):
        super().__init__(*args)
        self.scope = scope
        self.outer_scope = outer_scope
        self.levels: dict[str, str] = dict(levels)
        self.normalized: dict[str, str] = dict(normalized)
        self.bare = bare
        self.further: dict[str, Any] = dict(further)
        self.exact = exact

    def __repr__(self) -> str:
        kind = f" of {self.scope}" if self.scope else ""
        first, last = next(iter(self), None), next(reversed(self), None)
        ends = f", from {first!r} to {last!r}" if self else ""
        levels = f"; levels {', '.join(sorted(self.levels))}" if self.levels else ""
        return f"<EndPoints{kind}: {len(self)} activations{ends}{levels}>"

    def _repr_html_(self) -> str:
        levels = {key: level for level, key in self.levels.items()}
        rows = [
            (key, list(getattr(value, "shape", None) or ()), levels.get(key, ""))
            for key, value in self.items()
        ]
        return html_table(repr(self), ("end point", "shape", "level"), rows)

    def add(self, name: str, value: Any, further: bool = False) -> None:
        """Records the activation `value` of the scope with the full name `name`.

        Args:
            name: the scope.
            value: the activation.
            further: whether walking leaves it out.
        """
        (self.further if further else self)[self._key(name)] = value

    def _key(self, name: str) -> str:
        key = name.rstrip("/")
        if self.outer_scope and key.startswith(self.outer_scope + "/"):
            key = key[len(self.outer_scope) + 1 :]
        if self.bare:
            key = key.removeprefix(f"{self.scope}/") if self.scope else key
        return key

    def sort_inner(self, prefix: str) -> None:
        """Puts keys inside of those that begin with `prefix` behind all of these."""

        def place(key: str) -> int:
            return 1 if "/" in key else 2 * (not key.startswith(prefix))

        for key in sorted(self, key=place):
            self[key] = self.pop(key)

    def mark_stride(self, value: Any, stride: int) -> None:
        """Says the stride of a recorded activation against the network's input."""
        if stride & (stride - 1):
            return  # Levels are powers of two.
        for key in [*reversed(self), *reversed(self.further)]:
            if self[key] is value:
                level = f"C{stride.bit_length() - 1}"
                if self[self.levels.get(level, key)] is not value:
                    self.normalized.pop(level, None)  # Of an activation before.
                self.levels[level] = key
                return

    def mark_before_stride(self, value: Any, inner: Any) -> None:
        """Says that `inner`, made of `value`, is the last one at the stride of it.

        Args:
            value: an activation; if it is a level's, `inner` takes its place.
            inner: a recorded activation.
        """
        places = [key for key in self if self[key] is inner]
        for level, of in self.levels.items():
            if places and self[of] is value:
                self.levels[level] = places[-1]

    def mark_normalized(self, value: Any, name: str, normalized: Any) -> None:
        """Records what follows on `value` by normalization and activation.

        Args:
            value: an activation; if it is a level's, so is what follows on it.
            name: full name of the scope of `normalized`.
            normalized: `value`, normalized and activated.
        """
        self.add(name, normalized, self.exact)
        key = self._key(name)
        for level, of in self.levels.items():
            if self[of] is value:
                self.normalized[level] = key

    def resolve(self, name: str) -> str | None:
        """Returns the key that `name` stands for, or None."""
        if self._has(name):
            return name
        if not isinstance(name, str):
            return None
        if _LEVEL.fullmatch(name):
            return self.levels.get(name)
        for prefix in self._outer_prefixes():
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
        scope = self.scope + "/"
        for key in (name, scope + name, name.removeprefix(scope)):
            if self._has(key):
                return key
        return None

    def _has(self, key: str) -> bool:
        return super().__contains__(key) or key in self.further

    def _outer_prefixes(self) -> list[str]:
        parts = self.outer_scope.split("/") if self.outer_scope else []
        return ["/".join(parts[start:]) + "/" for start in range(len(parts))]

    def __missing__(self, name):
        key = self.resolve(name)
        if key is not None:
            return self.further[key] if key in self.further else self[key]
        if isinstance(name, str) and _LEVEL.fullmatch(name):
            raise KeyError(
                f"This network has no level {name!r}; it has {sorted(self.levels)}."
            )
        # Compared without the network's scope, by which all of them would be alike.
        short = {key.removeprefix(self.scope + "/"): key for key in self}
        near = nearest(str(name).removeprefix(self.scope + "/"), short, cutoff=0.4)
        near = ", ".join(repr(short[key]) for key in near.split(", ") if key in short)
        raise KeyError(
            f"No end point {name!r}. Nearest: {near or 'none'}; "
            f"{len(self)} in all, levels {sorted(self.levels)}."
        )

    def __contains__(self, name) -> bool:
        return self.resolve(name) is not None

    def get(self, name, default=None):
        """Returns the activation that `name` stands for, or `default`."""
        key = self.resolve(name)
        return default if key is None else self[key]

    def with_values(self, values: dict[str, Any]) -> EndPoints:
        """Returns the same end points with other values."""
        return EndPoints(
            ((key, values[key]) for key in self),
            scope=self.scope,
            outer_scope=self.outer_scope,
            levels=self.levels,
            normalized=self.normalized,
            bare=self.bare,
            further={key: values[key] for key in self.further},
            exact=self.exact,
        )


def collect(
    collections: Any, name: str, outputs: tf.Tensor, further: bool = False
) -> tf.Tensor:
    """Leaves `outputs` in collections under `name`; equal to TF-Slim's
    `collect_named_outputs` for graph collections.

    Args:
        collections: None, an `EndPoints`, a graph collection's name, or a list of
            these.
        name: full scope of what made the outputs.
        outputs: a tensor.
        further: whether only an `EndPoints` gets it, and its walking leaves it out.

    Returns:
        `outputs`.
    """
    for collection in as_collections(collections):
        if isinstance(collection, EndPoints):
            collection.add(name, outputs, further)
        elif not (further or tf.executing_eagerly()):
            # The attribute from which slim.utils.convert_collection_to_dict reads.
            outputs.aliases = [*getattr(outputs, "aliases", ()), name.rstrip("/")]
            tf.compat.v1.add_to_collection(collection, outputs)
    return outputs


def full_name(name: str, scope: str | None = None) -> str:
    """Returns a name within a scope; within the open variable scope by default."""
    if scope is None:
        scope = tf.compat.v1.get_variable_scope().name
    return f"{scope}/{name}" if scope else name


def mark_stride(collections: Any, outputs: tf.Tensor, stride: int) -> None:
    """As `EndPoints.mark_stride`, of every `EndPoints` in `collections`."""
    for each in _end_points_of(collections):
        each.mark_stride(outputs, stride)


def mark_before_stride(collections: Any, value: tf.Tensor, inner: tf.Tensor) -> None:
    """As `EndPoints.mark_before_stride`, of every `EndPoints` in `collections`."""
    for each in _end_points_of(collections):
        each.mark_before_stride(value, inner)


def mark_normalized(
    collections: Any, value: tf.Tensor, name: str, normalized: tf.Tensor
) -> None:
    """As `EndPoints.mark_normalized`, of every `EndPoints` in `collections`."""
    for each in _end_points_of(collections):
        each.mark_normalized(value, name, normalized)


def of(collections: Any) -> EndPoints | None:
    """Returns the first `EndPoints` among collections, if there is one."""
    return next(iter(_end_points_of(collections)), None)


def _end_points_of(collections: Any) -> list[EndPoints]:
    return [each for each in as_collections(collections) if isinstance(each, EndPoints)]


def as_collections(collections: Any) -> list:
    """Returns `outputs_collections` in any accepted form as a list."""
    if collections is None:
        return []
    if isinstance(collections, (list, tuple, set)):
        return list(collections)
    return [collections]
