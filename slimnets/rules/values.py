"""The values of rules: functions by name, and rules as text and as JSON."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from slimnets.listing import listed, nearest

# What rules may be given as: by pattern, or as pairs, of which a pattern may be in
# several. The later wins.
RuleValues = Mapping[str, Mapping[str, Any]] | Iterable[tuple[str, Mapping[str, Any]]]

# Ends of keywords whose values are functions, which may be given by name.
_OF_FUNCTIONS = ("_fn", "_initializer", "_regularizer", "_transform")
# These say how training goes, and nothing of what a trained network computes.
_OF_TRAINING = ("_initializer", "_regularizer")
_NAMED = 8
_TEXT = re.compile(r"(.*):(\w+)=(.*)", re.DOTALL)
_WORDS = {"None": None, "True": True, "False": False}
# Arg-scoped functions by name.
_functions: dict[str, Callable] = {}


def pairs_of(rules: RuleValues) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns rules as pairs of pattern and values."""
    return list(rules.items() if isinstance(rules, Mapping) else rules)


def read_rules(path: str) -> list[list]:
    """Returns the rules of a JSON file: `{pattern: {keyword: value}}`, or pairs.

    Raises:
        FileNotFoundError, ValueError: if there is no such file, or it is none of rules.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        pairs = pairs_of(json.loads(text))
        return [[str(pattern), dict(values)] for pattern, values in pairs]
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"Cannot read the rules {path}: {error}. They are JSON, as "
            '{"block4/.*": {"normalizer_fn": "group_norm"}}.'
        ) from None


def parse_rule(text: str) -> list:
    """Returns the rule that `PATTERN:KEYWORD=VALUE` says.

    The value is JSON, or None, True or False, or else a text.

    Raises:
        ValueError: for another text.
    """
    parts = _TEXT.fullmatch(text)
    if parts is None:
        raise ValueError(f"rule={text!r} is not PATTERN:KEYWORD=VALUE.")
    pattern, keyword, value = parts.groups()
    try:
        value = json.loads(value)
    except ValueError:
        value = _WORDS.get(value, value)
    return [pattern, {keyword: value}]


def register(function: Callable) -> None:
    """Has an arg-scoped function known by its name; the first of several has it."""
    known = _functions.get(function.__name__)
    if known is None or known.__module__ == function.__module__:
        _functions[function.__name__] = function


def resolved(keyword: str, value: Any) -> Any:
    """Returns a value with functions in the place of their names.

    Raises:
        ValueError: for a name of none.
    """
    if isinstance(value, Mapping):
        return {key: resolved(key, part) for key, part in value.items()}
    if not keyword.endswith(_OF_FUNCTIONS):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(resolved(keyword, part) for part in value)
    if not isinstance(value, str):
        return value
    if value.startswith("<"):
        raise ValueError(
            f"{keyword}={value} was a function without a name when this was written: "
            "@slimnets.add_arg_scope makes one known by its name."
        )
    importlib.import_module("slimnets.layers")  # Which makes its functions known.
    found = _functions.get(value) or getattr(tf.nn, value, None)
    if not callable(found):
        near = nearest(value, [*_functions, *dir(tf.nn)]) or "none"
        raise ValueError(
            f"{keyword}={value!r} is no function that is known by name. Nearest: "
            f"{near}. @slimnets.add_arg_scope makes one known."
        )
    return found


def text_of(value: Any) -> str:
    """The name of a function, and the text of anything else."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(text_of, value))}]"
    if not callable(value):
        return str(value)
    name = getattr(value, "__name__", "")
    if name and value in (_functions.get(name), getattr(tf.nn, name, 0)):
        return name
    return f"<{getattr(value, '__qualname__', repr(value))}>"


def plain(value: Any) -> Any:
    """Returns a value as JSON can hold it."""
    if isinstance(value, Mapping):
        parts = {key: plain(part) for key, part in value.items()}
        return {
            key: part
            for key, part in parts.items()
            if not (key.endswith(_OF_TRAINING) and str(part).startswith("<"))
        }
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return text_of(value)
    return value


def unmatched(pattern: str, scopes: list[str]) -> str:
    """What is said of a rule that none of the scopes matches."""
    if not scopes:
        return (
            f"The rule {pattern!r} has met no layer: none was built while it was open. "
            "A Model that was made before has rules of its own: Model(..., rules=)."
        )
    words = re.sub(r"[^\w/]", "", pattern).strip("/")
    around = dict.fromkeys(scopes)
    for scope in scopes:
        parts = scope.split("/")
        around |= dict.fromkeys("/".join(parts[:end]) for end in range(1, len(parts)))
    near = nearest(words, around, _NAMED) or listed(scopes, _NAMED)
    return (
        f"The rule {pattern!r} matches the scope of none of the {len(scopes)} layers. "
        f"Nearest: {near}."
    )
