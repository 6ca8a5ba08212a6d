"""Writes the reference pages from the code: run it after changing a docstring or flag.

    python docs/make_pages.py

networks.md is what `slimnets list --format=markdown` prints, reference/commands.md the
--help of every command, and the other pages the docstrings of what each room makes
public. A test compares them with what is written.
"""

import contextlib
import importlib
import inspect
import io
import pathlib
import types

from slimnets.cli import main as cli

HERE = pathlib.Path(__file__).parent

# Page -> the modules on it. A module's public names are its __all__ or, without one,
# the functions and classes that it defines.
ROOMS = {
    "networks as functions": (
        "slimnets.scopes",
        "slimnets.rules",
        "slimnets.blocks",
        "slimnets.units",
        "slimnets.end_points",
        "slimnets.rows.row",
        "slimnets.rows.stage",
        "slimnets.nets.resnet_v1",
        "slimnets.nets.resnet_v2",
    ),
    "layers": ("slimnets.layers",),
    "factory and model": (
        "slimnets.factory",
        "slimnets.model",
        "slimnets.model.feature_extractor",
        "slimnets.model.keras_layer",
    ),
    "features": ("slimnets.features", "slimnets.necks"),
    "heads": ("slimnets.heads", "slimnets.heads.boxes"),
    "checkpoints": ("slimnets.checkpoints",),
    "trained": ("slimnets.trained",),
    "weights": ("slimnets.weights",),
    "data": ("slimnets.data",),
    "training": ("slimnets.training",),
    "inspection": ("slimnets.inspection",),
    "export": ("slimnets.export", "slimnets.benchmarking.measuring"),
}


def pages() -> dict[str, str]:
    """Returns each page's text by its path under docs/."""
    found = {
        "networks.md": _networks(),
        "reference/commands.md": _commands(),
        "reference/public_api.md": public_api(),
    }
    contents = []
    for title, modules in ROOMS.items():
        file = f"{title.replace(' ', '_')}.md"
        found[f"reference/{file}"] = _room(title, modules)
        names = ", ".join(f"`{module}`" for module in modules)
        contents.append(f"- [{title}]({file}): {names}")
    found["reference/README.md"] = "\n".join(
        [
            "# Reference",
            "",
            "Written from the code by `python docs/make_pages.py`.",
            "",
            "- [commands](commands.md): every `slimnets` command and its flags",
            "- [networks](../networks.md): every registered network",
            "- [public API](public_api.md): what is stable, name by name",
            *contents,
            "",
        ]
    )
    return found


def public_api() -> str:
    """The page of all public names and signatures, which a test holds fast."""
    modules = [module for modules in ROOMS.values() for module in modules]
    parts = ["# Public API", "", _STABLE]
    for name in ("slimnets", *modules):
        module = importlib.import_module(name)
        parts += ["", f"## {name}", ""]
        for public in _public_names(module):
            parts += _lines(public, getattr(module, public))
    return "\n".join([*parts, ""])


_STABLE = """\
What stands here is stable: within a minor version nothing of it goes or is called in
another way, and what is to go warns for two minor versions before. What is not here may
change at any time, and so may what is printed."""


def _lines(name: str, value: object) -> list[str]:
    if not callable(value) or isinstance(value, types.ModuleType):
        return [f"- `{name}`"]
    found = [_one_line(name, value)]
    if inspect.isclass(value) and not issubclass(value, tuple):
        for method, member in _members(value).items():
            function = inspect.unwrap(getattr(member, "__func__", member))
            if method.startswith("_"):
                continue
            if isinstance(member, property):
                found.append(f"- `{name}.{method}`")
            elif inspect.isfunction(function):
                found.append(_one_line(f"{name}.{method}", function))
    return found


def _one_line(name: str, function: object) -> str:
    text = " ".join(_signature(name, function).split())
    return f"- `{text.replace('( ', '(').replace(', )', ')')}`"


def _printed(*arguments: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        if cli.main(arguments):
            raise RuntimeError(f"slimnets {' '.join(arguments)} failed.")
    return output.getvalue().rstrip()


def _networks() -> str:
    return "\n".join(
        [
            "# Networks",
            "",
            "Parameters are all of them, moving averages too. Multiply-adds are of one",
            "example at the default size: the side of an image in pixels, or the",
            "points of a cloud. The last column says whose weights load.",
            "",
            _printed("list", "--format=markdown"),
            "",
        ]
    )


def _commands() -> str:
    parts = ["# Commands", "", _text(_printed("--help"))]
    for command in cli.COMMANDS:
        parts += ["", f"## slimnets {command}", "", _text(_printed(command, "--help"))]
    return "\n".join([*parts, ""])


def _room(title: str, modules: tuple[str, ...]) -> str:
    parts = [f"# {title[0].upper()}{title[1:]}"]
    for name in modules:
        module = importlib.import_module(name)
        parts += ["", f"## {name}", "", _text(inspect.getdoc(module))]
        for public in _public_names(module):
            value = getattr(module, public)
            if not isinstance(value, types.ModuleType):
                parts += _member(public, value)
    return "\n".join([*parts, ""])


def _public_names(module: types.ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def _member(name: str, value: object) -> list[str]:
    if not callable(value):
        members = [getattr(item, "__name__", str(item)) for item in value]
        return ["", f"### {name}", "", _text(f"{name}: {', '.join(members)}")]
    parts = [
        "",
        f"### {name}",
        "",
        _text(f"{_signature(name, value)}\n\n{_doc(value)}"),
    ]
    if inspect.isclass(value) and not issubclass(value, tuple):
        members = _members(value)
        for method, function in members.items():
            function = inspect.unwrap(getattr(function, "fget", None) or function)
            if method.startswith("_") or not inspect.isfunction(function):
                continue
            parts += ["", f"#### {name}.{method}", ""]
            text = _doc(function)
            if not isinstance(members[method], property):
                text = f"{_signature(method, function)}\n\n{text}"
            parts.append(_text(text))
    return parts


def _members(value: type) -> dict[str, object]:
    """What a class has, beginning with its own, and its bases in the same room."""
    members = dict(vars(value))
    for base in value.__mro__[1:]:
        if base.__module__.startswith(f"{value.__module__}."):
            members |= {
                name: m for name, m in vars(base).items() if name not in members
            }
    return members


def _signature(name: str, function: object) -> str:
    """How it is called; with a parameter a line where that would be long."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # An exception takes what its base takes.
        return name
    parameters = [
        parameter.replace(
            annotation=inspect.Parameter.empty, default=_Shown.of(parameter)
        )
        for parameter in signature.parameters.values()
    ]
    line = f"{name}{inspect.Signature(parameters)}"
    if len(line) <= 88:
        return line
    parts = str(inspect.Signature(parameters))[1:-1].split(", ")
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


class _Shown(str):
    """A default as it is written in the code: the name of a function, no address."""

    __repr__ = str.__str__

    @classmethod
    def of(cls, parameter: inspect.Parameter) -> object:
        default = parameter.default
        if default is inspect.Parameter.empty:
            return default
        return cls(getattr(default, "__name__", None) or repr(default))


def _doc(value: object) -> str:
    return inspect.getdoc(value) or ""


def _text(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


if __name__ == "__main__":
    for path, text in pages().items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(text, encoding="utf-8")
