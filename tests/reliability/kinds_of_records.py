"""Damaged record files: bytes, and examples that are not what they should be."""

import contextlib
import os
import pathlib
import tempfile

import tensorflow as tf

from tests.reliability.fuzzing import Kind
from tests.reliability.kinds_of_images import encoded
from tests.reliability.mutations import mutated


def example(**changes) -> bytes:
    """An example as research/slim has it; a change of None leaves a feature out."""
    values = {
        "image/encoded": [encoded("png")],
        "image/format": [b"png"],
        "image/class/label": [1],
        **{f"image/object/bbox/{side}": [0.1, 0.2] for side in ("xmin", "ymin")},
        **{f"image/object/bbox/{side}": [0.6, 0.7] for side in ("xmax", "ymax")},
        **{name.replace("__", "/"): value for name, value in changes.items()},
    }
    feature = {name: _feature(v) for name, v in values.items() if v is not None}
    return tf.train.Example(
        features=tf.train.Features(feature=feature)
    ).SerializeToString(deterministic=True)


def _feature(values: list) -> tf.train.Feature:
    if all(isinstance(value, bytes) for value in values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if all(isinstance(value, int) for value in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


# What is wrong with examples that are whole.
WRONG = (
    {"image__encoded": None},
    {"image__encoded": []},
    {"image__encoded": [1.5]},
    {"image__encoded": [b"a", b"b"]},
    {"image__encoded": [b""]},
    {"image__class__label": None},
    {"image__class__label": [b"one"]},
    {"image__class__label": [1, 2]},
    {"image__class__label": [-1]},
    {"image__class__label": [2**62]},
    {"image__object__bbox__xmin": [0.1]},
    {"image__object__bbox__xmin": [1]},
    {"image__object__bbox__xmin": [float("nan"), 0.1]},
    {"image__object__bbox__xmax": [float("inf"), -3.0]},
)
SHARD = "train-00000-of-00001.tfrecord"


def write_records(directory: str, examples: list[bytes]) -> None:
    """Writes record files as `slimnets make-records` names them."""
    os.makedirs(directory, exist_ok=True)
    pathlib.Path(directory, "labels.txt").write_text("0:a\n1:b\n2:c\n")
    pathlib.Path(directory, SHARD).write_bytes(as_records(examples))


def _damaged_record(rng, original: bytes) -> bytes:
    """Damage to the file; or to one example in it, whose checksums are right."""
    kind = rng.integers(3)
    if kind == 0:
        return mutated(rng, original)
    wrong = example(**WRONG[rng.integers(len(WRONG))])
    bad = mutated(rng, example()) if kind == 1 else wrong
    return as_records([example(), bad, example()])


def _read_records(path: str) -> None:
    """As training and prediction do, each example on its own."""
    from slimnets.data.datasets import get_dataset
    from slimnets.data.decoding import _problem
    from slimnets.data.image_files import BadImage, find_images
    from slimnets.data.pixel_limit import Decoding

    source = get_dataset("records", dataset_dir=path).source("train")
    for index in range(source.number):
        assert _problem(source, index, Decoding(3)) != ""
    for image in find_images(os.path.join(path, SHARD)):
        with contextlib.suppress(BadImage):
            image.read()


def _read_batches(path: str) -> None:
    """As a step of training and an evaluation do, with bad records left out."""
    from slimnets import data
    from slimnets.data.bad_records import BadRecords, explained_errors

    dataset = data.get_dataset("records", dataset_dir=path)
    options = {"split": "train", "image_size": 8, "preprocessing": "inception"}
    with explained_errors():
        bad = BadRecords(2)
        for images, _ in data.evaluation_batches(
            dataset, batch_size=2, bad_records=bad, **options
        ):
            assert images.shape[1:] == (8, 8, 3)
        batches = data.training_batches(
            dataset, batch_size=2, seed=1, bad_records=BadRecords(2), **options
        )
        for images, _ in batches.take(2):
            assert images.shape == (2, 8, 8, 3)


def as_records(records: list[bytes]) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            for record in records:
                writer.write(record)
        return pathlib.Path(file.name).read_bytes()


def _kind(read) -> Kind:
    return Kind(
        lambda path: write_records(path, [example()] * 3),
        "records",
        read,
        damaged=f"records/{SHARD}",
        damage=_damaged_record,
    )


KINDS = {"tfrecord": _kind(_read_records), "batches": _kind(_read_batches)}
