"""Inception's arg scope, by the module name that research/slim gives it."""

from slimnets.rows.arg_scopes import inception_arg_scope

__all__ = ["inception_arg_scope"]
