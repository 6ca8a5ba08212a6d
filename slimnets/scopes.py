"""Arg scopes: default arguments for layers, units and blocks, checked before use.

An arg scope sets default keyword arguments of functions for everything that is
called inside it. The stack of open scopes is TF-Slim's own, so that a scope opened
with `tf_slim.arg_scope` reaches slimnets' functions and the reverse. Three things
are better than there:

- A scope is checked before it opens: a function that takes no scope, or a keyword
  that a function does not have, raises at once and leaves the open scopes alone.
- A thread never sees what another thread opens. It starts with the scope that is
  open in the main thread when it first looks, so that the replica threads of a
  `tf.distribute` strategy build what the main thread would.
- Arguments passed by position win over the scope too.

TF-Slim itself keeps one stack for all threads: a scope that is opened with
`tf_slim.arg_scope` in a thread other than the main one is not seen here.

Source: the arg scopes of TF-Slim (tf_slim/ops/arg_scope.py), Apache 2.0.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tf_slim

from slimnets import rules
from slimnets.listing import did_you_mean
from slimnets.rules.values import register

Scope = dict[str, dict[str, Any]]

_local = threading.local()

# Scope key of a tf_slim function -> slimnets' function that answers to it.
_COUNTERPARTS: dict[str, Callable] = {}


class ArgScopeError(TypeError, ValueError):
    """A scope that cannot be opened.

    A ValueError because TF-Slim raises one for a function without a scope, and a
    TypeError because Python raises one for a keyword that a function does not take.
    """


def current_arg_scope() -> Scope:
    """Returns the scope open in this thread: `{function key: {keyword: value}}`."""
    if threading.get_ident() == threading.main_thread().ident:
        return tf_slim.current_arg_scope()
    return _thread_stack()[-1]


def _thread_stack() -> list[Scope]:
    if not hasattr(_local, "stack"):
        _local.stack = [tf_slim.current_arg_scope()]
    return _local.stack


def add_arg_scope(
    func: Callable | None = None,
    *,
    like: Callable | None = None,
    default_scope: str | None = None,
) -> Callable:
    """Lets arg scopes, and rules by path, give values to `func`'s arguments.

    Also a decorator with arguments.

    Args:
        func: any function. One with an argument `scope` is a place for rules.
        like: a function of TF-Slim; scopes opened for one then reach the other.
        default_scope: what it calls its scope where a call names none.

    Returns:
        `func`, with what the open scope says filled in for the arguments that a
        call leaves out. It may be named in both `arg_scope` and
        `tf_slim.arg_scope`, and by its name in `layer_rules`.
    """
    if func is None:
        return functools.partial(add_arg_scope, like=like, default_scope=default_scope)
    key = tf_slim.arg_scope_func_key(func if like is None else like)
    parameters = inspect.signature(func).parameters
    positional = tuple(
        name
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    )
    has_place = "scope" in parameters

    @functools.wraps(func)
    def with_scoped_arguments(*args, **kwargs):
        scoped = current_arg_scope().get(key)
        if scoped:
            kwargs = {**scoped, **kwargs}
            for name in positional[: len(args)]:
                if name in scoped and kwargs[name] is scoped[name]:
                    del kwargs[name]
        if has_place and rules.are_open() and len(args) <= len(positional):
            kwargs.update(zip(positional, args, strict=False))
            kwargs = rules.applied(func, default_scope, parameters, kwargs)
            args = ()
        return func(*args, **kwargs)

    # The attribute that tf_slim reads the key from.
    vars(with_scoped_arguments)["_key_op"] = key
    if like is not None:
        _COUNTERPARTS[key] = with_scoped_arguments
    if not tf_slim.has_arg_scope(with_scoped_arguments):
        tf_slim.add_arg_scope(with_scoped_arguments)
    register(with_scoped_arguments)
    return with_scoped_arguments


def shares_arg_scope(
    like: Callable, default_scope: str | None = None
) -> Callable[[Callable], Callable]:
    """A decorator: `add_arg_scope` with the scope of TF-Slim's function `like`."""
    return add_arg_scope(like=like, default_scope=default_scope)


def has_arg_scope(func: Callable) -> bool:
    """Whether `func` may be named in an arg scope."""
    return tf_slim.has_arg_scope(func)


def counterpart(func: Callable | None) -> Callable | None:
    """Returns slimnets' function for a TF-Slim one, and any other value as it is.

    Old code says `normalizer_fn=slim.batch_norm`; TF-Slim's own no longer runs.
    """
    return _COUNTERPARTS.get(getattr(func, "_key_op", ""), func)


@contextlib.contextmanager
def arg_scope(
    list_ops_or_scope: Sequence[Callable] | Mapping[str, dict[str, Any]], **kwargs
) -> Iterator[Scope]:
    """Opens a scope in which functions have other default arguments.

    Args:
        list_ops_or_scope: a list of arg-scoped functions, whose defaults become
            `kwargs` on top of what is open; or a scope that an earlier `arg_scope`
            gave, which then replaces what is open.
        **kwargs: the defaults. Every function in the list must take every one.

    Yields:
        The open scope, which may be kept and opened again.

    Raises:
        ArgScopeError: (a TypeError and a ValueError) for anything else. Nothing
            has been opened or closed then.
    """
    if isinstance(list_ops_or_scope, Mapping):
        if kwargs:
            raise ArgScopeError(
                "A scope that is opened again takes no keywords; got "
                f"{sorted(kwargs)}. Open a second arg_scope inside it instead."
            )
        scope = dict(list_ops_or_scope)
    else:
        scope = _with_defaults(list_ops_or_scope, kwargs)
    with _opened(scope):
        yield scope


@contextlib.contextmanager
def default_arg_scope(scope: Mapping[str, dict[str, Any]]) -> Iterator[Scope]:
    """Opens `scope` *under* what is open: whatever the caller has set wins."""
    current = current_arg_scope()
    merged = {key: {**values, **current.get(key, {})} for key, values in scope.items()}
    merged = {**current, **merged}
    with _opened(merged):
        yield merged


@contextlib.contextmanager
def _opened(scope: Scope) -> Iterator[None]:
    if threading.get_ident() == threading.main_thread().ident:
        with tf_slim.arg_scope(scope):
            yield
        return
    stack = _thread_stack()
    stack.append(scope)
    try:
        yield
    finally:
        stack.pop()


def _with_defaults(ops: Sequence[Callable], kwargs: dict[str, Any]) -> Scope:
    """Returns the open scope with `kwargs` set for `ops`, all of them checked."""
    if not isinstance(ops, (list, tuple)):
        raise ArgScopeError(
            "arg_scope takes a list of arg-scoped functions, or a scope to open again; "
            f"got {_name(ops)}."
        )
    for op in ops:
        _check(op, kwargs)
    scope = dict(current_arg_scope())
    for op in ops:
        key = tf_slim.arg_scope_func_key(op)
        scope[key] = {**scope.get(key, {}), **kwargs}
    return scope


def _check(op: Callable, kwargs: dict[str, Any]) -> None:
    if not has_arg_scope(op):
        raise ArgScopeError(
            f"{_name(op)} takes no arg scope: decorate it with @slimnets.add_arg_scope."
        )
    if not kwargs:
        return
    accepted: set[str] = set()
    for function in filter(None, (op, counterpart(op))):
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return
        accepted.update(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)
    for keyword in kwargs:
        if keyword not in accepted:
            hint = did_you_mean(keyword, accepted)
            raise ArgScopeError(
                f"{_name(op)} does not take the keyword {keyword!r}.{hint} "
                f"It takes: {', '.join(sorted(accepted))}."
            )


def _name(op: Any) -> str:
    name = getattr(op, "__qualname__", None)
    return f"{op.__module__}.{name}" if name else repr(op)
