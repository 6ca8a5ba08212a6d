"""Reads every image of a dataset once, and says what is wrong with it.

That is: images that cannot be used, each with its reason; how many images each class
has, and how large they are; and images of the same bytes, above all those that both
training and the test split have. A DIRECTORY with a sub-folder for each class, a list
(a table path,label), or an archive .npz may stand in the place of --dataset_name and
--dataset_dir. Photos with boxes (coco, voc) or masks (masks, voc) are checked too: then
classes are counted by their objects, or by the photos whose masks have them, and boxes
that lie outside of their photo or are empty are named.
"""

import dataclasses
import functools
import os
import time
from collections.abc import Mapping, Sequence

from absl import flags

from slimnets.cli import engine_flags, setting_flags
from slimnets.cli.command import Flag, UsageError
from slimnets.data.input_config import ANNOTATED, OF_DATASETS, InputConfig
from slimnets.quiet import start_tensorflow
from slimnets.sharding.options import ONE

ARGUMENTS = ("DIRECTORY",)
# So many pairs of the same bytes are named.
_NAMED = 20

# fmt: off
FLAGS = (
    *setting_flags.of(
        InputConfig, ("dataset_name", *OF_DATASETS), with_defaults=False),
    *setting_flags.of(InputConfig, ["exif_orientation"]),
    Flag("enum", "annotations", None, "Which of these to check, of a dataset that may "
         "have them; of coco, voc and masks their first by default.",
         enum_values=["boxes", "masks"]),
    Flag("boolean", "strict", False, "End with exit code 1 if anything is wrong: an "
         "image that cannot be used, or one that stands in both training and the test "
         "split."),
    *engine_flags.of(),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    started = time.monotonic()
    name, options = _dataset(flag_values, arguments)
    engine = engine_flags.options(flag_values)
    start_tensorflow(flag_values.debug)
    from slimnets.data.checking import check_dataset, check_shards
    from slimnets.progress import show_images

    opening = functools.partial(
        _opened, name, options, flag_values.annotations, flag_values.exif_orientation
    )
    dataset = opening()
    if engine.engine == ONE:
        with show_images("check-data") as bar:
            checked = check_dataset(dataset, lambda done, of: bar(of).update(done))
    else:
        checked = check_shards(opening, engine)
    for split, found in checked.splits.items():
        _tell_split(split, found, dataset.label_names, checked.repeated[split])
    both = _tell_shared(checked, dataset.train_split)
    total = sum(split.number for split in checked.splits.values())
    print(
        f"{total} images, {len(checked.bad)} of no use, {both} of training in another "
        f"split too, {time.monotonic() - started:.0f} s"
    )
    return int(flag_values.strict and bool(checked.bad or both))


def _dataset(
    flag_values: flags.FlagValues, arguments: Sequence[str]
) -> tuple[str, dict[str, object]]:
    """The name of the dataset, and the arguments of `get_dataset`."""
    name = flag_values.dataset_name
    options = {option: flag_values[option].value for option in OF_DATASETS}
    if not arguments:
        if not name:
            raise UsageError(
                "check-data needs a directory, or --dataset_name (slimnets check-data "
                "--help)"
            )
        return name, options
    if options["dataset_dir"]:
        raise UsageError("check-data: give a directory or --dataset_dir, not both")
    options["dataset_dir"] = path = arguments[0]
    if not os.path.exists(path):
        raise UsageError(f"check-data: there is no {path}")
    kind = "npz" if path.endswith(".npz") else "list"
    return name or ("folder" if os.path.isdir(path) else kind), options


def _opened(name: str, options: Mapping, kind: str | None, exif_orientation: bool):
    """Opens the dataset: of classes or, where `kind` or its name says so, annotated."""
    dataset = _open(name, dict(options), kind)
    return dataclasses.replace(dataset, exif_orientation=exif_orientation)


def _open(name: str, options: dict, kind: str | None):
    from slimnets.data.annotated import first_kind, open_annotated
    from slimnets.data.datasets import dataset_names, get_dataset

    if not kind and name in ANNOTATED and name not in dataset_names():
        kind = first_kind(name)
    if not kind:
        return get_dataset(name, **options)
    directory = options.pop("dataset_dir")
    for option, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{option} is of no effect with --dataset_name={name} of {kind}"
            )
    return open_annotated(name, kind, directory)


def _tell_split(split, found, names, repeated) -> None:
    for bad, why in sorted(found.bad.items()):
        print(f"bad: {bad}: {why}")
    print(f"{split}: {found.number} images, {len(found.bad)} of no use{_sizes(found)}")
    width = max(map(len, names), default=0)
    for name, number in zip(names, found.classes.tolist(), strict=True):
        print(f"  {name:{width}}  {number}")
    for group in repeated[:_NAMED]:
        print(f"  the same {len(group)} times: {', '.join(group[:3])}")
    if len(repeated) > _NAMED:
        print(f"  and {len(repeated) - _NAMED} more images are there more than once")


def _sizes(found) -> str:
    """The smallest, the usual and the largest size, by area."""
    if not found.sizes:
        return ""
    by_area = sorted(found.sizes, key=lambda size: (size[0] * size[1], size))
    usual = found.sizes.most_common(1)[0][0]
    shown = [
        f"{height} x {width}" for height, width in (by_area[0], usual, by_area[-1])
    ]
    if len(by_area) == 1:
        return f", all {shown[0]}"
    return f", from {shown[0]} to {shown[2]}, most often {shown[1]} (height x width)"


def _tell_shared(checked, train: str) -> int:
    """Names images of training that another split has too; how many there are."""
    total = 0
    for other in checked.splits:
        pairs = checked.shared(train, other) if other != train else []
        for one, two in pairs[:_NAMED]:
            print(f"in {train} and {other}: {one} = {two}")
        if len(pairs) > _NAMED:
            print(f"in {train} and {other}: {len(pairs) - _NAMED} more")
        total += len(pairs)
    return total
