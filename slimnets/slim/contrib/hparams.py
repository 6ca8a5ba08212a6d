"""`tf.contrib.training.HParams`: hyper-parameters by name, each of one type.

Source: the public interface of tf.contrib.training.HParams of TensorFlow 1.15.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PAIR = re.compile(r"\s*([\w.]+)\s*(?:\[\s*(\d+)\s*\])?\s*=\s*(\[[^\]]*\]|[^,]*)\s*,?")


class HParams:
    """Hyper-parameters, read and set as attributes."""

    def __init__(self, **values: Any):
        """Holds each keyword; a list's items are of its first item's type.

        Raises:
            ValueError: for an empty list, or a name that a method has.
        """
        self._types: dict[str, type] = {}
        for name, value in values.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value: Any) -> None:
        """Adds one; its value's type is its type.

        Raises:
            ValueError: if there is one of that name, or for an empty list.
        """
        if hasattr(self, name):
            raise ValueError(f"Hyperparameter name is reserved: {name}")
        if isinstance(value, (list, tuple)) and not value:
            raise ValueError(
                f"Multi-valued hyperparameters cannot be empty: {name}={value}"
            )
        self._types[name] = type(value[0] if _is_list(value) else value)
        super().__setattr__(name, list(value) if _is_list(value) else value)

    def set_hparam(self, name: str, value: Any) -> None:
        """Sets one that is there.

        Raises:
            KeyError: if it is not.
            ValueError: if the value is not of its type, or a list where it is none.
        """
        kind = self._types[name]
        if _is_list(value) != _is_list(getattr(self, name)):
            raise ValueError(f"{name} is {getattr(self, name)!r}; got {value!r}.")
        if _is_list(value):
            value = [_converted(name, kind, item) for item in value]
        else:
            value = _converted(name, kind, value)
        super().__setattr__(name, value)

    def del_hparam(self, name: str) -> None:
        """Removes one, if it is there."""
        if name in self._types:
            delattr(self, name)
            del self._types[name]

    def parse(self, values: str) -> HParams:
        """Sets what `name=value,name=[value,value],name[0]=value` says; returns self.

        Raises:
            ValueError: for text that is not of that form, or an unknown name.
        """
        at = 0
        while at < len(values.rstrip()):
            match = _PAIR.match(values, at)
            if match is None or match.end() == at:
                raise ValueError(f"Malformed hyperparameter value: {values[at:]}")
            name, index, text = match.groups()
            if name not in self._types:
                raise ValueError(f"Unknown hyperparameter type for {name}")
            if text.startswith("["):
                self.set_hparam(name, [t.strip() for t in text[1:-1].split(",")])
            elif index is not None:
                items = getattr(self, name)
                if not _is_list(items) or int(index) >= len(items):
                    raise ValueError(f"{name} has no item {index}: {values[at:]}")
                items = list(items)
                items[int(index)] = text.strip()
                self.set_hparam(name, items)
            else:
                self.set_hparam(name, text.strip())
            at = match.end()
        return self

    def override_from_dict(self, values: dict[str, Any]) -> HParams:
        """Sets what the dict says; returns self. Raises as `set_hparam` does."""
        for name, value in values.items():
            self.set_hparam(name, value)
        return self

    def values(self) -> dict[str, Any]:
        """`{name: value}`."""
        return {name: getattr(self, name) for name in self._types}

    def get(self, key: str, default: Any = None) -> Any:
        """The value of one, or `default` if there is none."""
        return getattr(self, key) if key in self._types else default

    def to_json(self, indent: int | None = None, sort_keys: bool = False) -> str:
        """The values as JSON; functions are left out."""
        plain = {k: v for k, v in self.values().items() if not callable(v)}
        return json.dumps(plain, indent=indent, sort_keys=sort_keys)

    def parse_json(self, values_json: str) -> HParams:
        """Sets what a JSON object says; returns self. Raises as `set_hparam` does."""
        return self.override_from_dict(json.loads(values_json))

    def __contains__(self, key: str) -> bool:
        return key in self._types

    def __repr__(self) -> str:
        return f"HParams({', '.join(f'{k}={v!r}' for k, v in self.values().items())})"


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _converted(name: str, kind: type, value: Any) -> Any:
    if value is None or kind is type(None) or callable(value) or type(value) is kind:
        return value
    if kind is bool:
        known = {"true": True, "1": True, "false": False, "0": False}
        text = str(value).lower()
        if text not in known:
            raise ValueError(f"{name} is true or false; got {value!r}.")
        return known[text]
    if kind is int and isinstance(value, float):
        raise ValueError(f"{name} is an int; got {value!r}.")
    if isinstance(value, bool) or (kind in (int, float) and _is_list(value)):
        raise ValueError(f"{name} is of {kind.__name__}; got {value!r}.")
    return kind(value)
