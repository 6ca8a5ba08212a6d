"""What a run needs at its end is looked at before its first step."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.training import train
from slimnets.training.measures import far_below
from slimnets.training.train_dir import has_checkpoint


def write_records(path, labels):
    image = tf.io.encode_png(np.zeros((8, 8, 3), np.uint8)).numpy()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label in labels:
            feature = {
                "image/encoded": tf.train.Feature(bytes_list={"value": [image]}),
                "image/class/label": tf.train.Feature(int64_list={"value": [label]}),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


@pytest.fixture
def records(tmp_path, config):
    def make(validation, **changes):
        folder = tmp_path / "records"
        folder.mkdir()
        (folder / "labels.txt").write_text("cats\ndogs\n")
        write_records(folder / "train-00000-of-00001.tfrecord", [0, 1] * 4)
        if validation:
            path = folder / "validation-00000-of-00001.tfrecord"
            write_records(path, validation)
        return config(dataset_name="records", dataset_dir=str(folder), batch_size=4,
                      max_number_of_steps=1, **changes)  # fmt: skip

    return make


def test_labels_that_measure_it_are_of_its_classes(records):
    run = records([0, 1, 2])
    with pytest.raises(ValueError, match=r"'validation' .* label 2 is out of range"):
        train(run, show=False)
    assert not has_checkpoint(run.train_dir)


def test_so_many_of_them_may_be_left_out(records):
    evaluation = train(records([0, 1, 2], max_bad_records=1), show=False).evaluation
    assert evaluation.total == 2 and len(evaluation.bad_records) == 1


def test_records_without_validation_are_measured_on_what_there_is(records):
    evaluation = train(records([]), show=False).evaluation
    assert evaluation.split == "train" and evaluation.total == 8


def test_the_network_takes_images_of_the_size_that_measures_it(records):
    run = records([0, 1], eval_image_size=12)  # Its dense layer is of 8.
    with pytest.raises(ValueError):
        train(run, show=False)
    assert not has_checkpoint(run.train_dir)


@pytest.mark.parametrize(
    ("trained", "measured", "odd"),
    [(0.67, 0.097, True), (0.67, 0.6, False), (1.0, 0.55, False), (0.3, 0.12, False),
     (0.9, 0.4, True), (None, 0.1, False), (0.9, None, False)],
)  # fmt: skip
def test_a_hint_where_training_and_evaluation_lie_apart(trained, measured, odd):
    hint = far_below(trained, measured)
    assert bool(hint) == odd and (not odd or "recalibrate_batches=20" in hint)
