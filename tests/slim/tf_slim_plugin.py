"""A pytest plugin for tf_slim's own tests: they run under `patch_tf_slim()`.

The test modules read the same private TensorFlow as tf_slim does, so they are given the
same names back. What they use of NumPy and nose, and what is gone there, they get too:
the tests are of tf_slim.
"""

import builtins
import sys
import types

import numpy as np
import pytest

from slimnets import slim
from slimnets.slim import moved

_NUMPY = {"float": float, "object": object, "product": np.prod}

slim.patch_tf_slim()


def nottest(function):
    """Keeps a runner from taking a helper for a test."""
    function.__test__ = False
    return function


def pytest_configure():
    tools = types.ModuleType("nose.tools")
    tools.nottest = nottest
    sys.modules.setdefault("nose", types.ModuleType("nose"))
    sys.modules.setdefault("nose.tools", tools)


class _OfInts(type):
    def __instancecheck__(cls, value):
        return isinstance(value, builtins.int)


class Int(metaclass=_OfInts):
    """`int`, also of an array of one element, as NumPy once had it."""

    def __new__(cls, value):
        return builtins.int(value.item() if isinstance(value, np.ndarray) else value)


def pytest_collectstart(collector):
    if isinstance(collector, pytest.Module):
        module = collector.obj
        slim.patch_tf_slim(module)
        if getattr(module, "np", None) is np:
            module.np = moved.SuppliedModule(np, _NUMPY)
            module.int = Int
