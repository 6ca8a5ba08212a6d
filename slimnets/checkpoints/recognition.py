"""Which network a file's weights are of, and of how many classes and channels.

Asked of files without metadata. Nothing is known of a network here but its variables
and, of a registered one, the number of its parameters.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from slimnets import factory
from slimnets.checkpoints import mapping, networks
from slimnets.checkpoints.base import Shape, WeightsReader
from slimnets.checkpoints.load_report import LoadReport
from slimnets.checkpoints.matching import Request, match
from slimnets.checkpoints.targets import OF_TRAINING

# No layer of a network has as many outputs, but the one that is made for them.
_CLASSES = 1009
_CHANNELS = 3


def sizes_in(
    reader: WeightsReader,
    network: Callable,
    options: Mapping[str, Any] | None = None,
    rename: Iterable[tuple[str, str]] = (),
) -> tuple[int | None, int]:
    """The number of classes (None without logits) and of channels of a file's weights.

    Args:
        reader: the file.
        network: the network function.
        options: its further arguments.
        rename: as of `load_weights`.
    """
    return _compared(reader, network, options, rename)[1]


def _compared(
    reader: WeightsReader,
    network: Callable,
    options: Mapping[str, Any] | None = None,
    rename: Iterable[tuple[str, str]] = (),
) -> tuple[LoadReport, tuple[int | None, int]]:
    """A file beside a network of a number of classes that no file has: what they have
    in common, and the file's numbers of classes and of channels."""
    specs = networks.variable_specs(network, _CLASSES, _CHANNELS, options)
    report = match(reader, specs, Request(rename=rename, network=network)).report
    same = {name: (tuple(specs[name].shape),) * 2 for name in report.loaded}
    classes, channels = set(), set()
    for theirs, ours in {**same, **report.wrong_shape}.values():
        if len(theirs) != len(ours):
            continue
        if _CLASSES in ours:
            classes.add(theirs[ours.index(_CLASSES)])
        elif theirs != ours and len(ours) > 1 and ours[-2] == _CHANNELS:
            channels.add(theirs[-2])
    return report, (
        classes.pop() if len(classes) == 1 else None,
        channels.pop() if len(channels) == 1 else _CHANNELS,
    )


def class_axes(
    network: Callable, options: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """The variables that have a size for each class, and the axis of it."""
    specs = networks.variable_specs(network, _CLASSES, _CHANNELS, options)
    shapes = {name: list(spec.shape) for name, spec in specs.items()}
    return {n: s.index(_CLASSES) for n, s in shapes.items() if _CLASSES in s}


def patterns_of_others(reader: WeightsReader, model: Any) -> list[str]:
    """What `exclude` of `load_weights` leaves out of a file of other classes than a
    Model's: the Model's variables that have a size for each class, and the file's
    tensors of layers that a Model without classes does not have.

    Args:
        reader: the file.
        model: built; knows its network.
    """
    network, options = model.network_function, model.network_options
    variables = model.variables_by_name
    heads = class_axes(network, options)
    specs = networks.variable_specs(
        network, *sizes_in(reader, network, options), options
    )
    theirs = match(reader, specs, Request(network=network)).report.loaded
    left = [tensor for name, tensor in theirs.items() if name not in variables]
    return [re.escape(n) for n in (*(n for n in heads if n in variables), *left)]


def recognized(reader: WeightsReader) -> str | None:
    """The registered network whose variables a file has, all of them and no others.

    None if there is none.

    Raises:
        ValueError: if there are several.
    """
    fits = [name for name in _of_that_size(reader) if _fits(reader, name)]
    if len(fits) > 1:
        raise ValueError(
            f"{reader.prefix} has no metadata beside it, and its variables are those "
            f"of {' and of '.join(fits)}: give model_name."
        )
    return fits[0] if fits else None


def _fits(reader: WeightsReader, name: str) -> bool:
    network = factory.network_info(name).network
    try:
        report, sizes = _compared(reader, network)
        if not report.loaded or report.unexpected:
            return False
        specs = networks.variable_specs(network, *sizes)
        return match(reader, specs, Request(network=network)).report.complete
    except (ValueError, TypeError):  # Such as a network that takes no images.
        return False


def _of_that_size(reader: WeightsReader) -> list[str]:
    """The networks that may have as many parameters, once their classes and channels
    are the file's; and those of which it is not known."""
    shapes = [
        shape
        for name, shape in reader.shapes.items()
        if not OF_TRAINING.fullmatch(name) and not mapping.NOT_VARIABLES.fullmatch(name)
    ]
    infos = [factory.network_info(name) for name in factory.list_networks()]
    return [
        info.name
        for info in infos
        if not info.counts
        or info.counts["parameters"] in _totals(shapes, info.counts["num_classes"])
    ]


def _totals(shapes: Collection[Shape], classes: int) -> set[int]:
    """How many parameters a network of `classes` classes may have, of which these are
    the shapes for other classes and channels."""
    vectors = {shape[0] for shape in shapes if len(shape) == 1}
    inputs: dict[int, set[int]] = {}
    roots = {0}
    for shape in shapes:
        if len(shape) < 2:
            continue
        # Channels and classes lie first or last, whatever the layout.
        for outputs in {shape[0], shape[-1]} & vectors:
            inputs.setdefault(outputs, set()).add(math.prod(shape) // outputs + 1)
        for channels in {shape[1], shape[-2]} if len(shape) == 4 else ():
            if channels and channels <= 2 * _CHANNELS:
                roots.add(math.prod(shape) // channels * (_CHANNELS - channels))
    heads = {0, *(classes * (size + 1) for size in vectors)}
    for outputs, sizes in inputs.items():
        # One head, or two with an auxiliary one.
        pairs = map(sum, itertools.combinations(sizes, 2))
        heads.update((classes - outputs) * size for size in {*sizes, *pairs})
    total = sum(map(math.prod, shapes))
    return {total + root + head for root in roots for head in heads}
