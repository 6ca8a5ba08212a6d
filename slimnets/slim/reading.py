"""Reading records in graph code: `slim.parallel_reader` on tf.data.

TF-Slim's own fills queues from Python threads, which need a session's coordinator and
`tf.compat.v1.train.start_queue_runners`; code that starts these loses nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_slim

v1 = tf.compat.v1
_theirs = tf_slim.parallel_reader

# A function of a file's name that gives its records.
Opener = Callable[[tf.Tensor], tf.data.Dataset]


def parallel_read(
    data_sources: str | Sequence[str],
    reader_class: Callable,
    num_epochs: int | None = None,
    num_readers: int = 4,
    reader_kwargs: dict[str, Any] | None = None,
    shuffle: bool = True,
    dtypes: Sequence[tf.DType] | None = None,
    capacity: int = 256,
    min_after_dequeue: int = 128,
    seed: int | None = None,
    scope: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads records from many files at once.

    Args:
        data_sources: a file, a pattern of files, or a sequence of both.
        reader_class: `tf.compat.v1.TFRecordReader`, `TextLineReader`,
            `FixedLengthRecordReader` or `WholeFileReader`; any other reader runs in
            TF-Slim's queues.
        num_epochs: how often each file is read; None for ever.
        num_readers: files that are read at the same time.
        reader_kwargs: arguments of the reader.
        shuffle: whether the files of each epoch, and then the records, are shuffled.
        dtypes: of the key and the value: two strings.
        capacity: records that are shuffled, or read ahead, at a time.
        min_after_dequeue: taken for TF-Slim's sake: the shuffled records are always
            `capacity` many.
        seed: of the shuffling.
        scope: name of the name scope.

    Returns:
        `(key, value)`, scalar strings: the key is `file:number of the record`, or for
        whole files the file.

    Raises:
        ValueError: if no file is found.
    """
    open_file = _opener(reader_class, reader_kwargs or {})
    if open_file is None or dtypes not in (None, [tf.string, tf.string]):
        return _theirs.parallel_read(
            data_sources,
            reader_class,
            num_epochs,
            num_readers,
            reader_kwargs,
            shuffle,
            dtypes,
            capacity,
            min_after_dequeue,
            seed,
            scope,
        )
    files = _files_of(data_sources)
    with tf.name_scope(scope or "parallel_read"):
        names = tf.data.Dataset.from_tensor_slices(files)
        if shuffle:
            names = names.shuffle(len(files), seed)
        records = names.repeat(num_epochs).interleave(
            open_file, cycle_length=num_readers, num_parallel_calls=num_readers
        )
        if shuffle:
            records = records.shuffle(capacity, seed)
        return _next_of(records.prefetch(capacity))


def single_pass_read(
    data_sources: str | Sequence[str],
    reader_class: Callable,
    reader_kwargs: dict[str, Any] | None = None,
    scope: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads the files one after the other, once. All else is as of `parallel_read`."""
    open_file = _opener(reader_class, reader_kwargs or {})
    if open_file is None:
        return _theirs.single_pass_read(
            data_sources, reader_class, reader_kwargs, scope
        )
    files = _files_of(data_sources)
    with tf.name_scope(scope or "single_pass_read"):
        records = tf.data.Dataset.from_tensor_slices(files).flat_map(open_file)
        return _next_of(records.prefetch(1))


def _files_of(data_sources: str | Sequence[str]) -> list[str]:
    """The files, in the order of the sources; those of a pattern in that of names."""
    if isinstance(data_sources, (list, tuple)):
        return [file for source in data_sources for file in _files_of(source)]
    return sorted(_theirs.get_data_files(data_sources))


def _next_of(records: tf.data.Dataset) -> tuple[tf.Tensor, tf.Tensor]:
    key, value = v1.data.make_one_shot_iterator(records).get_next()
    return key, value


def _opener(reader_class: Callable, options: dict[str, Any]) -> Opener | None:
    """What reads as the reader does; None for one that tf.data does not have."""
    options = {key: value for key, value in options.items() if key != "name"}
    if reader_class is v1.WholeFileReader and not options:
        return lambda file: tf.data.Dataset.from_tensors((file, tf.io.read_file(file)))
    if reader_class is v1.TFRecordReader and set(options) <= {"options"}:
        kind = tf.io.TFRecordOptions.get_compression_type_string(options.get("options"))
        return _numbered(lambda file: tf.data.TFRecordDataset(file, kind), first=0)
    if reader_class is v1.TextLineReader and set(options) <= {"skip_header_lines"}:
        skipped = options.get("skip_header_lines") or 0
        return _numbered(
            lambda file: tf.data.TextLineDataset(file).skip(skipped), first=1 + skipped
        )
    sizes = {"record_bytes", "header_bytes", "footer_bytes"}
    if reader_class is v1.FixedLengthRecordReader and set(options) <= sizes:
        return _numbered(
            lambda file: tf.data.FixedLengthRecordDataset(file, **options), first=0
        )
    return None


def _numbered(open_file: Opener, first: int) -> Opener:
    """Gives each record the key `file:number`."""

    def numbered(file: tf.Tensor) -> tf.data.Dataset:
        return (
            open_file(file)
            .enumerate(first)
            .map(
                lambda n, record: (
                    tf.strings.join([file, ":", tf.as_string(n)]),
                    record,
                )
            )
        )

    return numbered
