"""Finds flagfiles: the given path, or the config of that name that slimnets carries."""

import pathlib

from slimnets.cli.common import UsageError

_FLAG = ("--flagfile", "-flagfile")


def config_directory() -> pathlib.Path:
    """Where the shipped configs are: configs/ of a checkout, or in the installation."""
    package = pathlib.Path(__file__).resolve().parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def resolve(arguments: list[str]) -> list[str]:
    """Replaces the value of every --flagfile by the path of a file that exists.

    Raises:
        UsageError: if there is neither such a file nor such a config.
    """
    resolved = []
    pending = False
    for argument in arguments:
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
        return str(path)
    directory = config_directory()
    # `configs/NAME.flags` is how a checkout names them, `NAME` is enough.
    if path.parent in (pathlib.Path("."), pathlib.Path("configs")):
        shipped = directory / path.with_suffix(".flags").name
        if shipped.is_file():
            return str(shipped)
    names = sorted(p.stem for p in directory.glob("*.flags"))
    raise UsageError(
        f"--flagfile: there is no file {value}; slimnets comes with {', '.join(names)}"
    )
