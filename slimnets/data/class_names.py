"""Classes by their names: which logit of a network is which class of a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from slimnets.data.labels import BACKGROUND, imagenet_labels, imagenet_synsets
from slimnets.listing import listed

_SHOWN = 5


def is_background(name: str) -> bool:
    """Whether a class stands for all that is of no class."""
    return name.strip("_ ").lower() == BACKGROUND


def are_names(names: Sequence[str] | None) -> bool:
    """Whether classes have names, and not the numbers from 0 on alone."""
    return bool(names) and list(names) != list(map(str, range(len(names))))


def names_of_logits(
    names: Sequence[str] | None, num_classes: int | None, where: str
) -> tuple[str, ...] | None:
    """Names for each of `num_classes` logits, of which a first one may be a background.

    Args:
        names: with or without the background; None where they are not known.
        num_classes: the number of logits; None or 0 for none.
        where: whose they are, for the message.

    Raises:
        ValueError: for another number of names.
    """
    if names is None or not num_classes:
        return None
    names = tuple(names)
    if len(names) == num_classes - 1 and not is_background(names[0]):
        return (BACKGROUND, *names)
    if len(names) == num_classes + 1 and is_background(names[0]):
        return names[1:]
    if len(names) != num_classes:
        raise ValueError(
            f"{where} has {num_classes} classes, but {len(names)} names of classes."
        )
    return names


def logits_of_labels(
    label_names: Sequence[str],
    logit_names: Sequence[str] | None,
    num_logits: int,
    *,
    labels_offset: int = 0,
    dataset: str = "the dataset",
    network: str = "the network",
) -> list[int]:
    """Finds for each label of a dataset its logit: by name where both sides have names.

    Else the first label is the first logit, or the one after the background.

    Args:
        label_names: of the dataset, in the order of its labels.
        logit_names: of the network's logits; None where they are not known.
        num_logits: how many there are.
        labels_offset: how many logits may come before the classes.
        dataset, network: what they are called in messages.

    Raises:
        ValueError: if a class of the one is not among those of the other, which is
            named; without names, if they are not as many.
    """
    if are_names(label_names) and are_names(logit_names):
        return _by_name(label_names, logit_names, dataset, network)
    offset = num_logits - len(label_names)
    if offset not in (0, labels_offset):
        before = (
            f", {labels_offset} of them before the classes" if labels_offset else ""
        )
        raise ValueError(
            f"{dataset} has {len(label_names)} classes, but {network} has {num_logits} "
            f"classes{before}."
        )
    return list(range(offset, num_logits))


def _by_name(
    label_names: Sequence[str], logit_names: Sequence[str], dataset: str, network: str
) -> list[int]:
    labels, logits = _canonical(label_names), _canonical(logit_names)
    if labels == logits:
        return list(range(len(logits)))
    for names, where in ((labels, dataset), (logits, network)):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"{where} has several classes of the name {listed(twice, _SHOWN)}, so "
                "that classes cannot be told apart by their names."
            )
    places = {name: place for place, name in enumerate(logits)}
    absent = [name for name in labels if name not in places]
    known = set(labels)
    missing = [n for n in logits if n not in known and n != BACKGROUND]
    if absent or missing:
        sides = []
        if absent:
            sides.append(f"{listed(absent, _SHOWN)} of {dataset} not in {network}")
        if missing:
            sides.append(f"{listed(missing, _SHOWN)} of {network} not in {dataset}")
        raise ValueError(f"The classes are not the same: {'; '.join(sides)}.")
    return [places[name] for name in labels]


def _canonical(names: Sequence[str]) -> list[str]:
    """The same name for the same class: ImageNet's are WordNet's identifiers."""
    first = [BACKGROUND] if is_background(names[0]) else []
    rest = list(names[len(first) :])
    if rest == list(imagenet_labels()):
        rest = list(imagenet_synsets())
    return first + rest
