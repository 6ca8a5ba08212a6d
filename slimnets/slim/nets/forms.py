"""TF-Slim's networks to the letter, made of slimnets' rows.

Networks of slimnets have scopes of their own, and more end points than TF-Slim's. Here
is what makes TF-Slim's of them: `Row.exact`, and the order of arguments as data.
"""

from __future__ import annotations

import ast
import dataclasses
import fnmatch
import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from slimnets.rows.arguments import NO_DEFAULT
from slimnets.rows.builder import network_of
from slimnets.rows.row import Row


class Form:
    """One of the forms in which TF-Slim's networks exist.

    Attributes:
        orders: `{function: its arguments in their order}`, where they are not in
            slimnets' order; see `reordered`. A network is named by a pattern; another
            function as its module names it, or `module.function`.
        change: makes a row of slimnets one of this form.
    """

    def __init__(self, orders: Mapping[str, str], change: Callable[[Row], Row]):
        self.orders, self.change = orders, change
        self._made: dict[int, Callable] = {}

    def module(self, name: str, source: types.ModuleType) -> types.ModuleType:
        """Returns the module of this form with the public names of one of slimnets.

        Args:
            name: full name of the new module, which is registered.
            source: the module of slimnets.
        """
        made = types.ModuleType(name, source.__doc__)
        for key, value in vars(source).items():
            if not (key.startswith("_") or isinstance(value, types.ModuleType)):
                setattr(made, key, self.of(value, f"{made.__name__}.{key}"))
        made.__all__ = [key for key in vars(made) if not key.startswith("_")]
        sys.modules[name] = made
        return made

    def of(self, value: Any, name: str = "") -> Any:
        """Returns what stands for a network function here; any other value as it is.

        Args:
            value: of a module of slimnets.
            name: its full name.
        """
        if isinstance(value, functools.partial):
            exact = functools.partial(self.of(value.func), **value.keywords)
            return self._ordered(exact, name)
        if not (callable(value) and hasattr(value, "row")):
            return self._ordered(value, name)
        if id(value) not in self._made:
            row = self.change(dataclasses.replace(value.row, exact=True))
            known = [p for p in self.orders if fnmatch.fnmatchcase(row.name, p)]
            self._made[id(value)] = self._ordered(network_of(row), *known)
        return self._made[id(value)]

    def _ordered(self, function: Any, name: str = "") -> Any:
        parts = name.split(".")
        order = self.orders.get(".".join(parts[-2:]), self.orders.get(parts[-1]))
        return function if order is None else reordered(function, order)


def reordered(function: Callable, order: str) -> Callable:
    """Returns a function with its arguments in another order.

    Args:
        function: the function.
        order: names of arguments that may be given by position; all others are by
            keyword. `name=value` says another default, `name=` that there is none.
    """
    known = dict(inspect.signature(function).parameters)
    parameters, changed = [], {}
    for text in order.split():
        name, equals, value = text.partition("=")
        default = known.pop(name).default
        if equals:
            default = ast.literal_eval(value) if value else NO_DEFAULT
            changed |= {name: default} if value else {}
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(name, kind, default=default))
    rest = [
        p.replace(kind=p.KEYWORD_ONLY) if p.kind is p.POSITIONAL_OR_KEYWORD else p
        for p in known.values()
    ]
    signature = inspect.Signature([*parameters, *rest])

    @functools.wraps(function)
    def with_other_order(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        further = given.pop("kwargs", {})
        return function(**{**changed, **given, **further})

    with_other_order.__signature__ = signature
    return with_other_order
