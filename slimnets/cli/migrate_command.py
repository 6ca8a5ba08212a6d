"""Rewrites code of TensorFlow 1, tf.contrib, TF-Slim and research/slim.

PATH is a Python file, or a folder with such. Names of tf.contrib become those of
`slim` (from slimnets import slim) or of public TensorFlow, and `tensorflow` becomes
tensorflow.compat.v1 with version 2's behaviour off, where the code is of TensorFlow 1.
research/slim's nets, preprocessing, datasets and deployment become slimnets', unless
the project has its own. The change is shown as a diff; --write makes it. What has no
place is told as "by hand". All else in a file stays as it is written, and what has been
rewritten is not found again. Exit code 1 if anything is left to do. It needs libcst:
pip install 'slimnets[migrate]'.
"""

import sys
from collections.abc import Iterator, Sequence

from absl import flags

from slimnets.cli import migration, old_file, rewriting
from slimnets.cli.command import Flag, UsageError
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("PATH",)

FLAGS = (
    Flag("boolean", "write", False, "Whether to change the files, rather than to show "
         "what would change."),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        raise UsageError("migrate takes one PATH: a file or a folder")
    paths = migration.python_files(arguments[0])
    start_tensorflow(flag_values.debug)
    files = dict(_read(paths, migration.own_packages(arguments[0])))
    changed = by_hand = 0
    for path, migrated in _migrated(files):
        for told in migrated.told:
            print(f"{path}:{told}")
        by_hand += len(migrated.told)
        if migrated.new == migrated.old:
            continue
        changed += 1
        if flag_values.write:
            migration.write(path, migrated.new)
        else:
            print(migrated.diff(path), end="")
    unreadable = len(paths) - len(files)
    verb = "rewritten" if flag_values.write else "to rewrite"
    print(
        f"{changed} of {len(paths)} files {verb}, {by_hand} places by hand"
        + (f", {unreadable} files not read" if unreadable else "")
    )
    left = by_hand + unreadable + (0 if flag_values.write else changed)
    return 1 if left else 0


def _read(paths: Sequence[str], own: set[str]) -> Iterator[tuple[str, old_file.File]]:
    for path in paths:
        try:
            yield path, old_file.File(migration.read(path), own)
        except ValueError as error:
            print(f"{path}: not read: {error}", file=sys.stderr)


def _migrated(
    files: dict[str, old_file.File],
) -> list[tuple[str, migration.Migrated]]:
    """All files as they become, before the first is written.

    One file of TensorFlow 1 makes a project so, but for files of TensorFlow 2 alone.
    """
    old = {path for path, file in files.items() if old_file.is_tensorflow_1(file)}
    if old:
        old |= {
            path for path, file in files.items() if not old_file.is_tensorflow_2(file)
        }
    return [
        (path, rewriting.migrate(file, tensorflow_1=path in old))
        for path, file in files.items()
    ]
