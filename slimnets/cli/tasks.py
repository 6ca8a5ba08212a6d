"""Which command `slimnets train --task=TASK` means."""

from collections.abc import Sequence

TRAIN = "train"
COMMANDS = {
    "classify": TRAIN,
    "detect": "train-detector",
    "segment": "train-segmenter",
}
_FLAG = ("--task", "-task")


def chosen(name: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command that trains for the task that is asked for, and its arguments.

    A value that is no task stays, for the command to refuse.
    """
    arguments = list(arguments)
    if name != TRAIN:
        return name, arguments
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in _FLAG:
            end = place + (1 if equals else 2)
            value = value if equals else "".join(arguments[place + 1 : end])
            if COMMANDS.get(value, TRAIN) != TRAIN:
                return COMMANDS[value], [*arguments[:place], *arguments[end:]]
    return name, arguments
