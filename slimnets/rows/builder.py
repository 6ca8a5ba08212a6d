"""The one builder: the network function that a row stands for."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slimnets import layers, rules
from slimnets.blocks import Block, check_output_stride, stack_blocks
from slimnets.end_points import EndPoints
from slimnets.rows import channels, scoping
from slimnets.rows.arguments import COMMON, bound, documented
from slimnets.rows.changes import with_activation, with_padding
from slimnets.rows.freezing import freeze_blocks, frozen_if
from slimnets.rows.heads import Auxiliary, Call, Reached
from slimnets.rows.row import Row
from slimnets.rows.scoping import network_options
from slimnets.scopes import arg_scope, default_arg_scope
from slimnets.units.single import layer_unit

# Arguments that the builder knows; all others are for `Row.vary`.
_KNOWN = {name for name, _ in COMMON} | {
    "inputs", "scope", "create_aux_logits", "base_only",
}  # fmt: skip


def network_of(row: Row) -> Callable:
    """Returns the network function that a row stands for.

    It carries the row, and the row's image size, preprocessing and arg scope.
    """
    signature = row.signature

    def network(*args: Any, **kwargs: Any) -> tuple[tf.Tensor, EndPoints]:
        return build_network(row, bound(row.name, signature, args, kwargs))

    network.__name__ = network.__qualname__ = row.name
    network.__doc__ = documented(row.summary, signature, dict(row.texts), _notes(row))
    vars(network).update(
        __signature__=signature,
        default_image_size=row.image_size,
        preprocessing=row.preprocessing,
        arg_scope=row.arg_scope,
        row=row,
    )
    return network


def base_of(row: Row, *fixed: tuple[str, Any], **defaults: Any) -> Callable:
    """Returns the function that builds a row's network without its head.

    Args:
        row: the row.
        *fixed: its arguments that may be given by position, after the inputs: names and
            defaults.
        **defaults: other defaults of arguments by keyword.
    """
    inputs = row.arguments[0]
    return network_of(
        dataclasses.replace(
            row,
            name=f"{row.name}_base",
            scope=row.scope_name,
            head=dataclasses.replace(row.head, features=(), logits=(), end=()),
            auxiliary=None,
            reopens=False,
            arguments=(inputs, *fixed),
            keywords=tuple(({"is_training": None} | defaults).items()),
            summary=f"Builds {row.name} up to an end point, without its head.",
        )
    )


def _notes(row: Row) -> str:
    notes = []
    if not row.dense_is_exact:
        notes.append(
            "At a smaller output stride the outputs are not exactly the nominal ones: "
            "its layers take statistics over the image, which has more pixels then."
        )
    if row.default_training is not None:
        notes.append(
            "Inference mode is created by default: is_training is what an open "
            "training_scope says, else False."
        )
    return "\n\n".join(notes)


def build_network(row: Row, arguments: dict[str, Any]) -> tuple[tf.Tensor, EndPoints]:
    """Builds a network.

    Args:
        row: the row.
        arguments: all of its arguments by name; see `arguments.TEXTS`.

    Returns:
        `(net, end_points)`.

    Raises:
        ValueError: as the network's docstring says.
    """
    row, options = asked(row, arguments)
    inputs = options["inputs"]
    scale = row.scale(options["depth_multiplier"], options["min_depth"])
    blocks = row.blocks(scale, options["drop_path_rate"])
    options["scale"] = scale
    name = getattr(options["scope"], "name", options["scope"]) or row.scope_name
    scoping.check_images(inputs, name or row.name)
    scoping.check_num_classes(options["num_classes"])
    scoping.check_global_pool(options["global_pool"])
    check_output_stride(options["output_stride"], blocks, row.root_stride)
    frozen = freeze_blocks(blocks, options["freeze_at"])
    with _opened(row, inputs, blocks, options) as call:
        try:
            with _reopened(row):
                net = layers.activations(inputs, scope="inputs")
                net = _stacked(row, net, row.root_block(scale), frozen, call)
            net = _headed(row, net, call)
        except Reached as reached:
            net = reached.net
        if row.unit_keys:
            call.end_points.sort_inner(row.unit_keys)
    if options.get("channels_first"):
        return channels.second(net, call.end_points)
    return net, call.end_points


def asked(row: Row, arguments: dict[str, Any]) -> tuple[Row, dict[str, Any]]:
    """The row that the arguments ask for, and the arguments of the builder."""
    options = {key: arguments[key] for key in arguments if key in _KNOWN}
    if not row.normalized and options["norm"] != "batch":
        raise ValueError(
            f"{row.name}: norm={options['norm']!r}; it has no norms: allowed is 'batch'"
            "."
        )
    if row.vary is not None:
        own = {key: arguments[key] for key in arguments if key not in _KNOWN}
        row = row.vary(row, options, **own)
    if options["padding"] is not None:
        row = with_padding(row, options["padding"])
    if options["activation_fn"] is row.default("activation_fn"):
        options["activation_fn"] = None
    else:
        row = with_activation(row, options["activation_fn"])
    return row, options


@contextlib.contextmanager
def _opened(
    row: Row, inputs: tf.Tensor, blocks: Sequence[Block], options: dict[str, Any]
) -> Iterator[Call]:
    """Opens the network's scope, and the arg scopes that its arguments stand for."""
    outer = tf.compat.v1.get_variable_scope().name
    names = tf.get_current_name_scope()
    scope, default_name = options["scope"], row.scope_name
    if scope is None and not default_name:
        scope = tf.compat.v1.get_variable_scope()
    is_training = options["is_training"]
    if is_training is None and row.default_training is not None:
        is_training = row.default_training()
    unit_fns = list(dict.fromkeys(block.unit_fn for block in blocks))
    with (
        tf.compat.v1.variable_scope(
            scope, default_name, [inputs], reuse=options["reuse"]
        ) as sc,
        rules.in_network(outer, sc.name),
        (arg_scope if row.exact else default_arg_scope)(row.family_scope()),
        network_options(unit_fns, options),
        scoping.training(is_training),
        scoping.frozen_statistics(options["norm"]),
    ):
        end_points = scoping.end_points_of(sc.name, outer, row.bare_keys)
        end_points.exact = row.exact
        functions = [stack_blocks, *unit_fns]
        if row.collects_layers:
            functions += [layers.conv2d, layers.separable_conv2d]
        if not (row.collects_layers and row.exact):
            functions.append(layer_unit)
        with scoping.collecting(end_points, functions):
            yield Call(end_points, sc.name, row.image_size, options, names)
    final = options["final_endpoint"]
    if final is not None and final not in end_points:
        raise ValueError(
            f"{row.name}: unknown final endpoint {final!r}; allowed are "
            f"{', '.join(end_points)}."
        )


def _reopened(row: Row) -> contextlib.AbstractContextManager:
    """The open scope once more, for the names of operations that TF-Slim gives."""
    if not (row.exact and row.reopens):
        return contextlib.nullcontext()
    return tf.compat.v1.variable_scope(tf.compat.v1.get_variable_scope())


def _stacked(
    row: Row, net: tf.Tensor, root: Block | None, blocks: list[Block], call: Call
) -> tf.Tensor:
    options = call.options
    recompute = {}
    if options["recompute"] is not None:
        recompute["recompute"] = options["recompute"]
    final = options["final_endpoint"]
    if root is not None:
        with frozen_if(options["freeze_at"]):
            net = stack_blocks(net, [root], final_endpoint=final, **recompute)
        call.stop_at_final()
    output_stride = options["output_stride"]
    net = stack_blocks(
        net,
        _with_auxiliary(row, blocks, call),
        output_stride and output_stride // row.root_stride,
        options["store_non_strided_activations"],
        root_stride=row.root_stride,
        multi_grid=options["multi_grid"],
        final_endpoint=final,
        **recompute,
    )
    call.stop_at_final()
    if row.preactivation:
        # v2 units end un-normalized, so the network's last norm lives here.
        norm = scoping.like_units(blocks[-1].unit_fn)
        with frozen_if(options["freeze_at"] > len(blocks)):
            raw, net = net, norm(net, scope="postnorm")
            net = layers.activations(net, scope="postnorm/outputs")
        name = f"{call.scope_name}/postnorm"
        call.end_points.mark_normalized(raw, name, net)
        call.stop_at_final()
    return net


def _auxiliary(row: Row, call: Call, in_place: bool) -> Auxiliary | None:
    """The auxiliary logits, if they are wanted and built there."""
    wanted = call.options.get("create_aux_logits") and not call.features_only
    if not wanted or row.auxiliary is None or row.auxiliary.in_place != in_place:
        return None
    return row.auxiliary.scaled_by(call.options["scale"])


def _with_auxiliary(row: Row, blocks: list[Block], call: Call) -> list[Block]:
    """The blocks, and behind one of them the logits that are built in place."""
    auxiliary = _auxiliary(row, call, in_place=True)
    if auxiliary is None:
        return blocks

    def aside(net: tf.Tensor, rate: int = 1) -> tf.Tensor:
        auxiliary.build(net, call)
        return net

    vars(aside)["builds_aside"] = True
    place = 1 + next(
        index
        for index, block in enumerate(blocks)
        if block.unit_kwargs()[-1].get("key") == auxiliary.after
    )
    return [*blocks[:place], Block("", aside, [{}]), *blocks[place:]]


def _headed(row: Row, net: tf.Tensor, call: Call) -> tf.Tensor:
    if auxiliary := _auxiliary(row, call, in_place=False):
        auxiliary.build(call.end_points[auxiliary.after], call)
    return row.head.scaled_by(call.options["scale"]).build(net, call)
