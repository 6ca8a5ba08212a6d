"""The library's messages, which name arguments, in the words of a command: its flags.

This is done where a message leaves the command, so that no message of the library need
know of flags, nor one of a command of arguments.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Collection

# Arguments that have a flag of another name, where a command has that.
_OTHER_NAMES = {
    "network": "model_name",
    "image_size": "eval_image_size",
    "preprocessing": "preprocessing_name",
    "crop_fraction": "eval_crop_fraction",
    "split": "dataset_split_name",
}
# What is advised in brackets and may have no flag.
_OF_LOADING = ("adapt_root", "allow_partial", "include", "num_classes")
# `name=value`, or a name that is no other word: not in a path, a name or a quotation.
_ARGUMENT = re.compile(
    r"(?<![\w/.'\"-])(?P<name>[a-z]+(?:_[a-z0-9]+)*)"
    r"(?:=(?P<literal>\[.*?\](?=[\s,.;)]|$)|'[^']*')|(?P<equals>=)|(?![\w/'\"-]|\.\w))"
)
_IN_BRACKETS = re.compile(r" \(((?:[^()\[]|\[.*?\](?=[\s,.;)])|\([^()]*\))*)\)")


def in_flags(message: str, flags: Collection[str]) -> str:
    """Returns a message with the flags of a command in the place of arguments.

    Advice in brackets that names an argument without a flag is left out.

    Args:
        message: one line.
        flags: the names of the command's flags.
    """
    message = _IN_BRACKETS.sub(lambda match: _possible(match, flags), message)
    return _ARGUMENT.sub(lambda match: _in_flag(match, flags), message)


def _possible(match: re.Match[str], flags: Collection[str]) -> str:
    parts = match[1].split(", or ")
    wanted = [
        {name for name in re.findall(r"\b([a-z_]+)=", part) if name in _OF_LOADING}
        for part in parts
    ]
    kept = [p for p, names in zip(parts, wanted, strict=True) if names <= set(flags)]
    return f" ({', or '.join(kept)})" if kept else ""


def _in_flag(match: re.Match[str], flags: Collection[str]) -> str:
    name = match["name"]
    other = _OTHER_NAMES.get(name)
    flag = name if name in flags else other if other in flags else None
    has_value = match["literal"] or match["equals"]
    if flag is None or not (has_value or "_" in name):
        return match[0]
    if not match["literal"]:
        return f"--{flag}{match['equals'] or ''}"
    try:
        values = ast.literal_eval(match["literal"])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return f"--{flag}={match['literal']}"  # As the message has it.
    values = values if isinstance(values, list) else [values]
    texts = ("=".join(v) if isinstance(v, tuple) else str(v) for v in values)
    return " ".join(f"--{flag}={shlex.quote(text)}" for text in texts)
