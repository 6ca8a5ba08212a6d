"""Draws where in images a network sees their class, or one that is named.

IMAGES are files, folders, patterns or lists of files. For each a .png is written to
--output: what the network sees of it, with what speaks for the class in colours. Of
exports, frozen graphs and SavedModels that take any number of images have gradients at
the levels that they give; for others the image is covered part by part.
"""

import os
import sys
from collections.abc import Sequence

from absl import flags

from slimnets.cli import weights_flags
from slimnets.cli.command import (
    STRICT,
    Flag,
    UsageError,
    check_output_directory,
    require,
    tell_left_out,
)
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("IMAGES...",)
# As `inspection.class_maps`, which imports TensorFlow, has them; a test compares.
METHODS = ("grad_cam", "grad_cam++", "eigen", "occlusion", "integrated_gradients")

# fmt: off
FLAGS = (
    Flag("string", "output", None, "Directory of the pictures."),
    Flag("string", "at", None, "The activation that is looked at: a level, C4, or an "
         "end point; the last level by default."),
    Flag("string", "class", None, "The class, by its name or its logit; the likeliest "
         "of each image by default."),
    Flag("enum", "method", None, "How it is found: grad_cam by default; occlusion for "
         "exports, but for frozen graphs and SavedModels that give levels.",
         enum_values=METHODS),
    STRICT,
    *weights_flags.of("checkpoint_path", "model_name"),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    require(flag_values, "explain", "checkpoint_path", "output")
    if not arguments:
        raise UsageError("explain takes IMAGES: files, folders, patterns or lists")
    check_output_directory("output", flag_values.output)
    start_tensorflow(flag_values.debug)
    from slimnets.data.image_files import BadImage
    from slimnets.inspection.class_maps import (
        chosen_method,
        class_mapper,
        explain_image,
        place_of,
    )
    from slimnets.inspection.plot import figure_class
    from slimnets.tasks.prediction import find_input

    figure_class()
    others: list[str] = []
    images = list(find_input(arguments, sys.stdin, others))
    trained = weights_flags.open_trained(flag_values)
    trained.check_task("classification")
    wanted = flag_values["class"].value
    wanted = None if wanted is None else place_of(wanted, trained)
    at, method = flag_values.at, chosen_method(trained.model, flag_values.method)
    mapper = class_mapper(trained.model, at=at, method=method)
    how = f"{method} at {at}" if at else method
    bad = []
    for path, image in zip(_paths(images, flag_values.output), images, strict=True):
        try:
            pixels = image.read(trained.channels, trained.exif_orientation)
        except BadImage as problem:
            bad.append(str(problem))
            continue
        try:
            said = explain_image(trained, pixels, path, mapper, wanted, how)
        except KeyError as error:  # Of an end point; its text is a sentence.
            raise UsageError(str(error.args[0])) from error
        print(f"{image.name}: {said} by {how}, {path}")
    return tell_left_out(flag_values.strict, bad, others)


def _paths(images: Sequence, directory: str) -> list[str]:
    """A file for each image, called as the image, with a number where that is taken."""
    paths: dict[str, None] = {}
    for image in images:
        stem = os.path.splitext(os.path.basename(image.name))[0]
        path, number = os.path.join(directory, f"{stem}.png"), 1
        while path in paths:
            number += 1
            path = os.path.join(directory, f"{stem}_{number}.png")
        paths[path] = None
    return list(paths)
