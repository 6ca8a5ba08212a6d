"""What TensorFlow moved or dropped since tf_slim 1.1.0, found in public TensorFlow.

tf_slim reads TensorFlow through private modules, `control_flow_ops.cond` for example.
Most of these still stand; the names in `MOVED` have left theirs, those in `REPLACED`
stand and fail. `supplied` gives such a module with names that work, as a new object:
the module itself stays as it is.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import tensorflow as tf

from slimnets.slim import supervisor

_ROOT = "tensorflow.python."

# Private module -> {the name it had: where it is public today}.
MOVED: dict[str, dict[str, Any]] = {
    "framework.ops": {
        "IndexedSlices": tf.IndexedSlices,
        "Tensor": tf.Tensor,
    },
    "ops.array_ops": {
        "stack": tf.stack,
        "unstack": tf.unstack,
    },
    "ops.control_flow_ops": {
        "Assert": tf.compat.v1.Assert,
        "case": tf.compat.v1.case,
        "cond": tf.compat.v1.cond,
        "while_loop": tf.compat.v1.while_loop,
    },
    "ops.variable_scope": {
        "disable_resource_variables": tf.compat.v1.disable_resource_variables,
        "enable_resource_variables": tf.compat.v1.enable_resource_variables,
        "resource_variables_enabled": tf.compat.v1.resource_variables_enabled,
        "variable": tf.compat.v1.Variable,
    },
    "ops.variables": {
        "VariableV1": tf.compat.v1.Variable,
    },
}

# The same for names that are there and do not work beside eager execution.
REPLACED: dict[str, dict[str, Any]] = {
    "training.supervisor": {"Supervisor": supervisor.Supervisor},
}


class SuppliedModule(types.ModuleType):
    """A module of TensorFlow with some names added or replaced."""

    def __init__(self, module: types.ModuleType, names: dict[str, Any]):
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(names)
        self.supplied_names = tuple(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._module), *self.supplied_names})


def supplied() -> dict[int, SuppliedModule]:
    """Returns `{id of a module of TensorFlow: it, with names that work}`.

    Only modules that are loaded and that need it are in it.
    """
    found = {}
    for suffix in (*MOVED, *REPLACED):
        module = sys.modules.get(_ROOT + suffix)
        if module is None:
            continue
        moved = MOVED.get(suffix, {})
        names = {name: new for name, new in moved.items() if not hasattr(module, name)}
        names.update(REPLACED.get(suffix, {}))
        if names:
            found[id(module)] = SuppliedModule(module, names)
    return found
