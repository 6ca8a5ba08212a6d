"""The packages that only a part of slimnets needs, which are the extras of setup.py."""

from __future__ import annotations

import importlib
from typing import Any


def require(why: str, extra: str, module: str, *others: str) -> Any:
    """Imports modules of an extra, and returns the first.

    Args:
        why: the beginning of the error: "Pictures need".
        extra: the extra that they come with.
        module, *others: their full names.

    Raises:
        ImportError: if one is not installed, or what it imports itself.
    """
    try:
        first, *_ = map(importlib.import_module, (module, *others))
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0].replace("_", "-")
        raise ImportError(
            f"{why} {package}, which is not installed: pip install 'slimnets[{extra}]'."
        ) from None
    return first
