"""The `slimnets` command: one thin file per sub-command."""
