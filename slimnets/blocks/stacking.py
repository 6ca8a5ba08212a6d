"""The one stacker: builds planned blocks, and says what it built to end points."""

from __future__ import annotations

import contextlib
import fractions
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets import end_points, rules
from slimnets.blocks.block import Block
from slimnets.blocks.plan import PlannedBlock, PlannedUnit, plan_blocks
from slimnets.blocks.same import subsample
from slimnets.layers import recomputing
from slimnets.scopes import add_arg_scope, arg_scope, current_arg_scope


class Built(NamedTuple):
    """A unit's output, and its stride against the blocks' input.

    Attributes:
        net: the output.
        stride: as it is,
        nominal_stride: and as it would be if striding had not ended.
    """

    net: tf.Tensor
    stride: int
    nominal_stride: int


@add_arg_scope
def stack_blocks(
    net: tf.Tensor,
    blocks: Sequence[Block],
    output_stride: int | None = None,
    store_non_strided_activations: bool = False,
    outputs_collections: Any = None,
    root_stride: int = 1,
    multi_grid: Sequence[int] | None = None,
    recompute: bool = False,
    final_endpoint: str | None = None,
) -> tf.Tensor:
    """Stacks blocks and controls the density of their output.

    It knows nothing of what a unit is: it calls `unit_fn(net, rate=..., **unit)` in
    the scope `block/unit_i` and keeps the arithmetic of stride and rate. A unit
    function with a parameter `next_rate` is also given the rate for what it convolves
    after its stride, and one with a parameter `earlier` the last outputs before it,
    each as a `Built`, of which `net` is the last.

    Args:
        net: `[batch, height, width, channels]`.
        blocks: the blocks.
        output_stride: None for the units' own strides; or a product of the units'
            strides from the start up to some unit, at which striding ends and atrous
            convolution goes on: units of strides 1, 2, 1, 3, 4, 1 allow 1, 2, 6, 24.
        store_non_strided_activations: moves the stride of a block's last unit behind
            the block, so that the block's end point has the resolution before it; a
            block without a name has no end point, and keeps its strides.
        outputs_collections: collections for the blocks' outputs.
        root_stride: stride of `net` against the network's input, for the levels in
            end points.
        multi_grid: factors of the last block's rates, one for each unit (Chen et al.,
            arXiv:1706.05587, section 3.2.1); whatever the output stride.
        recompute: whether each unit keeps only its input for the gradients, and is
            computed again for them; see `layers.recomputing`. Units that are single
            layers are kept and computed again a block at a time.
        final_endpoint: stops when an `EndPoints` in outputs_collections has this key.

    Returns:
        The last block's output, at the output stride, or the final end point.

    Raises:
        ValueError: if the output stride cannot be reached, a unit is not one, or the
            multi-grid is not of the last block's units.
    """
    plan = plan_blocks(blocks, output_stride, store_non_strided_activations, multi_grid)
    stacker = _Stacker(
        outputs_collections, root_stride, recompute, final_endpoint, output_stride
    )
    return stacker.stack(net, plan)


class _Stacker:
    """Builds planned blocks; arguments as of `stack_blocks`."""

    def __init__(
        self, collections, root_stride, recompute, final_endpoint, output_stride
    ):
        self.collections = collections
        self.root_stride = root_stride
        self.recompute = recompute
        self.final_endpoint = final_endpoint
        self.output_stride = output_stride
        self.earlier: list[Built] = []

    def stack(self, net: tf.Tensor, plan: Sequence[PlannedBlock]) -> tf.Tensor:
        self.earlier = [Built(net, 1, 1)]
        for planned in plan:
            net = self._block(net, *planned)
            if (final := self._final()) is not None:
                return final
        return net

    def _final(self) -> tf.Tensor | None:
        if self.final_endpoint is None:
            return None
        found = end_points.of(self.collections)
        return found.get(self.final_endpoint) if found is not None else None

    def _block(self, net, block: Block, units: list[PlannedUnit], subsampled: int):
        if not block.name:
            whole = getattr(block.unit_fn, "is_layer", False)
            if self.recompute and whole and self.final_endpoint is None:
                return recomputed(
                    lambda net: self._units(net, block, units, False), net
                )
            return self._units(net, block, units, self.recompute)
        with tf.compat.v1.variable_scope(block.name, "block", [net]) as sc:
            net = self._units(net, block, units, self.recompute)
            if self._final() is not None:
                return net
            end_points.collect(self.collections, sc.name, net)
            self._mark(net, units[-1])
            return subsample(net, subsampled)

    def _units(self, net, block: Block, units: list[PlannedUnit], recompute: bool):
        for index, unit in enumerate(units, start=1):
            scope = contextlib.nullcontext()
            if block.name:
                scope = tf.compat.v1.variable_scope(f"unit_{index}", values=[net])
            changed, inputs = rules.changed_strides(), net
            with scope:
                net = self._unit(net, block.unit_fn, unit, recompute)
            if rules.changed_strides() > changed:
                self._changed_stride(inputs, net, unit)
            self._mark(net, unit)
            if not _builds_aside(block.unit_fn):
                built = Built(net, unit.output_stride, unit.nominal_stride)
                self.earlier = [*self.earlier[-2:], built]
            if self._final() is not None:
                break
        return net

    def _unit(self, net, unit_fn: Callable, unit: PlannedUnit, recompute: bool):
        kwargs = dict(unit.kwargs)
        if "stride" in kwargs:
            kwargs["stride"] = unit.stride
        if takes(unit_fn, "next_rate"):
            kwargs["next_rate"] = unit.next_rate
        build = functools.partial(unit_fn, rate=unit.rate, **kwargs)
        # What is built aside, from what comes through, is built once.
        recompute = recompute and not _builds_aside(unit_fn)
        if not takes(unit_fn, "earlier"):
            return recomputed(build, net) if recompute else build(net)
        nets = [net, *(built.net for built in self.earlier)]
        strides = [built[1:] for built in self.earlier]

        def with_earlier(net, *before):
            earlier = [Built(was, *of) for was, of in zip(before, strides, strict=True)]
            return build(net, earlier=earlier)

        return recomputed(with_earlier, *nets) if recompute else with_earlier(*nets)

    def _changed_stride(self, inputs, outputs, unit: PlannedUnit) -> None:
        """Takes the stride that a unit has by a rule in place of the planned one."""
        before, after = (net.shape.as_list()[1] for net in (inputs, outputs))
        if self.output_stride is not None or after is None:
            scope = tf.compat.v1.get_variable_scope().name
            raise ValueError(
                f"A rule changes a stride in {scope!r}: then the size of the images "
                f"must be known, and output_stride is None; got {inputs.shape}, "
                f"output_stride={self.output_stride}."
            )
        self.root_stride *= fractions.Fraction(round(before / after), unit.stride)

    def _mark(self, net: tf.Tensor, unit: PlannedUnit) -> None:
        stride = int(self.root_stride * unit.output_stride)
        end_points.mark_stride(self.collections, net, stride)


def _builds_aside(unit_fn: Callable) -> bool:
    """Whether what a unit function is given comes through, and is not its own work."""
    return getattr(unit_fn, "builds_aside", False)


def recomputed(build: Callable, *nets: tf.Tensor) -> tf.Tensor:
    """`build(*nets)`, which is built again in the scopes of here for its gradients."""
    scopes, places = dict(current_arg_scope()), rules.current()
    # What is built again is no end point.
    bare = {
        key: {k: v for k, v in values.items() if k != "outputs_collections"}
        for key, values in scopes.items()
    }

    def in_scopes(*inputs: tf.Tensor) -> tf.Tensor:
        with (
            arg_scope(bare if recomputing.is_replay() else scopes),
            rules.opened(places),
        ):
            return build(*inputs)

    return recomputing.recomputed(in_scopes, *nets)


@functools.cache
def takes(function: Callable, parameter: str) -> bool:
    """Whether a function has a parameter of that name."""
    return parameter in inspect.signature(function).parameters


# TF-Slim's name.
stack_blocks_dense = stack_blocks
