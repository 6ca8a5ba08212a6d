"""The network row: everything that is known of a network without building it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from slimnets.blocks import Block, takes
from slimnets.rows.arg_scopes import extended, resnet_arg_scope
from slimnets.rows.arguments import signature_of
from slimnets.rows.heads import Auxiliary, Head
from slimnets.rows.stage import Depths, Scale, Stage, block_of, with_drop_path
from slimnets.scopes import Scope, current_arg_scope
from slimnets.units import Conv

Pairs = tuple[tuple[str, Any], ...]
# Arguments of units that take statistics over the whole image.
_OF_WHOLE_IMAGES = ("squeeze_ratio", "normalizes_response")


@dataclasses.dataclass(frozen=True)
class Row:
    """A named network of images, as data.

    Attributes:
        name: of the network.
        stages: what it is made of: stages, and tuples of single layers.
        root: single layers before them, which keep their strides.
        head: what follows on them.
        auxiliary: logits for a second loss, if it has any.
        scope: the name of its scope by default; `name` if None; "" for the open one.
        arg_scope: gives the family's arg scope.
        default_scope: gives the one that lies under the caller's; `arg_scope` if None.
        inner_scope: gives the one that TF-Slim's function opens over the caller's.
        unit_options: further arguments of its unit functions, as an arg scope.
        arguments: those that are fixed, inputs first: names and defaults.
        keywords: further ones, by keyword only.
        texts: of arguments that are its own.
        vary: returns the row that arguments of its own ask for.
        depths: how it scales depths.
        bare_keys: whether keys of end points leave the network's scope away.
        unit_keys: what keys of units begin with, if those of end points inside of units
            come behind them all.
        collects_layers: whether each convolution is an end point.
        reopens: whether TF-Slim builds the stages in the network's scope opened once
            more, which names of operations show.
        exact: whether it is TF-Slim's to the letter: with no scope but `inner_scope`,
            with the names of all operations that are end points, and with no other
            end points when these are walked.
        normalized: whether it has norms.
        preactivation: whether units begin with norms, so that the last one is the
            head's `postnorm`.
        image_size: the side of the images it is made for, in pixels.
        fixed_size: whether its dense layers need the size of the images.
        default_training: is_training where the caller leaves it to arg scopes.
        summary: one line of help.
        preprocessing: how its authors made images of pictures, by the name in
            `data.preprocessing_names()`.
        weights: whose weights load into it.
        names: for each kind of file the rules of names that it may have: `mapping`'s
            keys, or for `torch` pairs of a pattern and a template.
    """

    name: str
    stages: tuple[Stage | tuple, ...]
    root: tuple[Any, ...] = ()
    head: Head = dataclasses.field(default_factory=Head)
    auxiliary: Auxiliary | None = None
    scope: str | None = None
    arg_scope: Callable[..., Scope] = resnet_arg_scope
    default_scope: Callable[[], Scope] | None = None
    inner_scope: Callable[[], Scope] | None = None
    unit_options: Pairs = ()
    arguments: Pairs = (("inputs", None),)
    keywords: Pairs = ()
    texts: Pairs = ()
    vary: Callable[..., Row] | None = None
    depths: Depths = dataclasses.field(default_factory=Depths)
    bare_keys: bool = False
    unit_keys: str = ""
    collects_layers: bool = False
    reopens: bool = False
    exact: bool = False
    normalized: bool = True
    preactivation: bool = False
    image_size: int = 224
    fixed_size: bool = False
    default_training: Callable[[], Any] | None = None
    summary: str = ""
    preprocessing: str = ""
    weights: str = ""
    names: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def scope_name(self) -> str:
        return self.name if self.scope is None else self.scope

    @property
    def first_variable(self) -> str:
        """The name in its scope; empty where no convolution comes first."""
        first = self.root[0] if self.root else None
        if not isinstance(first, Conv):
            return ""
        return f"{first.name}/{'depthwise_' if first.multiplier else ''}weights"

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The signature of the network function."""
        scope = self.scope_name or None
        return signature_of(self.arguments, self.keywords, scope)

    def default(self, argument: str) -> Any:
        """Returns the default of an argument."""
        parameters = self.signature.parameters
        name = "min_base_depth" if argument == "min_depth" else argument
        return parameters[name if name in parameters else argument].default

    def scale(
        self, depth_multiplier: float | None = None, min_depth: int | None = None
    ) -> Scale:
        """Returns the function that scales depths.

        Raises:
            ValueError: for a multiplier that is not positive.
        """
        if depth_multiplier is None:
            depth_multiplier = self.default("depth_multiplier")
        if min_depth is None:
            min_depth = self.default("min_depth")
        return self.depths.scale(depth_multiplier, min_depth)

    def root_block(self, scale: Scale) -> Block | None:
        """Returns the root as a block, or None."""
        return block_of(self.root, scale) if self.root else None

    def blocks(self, scale: Scale | None = None, drop_path_rate: float = 0.0):
        """Returns the stages as blocks.

        Args:
            scale: of depths.
            drop_path_rate: of the last unit; it rises from 0 at the first unit.

        Raises:
            ValueError: for a rate of a network that has nothing to drop.
        """
        scale = scale or self.scale()
        blocks = [block_of(stage, scale) for stage in self.stages]
        if not drop_path_rate:
            return blocks
        if not any(_drops(block.unit_fn) for block in blocks):
            raise ValueError(
                f"drop_path_rate={drop_path_rate}: {self.name} has no residual branch "
                "that could be dropped; allowed is 0."
            )
        return with_drop_path(blocks, drop_path_rate, _drops)

    @property
    def unit_functions(self) -> list[Callable]:
        """The functions of its units, each once."""
        found = [s.unit_fn for s in self.stages if isinstance(s, Stage)]
        return list(dict.fromkeys(found))

    @property
    def root_stride(self) -> int:
        stride = 1
        for layer in self.root:
            stride *= layer.stride
        return stride

    @property
    def dense_is_exact(self) -> bool:
        """Whether a denser output, subsampled, equals the nominal one.

        It is not where layers take statistics over the whole image, as group norm,
        global response norm and squeeze-and-excitation do: with more pixels these are
        others.
        """
        stages = (stage for stage in self.stages if isinstance(stage, Stage))
        parts = [part for s in stages for part in (s.options, *s.each)]
        every = [*self.unit_options, *(pair for part in parts for pair in part)]
        return not self.has_group_norms and not any(
            value for key, value in every if key in _OF_WHOLE_IMAGES
        )

    @property
    def has_group_norms(self) -> bool:
        """Whether it is made with norms of the whole image."""
        return "normalizer_fn" in dict(self.unit_options)

    def family_scope(self) -> Scope:
        """Returns the scope that lies under the caller's; if exact, over it."""
        make = self.default_scope or self.arg_scope
        if self.exact:
            make = self.inner_scope or current_arg_scope
        scope = make()
        if not self.unit_options:
            return scope
        return extended(scope, self.unit_functions, **dict(self.unit_options))

    def thin(self) -> Row:
        """Returns a row of the same kinds of layers with at most two units a stage."""
        stages = tuple(s.thin() if isinstance(s, Stage) else s for s in self.stages)
        return dataclasses.replace(self, stages=stages)


def _drops(unit_fn: Callable) -> bool:
    return takes(unit_fn, "drop_path_rate")
