"""Labels and probabilities for many images, one row each, in bounded memory."""

from __future__ import annotations

import collections
import concurrent.futures
import csv
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from slimnets.data.image_files import BadImage, ImageFile, find_images
from slimnets.data.labels import Prediction
from slimnets.tasks.classifiers import Classifier, open_configured
from slimnets.tasks.config import PredictionConfig

STDIN = "-"


def write_predictions(
    config: PredictionConfig,
    stdin: Iterable[str] = sys.stdin,
    stdout: Any = sys.stdout,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[int, list[str], list[str]]:
    """Writes a row for each image that can be decoded, in order.

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
    others: list[str] = []
    images = find_input(config.input, stdin, others)
    trained = open_configured(config)
    tell(trained.source)
    classifier = Classifier(trained, config)
    if config.output is None:
        return *_write(config, classifier, images, stdout), others
    draft = f"{config.output}.part"
    try:
        with open(
            draft, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            result = _write(config, classifier, images, file)
        os.replace(draft, config.output)
    finally:
        if os.path.exists(draft):
            os.remove(draft)
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
            one name a line of standard input; as one text, or each by itself.
        stdin: the lines.
        left_out: see `find_images`.

    Raises:
        FileNotFoundError, ValueError: as `find_images`.
    """
    parts = given
    if isinstance(given, str):
        whole = os.path.exists(given)
        parts = [given] if whole else map(str.strip, given.split(","))
    return itertools.chain.from_iterable(
        [_find(part, stdin, left_out) for part in parts]
    )


def _find(
    part: str, stdin: Iterable[str], left_out: list[str] | None
) -> Iterable[ImageFile]:
    if part == STDIN:
        names = (line.strip("\ufeff \t\r\n") for line in stdin)
        return (ImageFile(name, name) for name in names if name)
    return find_images(part, left_out)


def _write(
    config: PredictionConfig,
    classifier: Classifier,
    images: Iterable[ImageFile],
    file: TextIO,
) -> tuple[int, list[str]]:
    write = _WRITERS[config.format](file)
    rows, bad = 0, []
    for batch in batches_of(images, classifier.load, classifier.batch_size):
        bad += [value for _, value in batch if isinstance(value, str)]
        if len(bad) > config.max_bad_records:
            raise ValueError(
                f"{len(bad)} bad images, of which max_bad_records="
                f"{config.max_bad_records} allows no more: {bad[-1]}"
            )
        good = [(image, value) for image, value in batch if not isinstance(value, str)]
        if not good:
            continue
        predictions = classifier.predict([value for _, value in good])
        for (image, _), best in zip(good, predictions, strict=True):
            write(image.name, best)
        rows += len(good)
        file.flush()
    return rows, bad


def batches_of(
    images: Iterable[ImageFile], load: Callable[[ImageFile], Any], size: int
) -> Iterator[list[tuple[ImageFile, Any]]]:
    """Yields batches of images with what they load, or what is wrong with them.

    The next two batches are read meanwhile, and no more.
    """

    def safe(image: ImageFile) -> Any:
        try:
            return load(image)
        except BadImage as error:
            return str(error)

    images = iter(images)
    pending: collections.deque = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        while True:
            part = list(itertools.islice(images, size))
            if part:
                pending.append([(image, pool.submit(safe, image)) for image in part])
            if pending and (len(pending) > 2 or not part):
                yield [(image, done.result()) for image, done in pending.popleft()]
            if not part and not pending:
                return


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
