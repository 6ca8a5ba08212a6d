"""Tells where code takes from TF-Slim, and what to write instead; --write writes it.

PATH is a Python file, or a folder with such. Found are imports of tf_slim, of
tensorflow.contrib.slim and of research/slim's nets, preprocessing, datasets and
deployment, and tf.contrib in expressions. What is not one import for another is told as
"by hand". All else in a file stays as it is written, and what has been rewritten is
not found again. Exit code 1 if anything is left to do. It needs libcst: pip install
'slimnets[migrate]'.
"""

import sys
from collections.abc import Sequence

from absl import flags

from slimnets.cli import migration
from slimnets.cli.common import UsageError, define_debug

ARGUMENTS = ("PATH",)


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_boolean(
        "write",
        False,
        "Whether to change the files, rather than to tell what would change.",
        flag_values=flag_values,
    )
    define_debug(flag_values)


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        raise UsageError("migrate takes one PATH: a file or a folder")
    paths = migration.python_files(arguments[0])
    changes = by_hand = unreadable = touched = 0
    for path in paths:
        try:
            with open(path, encoding="utf-8", newline="") as file:
                source = file.read()
            findings = migration.find(source)
        except ValueError as error:
            unreadable += 1
            print(f"{path}: not read: {error}", file=sys.stderr)
            continue
        changed = [found for found in findings if found.new is not None]
        changes, by_hand = (
            changes + len(changed),
            by_hand + len(findings) - len(changed),
        )
        touched += bool(changed)
        for found in findings:
            print(f"{path}:{found}")
        if flag_values.write and changed:
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(migration.rewritten(source, findings))
    verb = "rewritten" if flag_values.write else "to rewrite"
    print(
        f"{changes} {verb} in {touched} of {len(paths)} files, {by_hand} by hand"
        + (f", {unreadable} not read" if unreadable else "")
    )
    left = by_hand + unreadable + (0 if flag_values.write else changes)
    return 1 if left else 0
