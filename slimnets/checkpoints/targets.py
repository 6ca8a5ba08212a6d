"""The variables that are to be filled, by name."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slimnets.checkpoints.load_report import LoadReport
from slimnets.checkpoints.writer import variables_of

# What training keeps beside the network's own variables, and files beside weights.
OF_TRAINING = re.compile(
    r"global_step|save_counter|n_averaged|(?:.*/)?(?:beta[12]_power)|(?:.*/)?optimizer/.*"
    r"|.*/(?:Momentum|RMSProp(?:_1)?|Adam(?:_1)?|Adagrad|Adadelta(?:_1)?|Ftrl(?:_1)?)"
    # TF-Slim's published ResNets carry the mean colour; Keras's files seeds.
    r"|(?:.*/)?mean_rgb|(?:.*/)?seed_generator/.*"
)


def target_variables(target: Any) -> dict[str, Any]:
    """Returns the variables of a target of `load_weights` by name.

    Raises:
        ValueError: if there are none, or two of one name.
        TypeError: if it is no target.
    """
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
        and not OF_TRAINING.fullmatch(variable.op.name)
    }
    if not variables:
        raise ValueError(f"The default graph has no variables under {scope!r}.")
    return variables


def is_of_graph(variable: Any) -> bool:
    """Whether a variable has its value in a session only."""
    try:
        return isinstance(variable.graph, tf.Graph)
    except AttributeError:
        return False


def init_fn_of(
    pairs: Sequence[tuple[Any, np.ndarray]], report: LoadReport
) -> Callable[[tf.compat.v1.Session], None]:
    """Returns a function of a session that gives graph variables their values."""
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
