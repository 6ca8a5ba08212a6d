"""tf_slim under one changed import: `from slimnets import slim`.

    from slimnets import slim        # was: import tf_slim as slim

All public names of tf_slim 1.1.0 are here, its sub-modules among them, for graph code
and with TF-Slim's signatures. What works on today's TensorFlow is tf_slim's own
object. The rest is made to work, in new modules that leave tf_slim as it is:

- The layers that slimnets has (`slim.conv2d`, `slim.batch_norm` and others) are
  slimnets'. They also run in a `slimnets.Model`.
- Arg scopes are slimnets', shared with tf_slim's, checked and safe across threads.
- What reads names that TensorFlow has moved since finds them in public TensorFlow;
  the threads of `learning.train` and `assign_from_checkpoint` are slimnets'.
- The data providers read by tf.data, and need no queue runners.

`slim.nets` are research/slim's networks to the letter, by its module names;
`slim.contrib.nets` are tf_slim's own, which are older. For code whose imports cannot
change, `patch_tf_slim()` does the same to tf_slim itself, and can be undone.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_slim

from slimnets import layers, scopes
from slimnets.slim import moved, reading, restore, second_run
from slimnets.slim.patch import Patch as Patch
from slimnets.slim.patch import patch_tf_slim as patch_tf_slim


def _own() -> dict[int, Any]:
    """`{id of a function of tf_slim: slimnets' function that shares its scope}`."""
    own: dict[int, Any] = {
        id(getattr(tf_slim, name)): getattr(scopes, name)
        for name in ("add_arg_scope", "arg_scope", "current_arg_scope")
    }
    own[id(tf_slim.assign_from_checkpoint)] = restore.assign_from_checkpoint
    for name in ("parallel_read", "single_pass_read"):
        own[id(getattr(tf_slim.parallel_reader, name))] = getattr(reading, name)
    for name in layers.__all__:
        theirs, ours = getattr(tf_slim, name, None), getattr(layers, name)
        if hasattr(theirs, "_key_op") and theirs._key_op == ours._key_op:
            own[id(theirs)] = _named(ours, theirs.__name__)
    return own


def _named(layer: Callable, name: str) -> Callable:
    """`layer` under another name, by which `repeat` and `stack` name variables."""
    if layer.__name__ == name:
        return layer

    @functools.wraps(layer)
    def named(*args, **kwargs):
        return layer(*args, **kwargs)

    named.__name__ = named.__qualname__ = name
    return named


_modules = second_run.SecondRun(__name__, {**moved.supplied(), **_own()}).modules
# The networks, which `import tf_slim` does not import, are slimnets' here.
_public = {
    name: value
    for name, value in vars(_modules["tf_slim"]).items()
    if not name.startswith("_") and name != "nets"
}
globals().update(_public)

# What tf.contrib.slim had by accident, from the layers' own imports; old code reads it.
_leaked = _modules["tf_slim.layers.layers"]
variable_scope, variables = _leaked.variable_scope, _leaked.tf_variables
nn = tf.compat.v1.nn


def zero_initializer(
    ref: tf.Variable, use_locking: bool = True, name: str = "zero_initializer"
) -> Any:
    """Assigns zeros to a variable, and returns it: `tf.contrib.slim.zero_initializer`.

    Args:
        ref: the variable; it need not be initialized.
        use_locking: whether the assignment is guarded by a lock.
        name: of the operation.
    """
    zeros = tf.zeros(ref.shape, ref.dtype.base_dtype)
    return tf.compat.v1.assign(ref, zeros, use_locking=use_locking, name=name)


_OWN = "Patch", "nets", "nn", "patch_tf_slim", "variable_scope", "variables"
__all__ = sorted({*_public, *_OWN, "zero_initializer"})


def __getattr__(name: str) -> Any:
    if name != "nets":  # Making the networks takes a while, and many need none.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.nets")


def __dir__() -> list[str]:
    return __all__
