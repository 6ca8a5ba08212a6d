"""Loads weights into variables: all of them, or an explanation of both sides."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from slimnets.checkpoints.base import WeightsReader
from slimnets.checkpoints.detect import read_checkpoint
from slimnets.checkpoints.load_report import LoadReport
from slimnets.checkpoints.matching import Request, match
from slimnets.checkpoints.networks import Network, network_of
from slimnets.checkpoints.targets import init_fn_of, is_of_graph, target_variables


def load_weights(
    path: str | os.PathLike | WeightsReader,
    target: Any,
    exclude: Iterable[str] = (),
    rename: Iterable[tuple[str, str]] = (),
    include: Iterable[str] | None = None,
    allow_partial: bool = False,
    *,
    network: Network | None = None,
    adapt_root: str | None = None,
) -> LoadReport | Any:  # Of a graph it is the other.
    """Fills variables from a file by name; nothing changes unless all is well.

    The two may stand in either order: `load_weights(model, path)` too.

    A file of Keras, PyTorch or BiT gives its weights to the network that is equal to
    theirs: its names and layouts are mapped by that network's rules.

    Patterns are regular expressions that match a whole name. The global step and an
    optimizer's variables are left aside on both sides, and so is a moving average
    beside the variable that it averages.

    Args:
        path: see `read_checkpoint`; or what that gave.
        target: a Model, or a dict from names to variables; in graph code a list of
            variables, or the scope whose variables are meant ("" for all).
        exclude: patterns of names to leave alone, as variables and as tensors:
            `['.*logits.*']` for another number of classes.
        rename: pairs `(pattern, replacement)`, as for `re.sub`, that turn a tensor's
            name into its variable's (in files of others into the name that they give
            it); the first pair that matches is taken.
        include: patterns of the only names to load; None for all.
        allow_partial: whether variables without a tensor and tensors without a variable
            are merely reported. A wrong shape never passes.
        network: whose rules map the names of a file of another framework: a registered
            name or a network function. A Model knows its own, and a scope that is
            called as a registered network too.
        adapt_root: how weights of a root for 3 channels become those for another
            number, N: `sum` for one channel, `repeat` for any; None for not at all.

    Returns:
        For variables with values a LoadReport; for variables of a graph a function of a
        session that sets them (a `tf.compat.v1.train.Scaffold`'s `init_fn` too), which
        has the report as its attribute `report`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read or does not fit; the message lists what is
            loaded, missing, unexpected and of another shape, and the likely cause.
        TypeError: if neither is a path, or `target` is none of these.
        ImportError: if the file needs a package that is not installed.
    """
    if _is_source(target) and not _is_source(path):
        path, target = target, path
    if not _is_source(path):
        raise TypeError(
            "load_weights takes a path and what is to be filled from it; got "
            f"{path!r} and {target!r}."
        )
    variables = target_variables(target)
    network = network_of(target, network)
    reader = path if isinstance(path, WeightsReader) else read_checkpoint(path)
    found = match(
        reader, variables, Request(exclude, rename, include, network, adapt_root)
    )
    report = found.report
    partial = allow_partial and report.loaded and not report.wrong_shape
    if not (report.complete or partial):
        raise ValueError(f"Cannot load {report}")
    # All values are read before the first is assigned: what cannot be read to its end
    # changes nothing. Largest first, which leaves the fewest gaps in memory.
    names = sorted(report.loaded, key=lambda n: -variables[n].shape.num_elements())
    values = {n: found.value(n, variables[n].dtype) for n in names}
    if any(is_of_graph(variable) for variable in variables.values()):
        return init_fn_of([(variables[n], values[n]) for n in values], report)
    for name in names:
        variables[name].assign(values.pop(name), read_value=False)
    return report


def _is_source(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike, WeightsReader))
