"""Runs the `slimnets` command: `python -m slimnets`."""

from slimnets.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
