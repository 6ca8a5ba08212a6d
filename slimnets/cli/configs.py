"""Finds flagfiles: the given path, or the config of that name that slimnets carries."""

import os
import pathlib

from slimnets.cli.command import UsageError

_FLAG = ("--flagfile", "-flagfile")
# Of flagfiles that include others; and the letters of a flag's name, for which the
# nearest known one is looked for if it is wrong.
_MOST_FILES, _LONGEST_NAME = 100, 100


def config_directory() -> pathlib.Path:
    """Where the shipped configs are: configs/ of a checkout, or in the installation."""
    package = pathlib.Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def resolve(arguments: list[str]) -> list[str]:
    """Replaces the value of every --flagfile by the path of a file that exists.

    Raises:
        UsageError: if there is neither such a file nor such a config; if it is no
            text, or includes itself or too many others; or for what is too long for
            the name of a flag.
    """
    resolved = []
    pending = False
    for argument in arguments:
        _check_name(argument)
        flag, equals, value = argument.partition("=")
        if pending:
            resolved.append(_path(argument))
            pending = False
        elif flag in _FLAG and equals:
            resolved.append(f"{flag}={_path(value)}")
        else:
            pending = flag in _FLAG
            resolved.append(argument)
    return resolved


def _path(value: str) -> str:
    path = pathlib.Path(value).expanduser()
    if path.is_file():
        _check_file(str(path))
        return str(path)
    directory = config_directory()
    # `configs/NAME.flags` is how a checkout names them, `NAME` is enough.
    if path.name and path.parent in (pathlib.Path("."), pathlib.Path("configs")):
        shipped = directory / path.with_suffix(".flags").name
        if shipped.is_file():
            return str(shipped)
    names = sorted(p.stem for p in directory.glob("*.flags"))
    raise UsageError(
        f"--flagfile: there is no file {value!r}; slimnets comes with "
        f"{', '.join(names)}"
    )


def _check_file(path: str, above: tuple[str, ...] = ()) -> int:
    """Returns how many files a flagfile comes to, with those that it includes."""
    if path in above:
        raise UsageError(f"--flagfile: {path} includes itself")
    if not os.path.isfile(path):
        raise UsageError(
            f"--flagfile: there is no file {path}, included by {above[-1]}"
        )
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--flagfile: cannot read {path}: {error}") from None
    if text.startswith("\ufeff"):
        raise UsageError(
            f"--flagfile: {path} begins with a byte-order mark; save it as UTF-8 "
            "without one"
        )
    lines = text.splitlines()
    number = 1
    for line in lines:
        flag, _, value = line.partition("=")
        if flag in _FLAG and value.strip():
            included = os.path.expanduser(value.strip())
            number += _check_file(included, (*above, path))
        else:
            _check_name(line)
        if max(number, len(above)) > _MOST_FILES:
            raise UsageError(
                f"--flagfile: {path} includes more than {_MOST_FILES} files"
            )
    return number


def _check_name(argument: str) -> None:
    name = argument.partition("=")[0]
    if name.startswith("-") and len(name) > _LONGEST_NAME:
        raise UsageError(
            f"{name[:20]}... is no flag: no name has {len(name)} characters"
        )
