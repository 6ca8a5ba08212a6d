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

`slim.nets` are slimnets' networks, by research/slim's module names. For code whose
imports cannot change, `patch_tf_slim()` does the same to tf_slim itself, and can be
undone.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import tf_slim

from slimnets import layers, scopes
from slimnets.slim import mirror, moved, reading, restore
from slimnets.slim import nets as nets
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


# The networks, which `import tf_slim` does not import, are slimnets' here.
_modules = mirror.Mirror(
    mirror.loaded_modules(),
    {**moved.supplied(), **_own()},
    __name__,
).modules
_public = {
    name: value
    for name, value in vars(_modules["tf_slim"]).items()
    if not name.startswith("_") and name != "nets"
}
globals().update(_public)
sys.modules.update(
    {
        __name__ + name.removeprefix("tf_slim"): module
        for name, module in _modules.items()
        if name != "tf_slim"
    }
)

__all__ = sorted({*_public, "Patch", "nets", "patch_tf_slim"})


def __dir__() -> list[str]:
    return __all__
