"""What programs put before all names when they wrap a network in something else.

torch's DataParallel says `module.`, torch.compile `_orig_mod.`, FSDP
`_fsdp_wrapped_module.`, DeepSpeed `_forward_module.`; a training class calls the
attribute that holds the network `model`, `net`, `network`, `backbone` or `encoder`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_WRAPPER = re.compile(
    r"(?:module|_orig_mod|_fsdp_wrapped_module|_forward_module"
    r"|model|net|network|backbone|encoder)[./]"
)


def wrapper_of(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Returns what wrappers have put before all names: `module.model.`, or nothing.

    A scalar without it is a counter that lies beside the network, as in torch's
    AveragedModel, and does not count.

    Args:
        shapes: of the tensors by name.
    """
    names = [name for name, shape in shapes.items() if shape]
    found = ""
    while names and (match := _WRAPPER.match(names[0], len(found))):
        if not all(name.startswith(match[0], len(found)) for name in names):
            break
        found += match[0]
    return found


def parts_of(wrapper: str) -> Iterator[str]:
    """Yields `module.`, `module.model.` ... of a wrapper of several parts."""
    for match in _WRAPPER.finditer(wrapper):
        yield wrapper[: match.end()]


def without(wrapper: str, names: Iterable[str]) -> dict[str, str]:
    """Maps names without the wrapper to the names; two never become one."""
    names = list(names)
    short = {name.removeprefix(wrapper): name for name in names}
    return short if len(short) == len(names) else {name: name for name in names}
