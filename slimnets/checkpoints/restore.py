"""Loads a checkpoint into variables: all of it, or an explanation of both sides."""

import collections
import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.readers import CheckpointReader, read_checkpoint
from slimnets.checkpoints.report import LoadReport, likely_causes
from slimnets.checkpoints.writer import variables_of

# What training keeps beside the network's own variables.
_OF_TRAINING = re.compile(
    r"global_step|save_counter|(?:.*/)?(?:beta[12]_power)|optimizer/.*"
    r"|.*/(?:Momentum|RMSProp(?:_1)?|Adam(?:_1)?|Adagrad|Adadelta(?:_1)?|Ftrl(?:_1)?)"
)
_AVERAGE = "/ExponentialMovingAverage"


def load_weights(
    path: str | os.PathLike,
    target: Any,
    exclude: Iterable[str] = (),
    rename: Iterable[tuple[str, str]] = (),
    include: Iterable[str] | None = None,
    allow_partial: bool = False,
) -> LoadReport | Callable[[tf.compat.v1.Session], None]:
    """Fills variables from a checkpoint by name; nothing changes unless all is well.

    Patterns are regular expressions that match a whole name. The global step and an
    optimizer's variables are left aside on both sides, and so is a moving average
    beside the variable that it averages.

    Args:
        path: see `read_checkpoint`.
        target: a Model, or a dict from names to variables; in graph code a list of
            variables, or the scope whose variables are meant ("" for all).
        exclude: patterns of names to leave alone, as variables and as tensors.
        rename: pairs `(pattern, replacement)`, as for `re.sub`, that turn a tensor's
            name into its variable's; the first pair that matches is taken.
        include: patterns of the only names to load; None for all.
        allow_partial: whether variables without a tensor and tensors without a variable
            are merely reported. A wrong shape never passes.

    Returns:
        For variables with values a LoadReport; for variables of a graph a function of a
        session that sets them (a `tf.compat.v1.train.Scaffold`'s `init_fn` too), which
        has the report as its attribute `report`.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if it cannot be read or does not fit; the message lists what is
            loaded, missing, unexpected and of another shape, and the likely cause.
        TypeError: if `target` is none of these.
    """
    variables = _target_variables(target)
    reader = read_checkpoint(path)
    chosen = _Chosen(exclude, include)
    tensors = _renamed(reader, rename)
    report = _compare(reader, tensors, variables, chosen)
    chosen.check_used(list(variables) + list(tensors))
    partial = allow_partial and report.loaded and not report.wrong_shape
    if not (report.complete or partial):
        raise ValueError(f"Cannot load {report}")
    values = {
        name: _read(reader, tensor, variables[name])
        for name, tensor in report.loaded.items()
    }
    if any(_is_of_graph(variable) for variable in variables.values()):
        return _init_fn([(variables[n], values[n]) for n in values], report)
    for name, value in values.items():
        variables[name].assign(value)
    return report


class _Chosen:
    """Which names the patterns leave, and which patterns were of no use."""

    def __init__(self, exclude: Iterable[str], include: Iterable[str] | None):
        self._exclude = _compiled("exclude", exclude)
        self._include = None if include is None else _compiled("include", include)

    def __contains__(self, name: str) -> bool:
        if any(pattern.fullmatch(name) for pattern in self._exclude):
            return False
        return self._include is None or any(p.fullmatch(name) for p in self._include)

    def check_used(self, names: Sequence[str]) -> None:
        for pattern in [*self._exclude, *(self._include or ())]:
            if not any(pattern.fullmatch(name) for name in names):
                near = difflib.get_close_matches(
                    pattern.pattern, names, n=3, cutoff=0.4
                )
                hint = f" The nearest are {', '.join(near)}." if near else ""
                raise ValueError(
                    f"The pattern {pattern.pattern!r} matches no whole name of a "
                    f"variable or tensor.{hint}"
                )


def _compiled(argument: str, patterns: Iterable[str]) -> list[re.Pattern[str]]:
    if isinstance(patterns, str):
        patterns = [patterns]
    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise ValueError(
            f"{argument}: {error.pattern!r} is not a regular expression: {error}."
        ) from None


def _target_variables(target: Any) -> dict[str, Any]:
    if isinstance(target, str):
        variables = _scope_variables(target)
    elif isinstance(target, (list, tuple)):
        pairs = [(variable.name.split(":")[0], variable) for variable in target]
        counts = collections.Counter(name for name, _ in pairs)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"Several variables have one name: {', '.join(twice)}.")
        variables = dict(pairs)
    else:
        variables = dict(variables_of(target))
    if not variables:
        raise ValueError(
            "There is nothing to load into: the target has no variables yet (a Model "
            "makes them on its first call, or by build(input_shape))."
        )
    return variables


def _scope_variables(scope: str) -> dict[str, Any]:
    prefix = f"{scope.rstrip('/')}/" if scope else ""
    variables = {
        variable.op.name: variable
        for variable in tf.compat.v1.global_variables()
        if variable.op.name.startswith(prefix)
        and not _OF_TRAINING.fullmatch(variable.op.name)
    }
    if not variables:
        raise ValueError(f"The default graph has no variables under {scope!r}.")
    return variables


def _renamed(
    reader: CheckpointReader, rename: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """Maps the names that variables should have to the names of their tensors."""
    rules = [(_compiled("rename", old)[0], new) for old, new in rename]
    used = set()
    plain, moved = {}, {}
    for tensor in reader:
        rule = next((rule for rule in rules if rule[0].fullmatch(tensor)), None)
        if rule is None:
            plain[tensor] = tensor
            continue
        used.add(rule)
        name = rule[0].fullmatch(tensor).expand(rule[1])
        if name in moved:
            raise ValueError(
                f"rename gives {moved[name]!r} and {tensor!r} one name, {name!r}."
            )
        moved[name] = tensor
    for rule in rules:
        if rule not in used:
            raise ValueError(
                f"rename: {rule[0].pattern!r} matches no whole name in {reader.prefix}."
            )
    # A name that was asked for wins over one that happens to be there, so that moving
    # averages can take the place of what they average.
    return {**plain, **moved}


def _compare(
    reader: CheckpointReader,
    tensors: Mapping[str, str],
    variables: Mapping[str, Any],
    chosen: _Chosen,
) -> LoadReport:
    wanted = [name for name in variables if name in chosen]
    loaded, missing, wrong_shape = {}, [], {}
    for name in wanted:
        tensor = tensors.get(name)
        if tensor is None:
            missing.append(name)
        elif reader.shapes[tensor] != tuple(variables[name].shape):
            wrong_shape[name] = (reader.shapes[tensor], tuple(variables[name].shape))
        else:
            loaded[name] = tensor
    spare = [name for name in tensors if name not in variables]
    ignored = [
        name
        for name in spare
        if _OF_TRAINING.fullmatch(name)
        or (name.endswith(_AVERAGE) and name.removesuffix(_AVERAGE) in tensors)
    ]
    unexpected = [n for n in spare if n in chosen and n not in set(ignored)]
    return LoadReport(
        source=reader.prefix,
        loaded=loaded,
        missing=missing,
        unexpected=unexpected,
        wrong_shape=wrong_shape,
        excluded=[name for name in variables if name not in chosen],
        ignored=ignored,
        causes=likely_causes(missing, unexpected, wrong_shape, reader.object_based),
    )


def _read(reader: CheckpointReader, tensor: str, variable: Any) -> np.ndarray:
    value = reader[tensor]
    dtype = tf.as_dtype(variable.dtype).base_dtype
    stored = tf.as_dtype(value.dtype)
    if (stored.is_floating, stored.is_integer) != (dtype.is_floating, dtype.is_integer):
        raise ValueError(
            f"{tensor!r} in {reader.prefix} is of type {stored.name}; "
            f"its variable is of type {dtype.name}."
        )
    return value.astype(dtype.as_numpy_dtype)


def _is_of_graph(variable: Any) -> bool:
    try:
        return isinstance(variable.graph, tf.Graph)
    except AttributeError:
        return False


def _init_fn(
    pairs: Sequence[tuple[Any, np.ndarray]], report: LoadReport
) -> Callable[[tf.compat.v1.Session], None]:
    # Feeding the initial value of a variable's own initializer adds nothing to the
    # graph, which may be final. Two variables may share one initial value: such a pair
    # goes into two runs.
    runs: list[dict[str, tuple[tf.Operation, Any, np.ndarray]]] = []
    for variable, value in pairs:
        initial = variable.initializer.inputs[1]
        run = next((run for run in runs if initial.name not in run), None)
        if run is None:
            run = {}
            runs.append(run)
        run[initial.name] = (variable.initializer, initial, value)

    def init_fn(*scaffold_and_session: Any) -> None:
        session = scaffold_and_session[-1]
        for run in runs:
            session.run(
                [initializer for initializer, _, _ in run.values()],
                feed_dict={initial: value for _, initial, value in run.values()},
            )

    init_fn.report = report
    return init_fn
