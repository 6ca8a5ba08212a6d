"""Which command `slimnets train --task=TASK` means."""

from collections.abc import Sequence

from slimnets.cli.command import taken

TRAIN = "train"
COMMANDS = {
    "classify": TRAIN,
    "detect": "train-detector",
    "segment": "train-segmenter",
}


def chosen(name: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command that trains for the task that is asked for, and its arguments.

    A value that is no task stays, for the command to refuse.
    """
    if name == TRAIN:
        values, others = taken(arguments, "task")
        command = COMMANDS.get(values[-1], TRAIN) if values else TRAIN
        if command != TRAIN:
            return command, others
    return name, list(arguments)
