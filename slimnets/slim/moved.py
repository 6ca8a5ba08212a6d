"""What TensorFlow moved or dropped since tf_slim 1.1.0, found in public TensorFlow.

tf_slim reads TensorFlow through private modules, `control_flow_ops.cond` for example.
Most of these still stand; the names in `contrib_names.MOVED` have left theirs, those in
`REPLACED` stand and fail. `supplied` gives such a module with names that work, as a new
object: the module itself stays as it is.
"""

from __future__ import annotations

import operator
import sys
import types
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from slimnets import contrib_names
from slimnets.slim import supervisor

_ROOT = "tensorflow.python."

# Names that are there and do not work beside eager execution, by private module.
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


def missing_names() -> Iterator[tuple[types.ModuleType, dict[str, Any]]]:
    """Yields the loaded modules that have lost names, and these as they are today."""
    for suffix, moved in contrib_names.MOVED.items():
        module = sys.modules.get(_ROOT + suffix)
        if module is not None:
            lost = {
                name: home for name, home in moved.items() if not hasattr(module, name)
            }
            v1 = tf.compat.v1
            yield module, {n: operator.attrgetter(home)(v1) for n, home in lost.items()}


def supplied() -> dict[int, SuppliedModule]:
    """Returns `{id of a module of TensorFlow: it, with names that work}`.

    Only modules that are loaded and that need it are in it.
    """
    found = [
        *missing_names(),
        *((sys.modules[_ROOT + suffix], names) for suffix, names in REPLACED.items()),
    ]
    return {id(m): SuppliedModule(m, names) for m, names in found if names}
