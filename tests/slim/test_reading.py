"""`slim.parallel_reader` on tf.data, beside TF-Slim's queues."""

import pytest
import tensorflow as tf
import tf_slim

from slimnets import slim
from tests.helpers import v1


@pytest.fixture
def files(tmp_path):
    """Three files of each kind, five records a file."""
    for index in range(3):
        records = [f"{index}{n}".encode() for n in range(5)]
        with tf.io.TFRecordWriter(str(tmp_path / f"{index}.tfrecord")) as writer:
            for record in records:
                writer.write(record)
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(str(tmp_path / f"{index}.gz"), options) as writer:
            for record in records:
                writer.write(record)
        (tmp_path / f"{index}.txt").write_bytes(b"\n".join([b"head", *records, b""]))
        (tmp_path / f"{index}.bin").write_bytes(b"h" + b"".join(records) + b"ff")
    return str(tmp_path)


GZIP = v1.python_io.TFRecordOptions(v1.python_io.TFRecordCompressionType.GZIP)
KINDS = {
    "tfrecord": (v1.TFRecordReader, None),
    "gz": (v1.TFRecordReader, {"options": GZIP}),
    "txt": (v1.TextLineReader, {"skip_header_lines": 1}),
    "bin": (
        v1.FixedLengthRecordReader,
        {"record_bytes": 2, "header_bytes": 1, "footer_bytes": 2},
    ),
}


def read_all(make):
    """What `make()` gives until it ends, by TensorFlow 1's customs."""
    with tf.Graph().as_default():
        record = make()
        with v1.Session() as session, slim.queues.QueueRunners(session):
            session.run(v1.local_variables_initializer())
            found = []
            with pytest.raises(tf.errors.OutOfRangeError):
                while True:
                    found.append(session.run(record))
    return found


@pytest.mark.parametrize("kind", [*KINDS, "whole"])
def test_a_single_pass_gives_what_tf_slims_gives(files, kind):
    reader, options = KINDS.get(kind, (v1.WholeFileReader, None))
    ending = "txt" if kind == "whole" else kind
    sources = [f"{files}/{index}.{ending}" for index in range(3)]
    ours = read_all(
        lambda: slim.parallel_reader.single_pass_read(sources, reader, options)
    )
    # What tf_slim's own does, but for the threads that fill the queue.
    with tf.Graph().as_default():
        queue = v1.FIFOQueue(3, [tf.string])
        record = reader(**(options or {})).read(queue)
        with v1.Session() as session:
            session.run(queue.enqueue_many([sources]))
            session.run(queue.close())
            theirs = []
            with pytest.raises(tf.errors.OutOfRangeError):
                while True:
                    theirs.append(session.run(record))
    assert [value for _, value in ours] == [value for _, value in theirs]
    names = [key.rpartition(b":")[0] or key for key, _ in ours]
    assert names == [key.rpartition(b":")[0] or key for key, _ in theirs]
    if kind == "txt":
        assert ours == theirs  # Lines have the same numbers.
    assert len({key for key, _ in ours}) == len(ours)


def test_parallel_reading_gives_every_record_once_an_epoch(files):
    for shuffle in (True, False):
        records = read_all(
            lambda shuffle=shuffle: slim.parallel_reader.parallel_read(
                f"{files}/*.tfrecord",
                v1.TFRecordReader,
                num_epochs=2,
                num_readers=3,
                shuffle=shuffle,
                seed=1,
            )
        )
        values = [value for _, value in records]
        every = [f"{index}{n}".encode() for index in range(3) for n in range(5)]
        assert sorted(values) == sorted(every + every)
        assert (values[:3] == [b"00", b"10", b"20"]) == (not shuffle)


def test_shuffling_is_seeded(files):
    def read(seed):
        return read_all(
            lambda: slim.parallel_reader.parallel_read(
                [f"{files}/{n}.tfrecord" for n in range(3)],
                v1.TFRecordReader,
                num_epochs=1,
                seed=seed,
            )
        )

    assert read(1) == read(1) != read(2)


def test_no_queue_is_made(files):
    with tf.Graph().as_default() as graph:
        slim.parallel_reader.parallel_read(f"{files}/*.txt", v1.TextLineReader)
        assert not graph.get_collection(v1.GraphKeys.QUEUE_RUNNERS)


def test_a_reader_that_tf_data_lacks_reads_in_tf_slims_queues(files):
    class Lines(v1.TextLineReader):
        """Not TextLineReader itself, and it may read as it likes."""

    with tf.Graph().as_default() as graph:
        slim.parallel_reader.parallel_read(f"{files}/*.txt", Lines, num_epochs=1)
        assert graph.get_collection(v1.GraphKeys.QUEUE_RUNNERS)


def test_files_that_are_not_there(files):
    with tf.Graph().as_default(), pytest.raises(ValueError, match="No data files"):
        slim.parallel_reader.parallel_read(f"{files}/*.none", v1.TextLineReader)


def test_tf_slim_keeps_its_own():
    assert (
        slim.parallel_reader.parallel_read is not tf_slim.parallel_reader.parallel_read
    )
