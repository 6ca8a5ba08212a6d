"""Tells the versions of slimnets, Python, TensorFlow, Keras and TF-Slim."""

import importlib.metadata
import platform
from collections.abc import Sequence

from absl import flags

from slimnets.version import __version__

_PACKAGES = ("tensorflow", "keras", "tf-slim", "numpy")


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    print(f"slimnets {__version__}")
    print(f"python {platform.python_version()}")
    for package in _PACKAGES:
        try:
            print(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is not installed")
