"""Rules by path: other arguments for the layers at a place, of any network.

    with layer_rules({"block4/.*/conv2": {"normalizer_fn": "group_norm"}}) as rules:
        net, end_points = resnet_v1_50(images)
    print(rules)

An arg scope speaks to functions, a rule to places. Its pattern is a regular expression
of all of a layer's scope, as seen from where the rules were opened, from where the
network was called, or inside of the network's own scope; an arg-scoped function is
at the place that its `scope` names. What a rule sets, a layer gets: over arg scopes,
over earlier rules, and over what the network's own code says, None included.

As with arg scopes, a thread sees what it opens itself, and begins with what is open in
the main thread. A `slimnets.Model` has rules of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from slimnets.listing import did_you_mean, table
from slimnets.rules.quantization import quantization_rules
from slimnets.rules.values import (
    RuleValues,
    pairs_of,
    plain,
    read_rules,
    resolved,
    text_of,
    unmatched,
)

__all__ = [
    "Given", "Rules", "explain", "layer_rules", "quantization_rules", "read_rules",
]  # fmt: skip


class Given(NamedTuple):
    """An argument that a layer has from a rule.

    Attributes:
        scope: the layer's, as seen from the network.
        function: its name.
        keyword: the argument's.
        before: its value without the rule.
        value: its value.
        pattern: the rule's.
    """

    scope: str
    function: str
    keyword: str
    before: Any
    value: Any
    pattern: str


@dataclasses.dataclass
class _Rule:
    pattern: str
    values: Mapping[str, Any]
    matched: int = 0
    accepted: set[str] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            self.matches = re.compile(self.pattern).fullmatch
        except re.error as error:
            raise ValueError(
                f"The rule {self.pattern!r} is no regular expression: {error}."
            ) from None
        if not isinstance(self.values, Mapping):
            raise ValueError(
                f"The rule {self.pattern!r} is {self.values!r}; it takes "
                "{keyword: value}."
            )
        self.values = {k: resolved(k, value) for k, value in self.values.items()}


class Rules:
    """Rules, and what they have done; the text is a table of it.

    Args:
        rules: `{pattern: {keyword: value}}`, or pairs of these. A value that is a
            function may be given by its name: `group_norm`, `swish`.

    Raises:
        ValueError: for a pattern that is none, or an unknown function.
    """

    def __init__(self, rules: RuleValues = ()):
        self._rules = [_Rule(*pair) for pair in pairs_of(rules)]
        self._scopes: dict[str, None] = {}
        self._given: dict[tuple[str, str, str], Given] = {}
        self.changed_strides = 0
        # Whether somebody else opens them later, and sees to it that they match.
        self.handed_on = False

    def __bool__(self) -> bool:
        return bool(self._rules)

    @property
    def given(self) -> list[Given]:
        """What layers have from rules, in the order in which they were built."""
        return list(self._given.values())

    @property
    def pairs(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Each rule's pattern and values."""
        return [(rule.pattern, rule.values) for rule in self._rules]

    def to_json(self) -> list[list]:
        """Returns pairs of pattern and values as JSON can hold them, functions by name.

        Initializers and regularizers that have none are left out.
        """
        return [[pattern, plain(values)] for pattern, values in self.pairs]

    def apply(
        self, scopes: list[str], function: str, parameters: Mapping, given: dict
    ) -> None:
        """Sets arguments of a layer.

        Args:
            scopes: its scope, as seen from wherever that is of interest; the shortest
                last.
            function: its name.
            parameters: of its signature.
            given: its arguments, which change.
        """
        own = scopes[-1]
        self._scopes[own] = None
        for rule in self._rules:
            if not any(map(rule.matches, scopes)):
                continue
            rule.matched += 1
            rule.accepted.update(parameters)
            for keyword, value in rule.values.items():
                if keyword not in parameters:
                    continue
                before = given.get(keyword, parameters[keyword].default)
                given[keyword] = value
                self.changed_strides += keyword == "stride" and value != before
                key = own, function, keyword
                if key in self._given:
                    before = self._given[key].before
                self._given[key] = Given(*key, before, value, rule.pattern)

    def check(self) -> None:
        """Raises ValueError for a rule that has done nothing."""
        for rule in self._rules:
            if not rule.matched:
                raise ValueError(unmatched(rule.pattern, list(self._scopes)))
            for keyword in rule.values:
                if keyword not in rule.accepted:
                    hint = did_you_mean(keyword, rule.accepted)
                    raise ValueError(
                        f"The rule {rule.pattern!r} sets {keyword!r}, which none of "
                        f"the {rule.matched} layers at its places takes.{hint} They "
                        f"take: {', '.join(sorted(rule.accepted))}."
                    )

    def __str__(self) -> str:
        if not self._given:
            return "No layer has an argument from a rule."
        rows = [("layer", "function", "argument", "rule")]
        rows += [
            (
                given.scope,
                given.function,
                f"{given.keyword}: {text_of(given.before)} -> {text_of(given.value)}",
                given.pattern,
            )
            for given in self.given
        ]
        return table(rows)


class _State(NamedTuple):
    """What is open: rules, and the scopes from which places are seen."""

    rules: tuple[Rules, ...] = ()
    roots: tuple[str, ...] = ()


_in_main = [_State()]


class _Local(threading.local):
    def __init__(self):
        self.state = _in_main[0]


_local = _Local()


@contextlib.contextmanager
def layer_rules(rules: RuleValues) -> Iterator[Rules]:
    """Gives layers that are built inside of it other arguments, by their places.

    Args:
        rules: as of `Rules`. They win over rules that are open already.

    Yields:
        The rules; `str()` of them says what each layer has from which.

    Raises:
        ValueError: as `Rules`; and at its end for a rule whose pattern no layer's scope
            matches, or a keyword that none of these layers takes.
    """
    made = Rules(rules)
    with opened(_State((*_local.state.rules, made), (*_local.state.roots, _scope()))):
        yield made
    if not made.handed_on:
        made.check()


def taken_over(rules: RuleValues) -> Rules:
    """Returns rules on top of those that are open, for a network of later."""
    for each in _local.state.rules:
        each.handed_on = True
    before = [pair for each in _local.state.rules for pair in each.pairs]
    return Rules([*before, *pairs_of(rules)])


def ruled(network: Callable, rules: Rules) -> Callable:
    """Returns a network function that opens `rules`, and no others, and checks them."""

    @functools.wraps(network)
    def with_rules(*args: Any, **kwargs: Any) -> Any:
        with opened(_State((rules,), (_scope(),)) if rules else _State()):
            result = network(*args, **kwargs)
        rules.check()
        return result

    return with_rules


def current() -> _State:
    """What is open in this thread, for `opened`."""
    return _local.state


@contextlib.contextmanager
def opened(state: _State) -> Iterator[None]:
    """Opens what `current` gave, and nothing else."""
    before = _local.state
    _set(state)
    try:
        yield
    finally:
        _set(before)


def _set(state: _State) -> None:
    _local.state = state
    if threading.current_thread() is threading.main_thread():
        _in_main[0] = state


def are_open() -> bool:
    """Whether any rules are open in this thread."""
    return bool(_local.state.rules)


def changed_strides() -> int:
    """How often a rule that is open has changed a layer's stride."""
    return sum(rules.changed_strides for rules in _local.state.rules)


def in_network(*scopes: str) -> contextlib.AbstractContextManager:
    """Has places seen from these scopes too: a network's, and where it was called."""
    state = _local.state
    if not state.rules:
        return contextlib.nullcontext()
    return opened(_State(state.rules, (*state.roots, *scopes)))


def applied(
    function: Callable, default_scope: str | None, parameters: Mapping, given: dict
) -> dict[str, Any]:
    """Returns a layer's arguments as the open rules have them.

    Args:
        function: the layer.
        default_scope: the name of its scope where none is given.
        parameters: of its signature; one is `scope`.
        given: its arguments, all by keyword.
    """
    given = dict(given)
    scope = given.get("scope") or parameters["scope"].default or default_scope
    if scope in (None, inspect.Parameter.empty):
        return given  # It is no place of its own.
    if not given.get("scope") and default_scope and scope is default_scope:
        given["scope"] = scope = _unused(default_scope)
    name = getattr(scope, "name", None)
    if name is None:
        name = "/".join(filter(None, (_scope(), scope)))
    seen = {name: None}
    for root in _local.state.roots:
        if name.startswith(f"{root}/"):
            seen[name[len(root) + 1 :]] = None
    scopes = sorted((part.rstrip("/") for part in seen), key=len, reverse=True)
    for rules in _local.state.rules:
        rules.apply(scopes, function.__name__, parameters, given)
    return given


def _unused(scope: str) -> str:
    """The name that a layer's scope gets where none is given: `Conv_1` after `Conv`."""
    with tf.compat.v1.variable_scope(None, scope, auxiliary_name_scope=False) as sc:
        return sc.name.rpartition("/")[2]


def _scope() -> str:
    return tf.compat.v1.get_variable_scope().name


def explain(network: Any) -> str:
    """Prints, and returns, which layer of a network has what from which rule.

    Args:
        network: a `slimnets.Model`, which is built if it is not, for images of its
            default size with three channels; or what `layer_rules` gave.

    Raises:
        ValueError: for a rule that does nothing.
    """
    if not isinstance(network, Rules):
        if not network.variables:
            size = network.default_image_size
            network.build([None, size, size, 3])
        network = network.rules
    text = str(network)
    print(text)
    return text
