"""The version, stated once: setup.py, checkpoints and the command read it here."""

__version__ = "0.1.0"
