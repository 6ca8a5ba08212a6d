"""Writes a folder of images, one sub-folder per class, as TFRecord files.

A folder may have the splits train and validation below it; of one that has not,
each tenth image of a class is for validation. The files, in research/slim's
layout, are the same for the same folder, seed and number of shards, and each
gets its name when it is whole. They are read with
--dataset_name=records --dataset_dir=OUTPUT. Photos with boxes or masks, of
--dataset_name=coco, voc or masks, become records as the Object Detection API and
DeepLab have them, under their own splits.
"""

import os
import sys
import time
from collections.abc import Sequence

from absl import flags

from slimnets.cli import engine_flags
from slimnets.cli.command import Flag, require
from slimnets.quiet import start_tensorflow

_REQUIRED = ("dataset_dir", "output")

# fmt: off
_OWN = (
    Flag("string", "dataset_dir", None, "The folder of images, or of another dataset."),
    Flag("string", "dataset_name", "folder", "What lies there: folder, or coco, voc or "
         "masks."),
    Flag("string", "annotations", None, "Of photos boxes or masks; the first of these "
         "that the dataset has by default."),
    Flag("string", "output", None, "Directory of the record files."),
    Flag("integer", "num_shards", 16, "Files of the training split; validation's are "
         "as large."),
    Flag("string", "layout", "records", "How files are named and labels counted: "
         "records, flowers or imagenet."),
    Flag("integer", "seed", 0, "Images are written in a random order, which it "
         "decides."),
    Flag("integer", "max_bad_records", 0, "How many images that cannot be decoded may "
         "be left out; if there are more, all are named, and no further file is "
         "written."),
    Flag("boolean", "exif_orientation", True, "Write the height and width of photos as "
         "EXIF turns them; who reads the records has a flag of the same name."),
    Flag("integer", "num_threads", None, "Files that are written at a time; one for "
         "each core by default."),
)
# fmt: on
FLAGS = (*_OWN, *engine_flags.of(files=True))


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    started = time.monotonic()
    require(flag_values, "make-records", *_REQUIRED)
    start_tensorflow(flag_values.debug)
    from slimnets.data import make_records
    from slimnets.data.bad_records import TooManyBadRecords
    from slimnets.progress import show_images

    options = {flag.name: flag_values[flag.name].value for flag in _OWN}
    options["options"] = engine_flags.options(flag_values)
    with show_images("make-records") as bar:
        began = time.monotonic()

        def progress(done: int, total: int) -> None:
            rate = done / (time.monotonic() - began)
            bar(total).update(done, {"images_per_second": rate})

        try:
            written = make_records(**options, progress=progress)
        except TooManyBadRecords as error:
            said, *names = str(error).splitlines()
            print("\n".join(names), file=sys.stderr)
            raise TooManyBadRecords(f"{said.rstrip(':')}.") from error
    parts = [
        f"{written.images[split]} {split} images in {len(files)} files"
        for split, files in written.files.items()
    ]
    print(
        f"{', '.join(parts)}, {len(written.bad)} left out, "
        f"{time.monotonic() - started:.0f} s, files in "
        f"{os.path.abspath(flag_values.output)}"
    )
