"""Labels and probabilities for many images, one row each, in bounded memory."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from slimnets.data.image_files import ImageFile, digest_of_names, find_images
from slimnets.data.labels import Prediction
from slimnets.files import drafted, remove_drafts
from slimnets.sharding import ONE, cut, in_order
from slimnets.tasks import head_prediction
from slimnets.tasks.batching import batches_of, good_of
from slimnets.tasks.classifiers import Classifier, open_configured
from slimnets.tasks.config import PredictionConfig
from slimnets.trained import CLASSIFICATION, Trained

STDIN = "-"
# Settings on which rows do not depend.
_OF_NOW = (
    "output", "max_bad_records", "manifest", "imports", "engine_address", "engine_cpus",
)  # fmt: skip


def write_predictions(
    config: PredictionConfig,
    stdin: Iterable[str] = sys.stdin,
    stdout: Any = sys.stdout,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[int, list[str], list[str]]:
    """Writes a row for each image that can be decoded, in order; what a detector or a
    segmenter finds, `head_prediction` writes.

    CSV has the columns `image`, `label`, `probability` and, for further classes,
    `label2`, `probability2` ...; JSON lines have `image` and a list `predictions` of
    `index`, `label` and `probability`.

    Args:
        config: what is predicted and where it is written.
        stdin: lines with names of images, if the input is `-`.
        stdout: where rows go without an output.
        tell: gets one line that says what was opened.

    Returns:
        How many rows there are, what was wrong with each image that was left out, and
        the names of files that are no images.

    Raises:
        FileNotFoundError: if there are no images or no network, or no directory for
            the output.
        IsADirectoryError: if the output is a directory.
        ValueError: if the network does not fit, or there are more bad images than
            allowed.
        ImportError: if a package that runs an exported network is not installed.
    """
    if config.output is not None:
        _check_output(config.output)
    elif config.engine != ONE:
        raise ValueError(f"engine={config.engine!r} needs output, a file.")
    others: list[str] = []
    images = find_input(config.input, stdin, others)
    trained = open_configured(config)
    tell(trained.source)
    config.check_task(trained.task, CLASSIFICATION, trained.path)
    if config.engine != ONE:
        write = functools.partial(_write_of_shards, config, trained, list(images))
    elif trained.task == CLASSIFICATION:
        write = functools.partial(_write, config, Classifier(trained, config), images)
    else:
        found = head_prediction.Writer(trained, config)
        write = functools.partial(found.write, images)
    if config.output is None:
        return *write(stdout), others
    with (
        drafted(config.output) as draft,
        open(
            draft, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file,
    ):
        result = write(file)
    folder, name = os.path.split(config.output)
    remove_drafts(folder or ".", {name})
    return *result, others


def _check_output(path: str) -> None:
    """Raises now what would else be found when all is computed."""
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no directory {folder} for output={path}.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"output={path} is a directory; give a file.")


def find_input(
    given: str | Sequence[str],
    stdin: Iterable[str] = (),
    left_out: list[str] | None = None,
) -> Iterator[ImageFile]:
    """Returns images, from what is separated by commas, or in a file named with one.

    Args:
        given: image files, patterns of them, whatever `find_images` takes, or `-` for
            one name a line of standard input; as one text, or each by itself. Images
            in a folder are named from there on; of several, with the folder.
        stdin: the lines.
        left_out: see `find_images`.

    Raises:
        FileNotFoundError, ValueError: as `find_images`.
    """
    parts = given
    if isinstance(given, str):
        whole = os.path.exists(given)
        parts = [given] if whole else list(map(str.strip, given.split(",")))
    several = len(parts) > 1
    return itertools.chain.from_iterable(
        [_find(part, stdin, left_out, several) for part in parts]
    )


def _find(
    part: str, stdin: Iterable[str], left_out: list[str] | None, several: bool
) -> Iterable[ImageFile]:
    if part == STDIN:
        names = (line.strip("\ufeff \t\r\n") for line in stdin)
        return (ImageFile(name, name) for name in names if name)
    images = find_images(part, left_out)
    if several and os.path.isdir(part):  # Folders may have images of the same names.
        return [dataclasses.replace(image, name=image.path) for image in images]
    return images


def _write(
    config: PredictionConfig,
    classifier: Classifier,
    images: Iterable[ImageFile],
    file: TextIO,
) -> tuple[int, list[str]]:
    write = _WRITERS[config.format](file)
    rows = 0
    bad: list[str] = []
    for batch in batches_of(images, classifier.load, classifier.batch_size):
        good = good_of(batch, bad, config.max_bad_records)
        if not good:
            continue
        predictions = classifier.predict([value for _, value in good])
        for (image, _), best in zip(good, predictions, strict=True):
            write(image.name, best)
        rows += len(good)
        file.flush()
    return rows, bad


def _write_of_shards(
    config: PredictionConfig, trained: Trained, images: Sequence[ImageFile], file: Any
) -> tuple[int, list[str]]:
    """Writes what workers make of shards, which are whole batches."""
    batch_size = Classifier(trained, config).batch_size
    shards = cut(images, config.shard_size, batch_size=batch_size)
    settings = dataclasses.asdict(config)
    for name in _OF_NOW:
        del settings[name]
    work = {
        **settings,
        "weights_sha256": trained.digest,
        "names_sha256": digest_of_names(images),
        "batch_size": batch_size,
    }
    rows, bad = 0, []
    for result in in_order(
        "predict",
        shards,
        functools.partial(_Work, config, trained.opening),
        config,
        work,
        f"{config.output}.manifest",
        config.max_bad_records,
    ):
        text = result["text"]
        if rows and config.format == "csv":
            _, _, text = text.partition("\n")  # Each begins with the names of columns.
        file.write(text)
        rows += result["rows"]
        bad += result["bad"]
    return rows, bad


class _Work:
    """Predicts shards."""

    def __init__(self, config: PredictionConfig, opening: Callable[[], Trained]):
        self._classifier = Classifier(opening(), config)
        # How many may be bad is for who has all shards to say.
        self._config = dataclasses.replace(config, max_bad_records=sys.maxsize)

    def __call__(self, images: Sequence[ImageFile]) -> dict[str, Any]:
        """The rows of a shard as text, their number, and what is wrong with others."""
        text = io.StringIO(newline="")
        rows, bad = _write(self._config, self._classifier, images, text)
        return {"text": text.getvalue(), "rows": rows, "bad": bad}


def _csv_writer(file: TextIO) -> Callable[[str, list[Prediction]], None]:
    writer = csv.writer(file, lineterminator="\n")
    header: list[str] = []

    def write(name: str, best: list[Prediction]) -> None:
        if not header:
            header.append("image")
            for rank in range(1, len(best) + 1):
                ending = "" if rank == 1 else str(rank)
                header.extend([f"label{ending}", f"probability{ending}"])
            writer.writerow(header)
        values = [(p.name, f"{p.score:.6g}") for p in best]
        writer.writerow([name, *itertools.chain.from_iterable(values)])

    return write


def _json_writer(file: TextIO) -> Callable[[str, list[Prediction]], None]:
    def write(name: str, best: list[Prediction]) -> None:
        row = [
            {"index": p.index, "label": p.name, "probability": p.score} for p in best
        ]
        file.write(json.dumps({"image": name, "predictions": row}) + "\n")

    return write


_WRITERS = {"csv": _csv_writer, "jsonl": _json_writer}
