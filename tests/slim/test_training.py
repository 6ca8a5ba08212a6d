"""`slim.learning`, `slim.evaluation` and `slim.data` in graph code, eager mode on."""

import numpy as np
import pytest
import tensorflow as tf
from slimnets.slim.data import dataset, dataset_data_provider, tfexample_decoder

from slimnets import slim
from tests.helpers import v1

# learning.train stops its supervisor twice, as it always did.
pytestmark = pytest.mark.filterwarnings("ignore:Attempting to use a closed FileWriter")


def classify(images, labels, is_training):
    with slim.arg_scope(
        [slim.conv2d],
        normalizer_fn=slim.batch_norm,
        normalizer_params={"is_training": is_training, "decay": 0.5},
        weights_regularizer=slim.l2_regularizer(1e-4),
    ):
        net = slim.repeat(images, 2, slim.conv2d, 4, 3, scope="conv")
    net = slim.flatten(slim.avg_pool2d(net, 6))
    logits = slim.fully_connected(net, 2, activation_fn=None, scope="logits")
    return logits, labels


def examples(rng, count=16):
    labels = np.arange(count) % 2
    images = rng.uniform(0, 0.5, (count, 6, 6, 1)) + 0.5 * labels[:, None, None, None]
    return images.astype(np.float32), labels


def train(data, directory, steps, **options):
    with tf.Graph().as_default():
        v1.set_random_seed(0)
        logits, labels = classify(*map(tf.constant, data), is_training=True)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        train_op = slim.learning.create_train_op(
            slim.losses.get_total_loss(),
            v1.train.GradientDescentOptimizer(0.5),
            clip_gradient_norm=1.0,
            gradient_multipliers={"logits/biases": 0.0},
            summarize_gradients=True,
        )
        seen = []

        def step(session, *args):
            seen.append(session.run(v1.train.get_global_step()))
            return slim.learning.train_step(session, *args)

        loss = slim.learning.train(
            train_op,
            directory,
            train_step_fn=step,
            number_of_steps=steps,
            save_summaries_secs=1,
            session_config=v1.ConfigProto(intra_op_parallelism_threads=1),
            **options,
        )
        return loss, seen


def test_training_learns_saves_and_goes_on(tmp_path, rng):
    data, directory = examples(rng), str(tmp_path)
    first, seen = train(data, directory, 1)
    assert seen == [0]
    last, seen = train(data, directory, 30)
    assert seen[0] == 1
    assert last < 0.5 * first
    reader = v1.train.NewCheckpointReader(tf.train.latest_checkpoint(directory))
    assert reader.get_tensor("global_step") == 30
    assert (reader.get_tensor("logits/biases") == 0).all()  # Multiplied by 0.
    assert (reader.get_tensor("conv/conv_1/BatchNorm/moving_mean") != 0).any()
    tags = {
        value.tag
        for path in tmp_path.glob("events*")
        for event in v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert "global_step/sec" in tags
    assert any("gradient" in tag for tag in tags)

    with tf.Graph().as_default():
        slim.get_or_create_global_step()
        logits, labels = classify(*map(tf.constant, data), is_training=False)
        values, updates = slim.metrics.aggregate_metric_map(
            {"accuracy": slim.metrics.streaming_accuracy(tf.argmax(logits, 1), labels)}
        )
        accuracy = slim.evaluation.evaluation_loop(
            "",
            directory,
            str(tmp_path / "eval"),
            num_evals=2,
            eval_op=list(updates.values()),
            final_op=values["accuracy"],
            max_number_of_evaluations=1,
            eval_interval_secs=0,
            variables_to_restore=slim.get_variables_to_restore(),
        )
    assert accuracy == 1.0


def test_an_init_fn_takes_weights_from_a_checkpoint(tmp_path, rng):
    data = examples(rng)
    train(data, str(tmp_path / "first"), 20)
    checkpoint = tf.train.latest_checkpoint(str(tmp_path / "first"))
    with tf.Graph().as_default():
        classify(*map(tf.constant, data), is_training=False)
        wanted = slim.get_variables_to_restore(exclude=["logits"])
        assert {v.op.name.partition("/")[0] for v in wanted} == {"conv"}
        restore = slim.assign_from_checkpoint_fn(checkpoint, wanted)
        assign, feed = slim.assign_from_checkpoint(
            checkpoint, {"logits/weights": slim.get_variables_by_name("weights")[-1]}
        )
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            restore(session)
            session.run(assign, feed)
            reader = v1.train.NewCheckpointReader(checkpoint)
            for variable in (*wanted, slim.get_variables_by_name("weights")[-1]):
                np.testing.assert_array_equal(
                    session.run(variable), reader.get_tensor(variable.op.name)
                )


def test_assigning_says_what_does_not_fit(tmp_path, rng):
    train(examples(rng), str(tmp_path), 1)
    checkpoint = tf.train.latest_checkpoint(str(tmp_path))
    with tf.Graph().as_default():
        variable = slim.model_variable("other", [3])
        with pytest.raises(ValueError, match="missing variable"):
            slim.assign_from_checkpoint(checkpoint, [variable])
        _, feed = slim.assign_from_checkpoint(checkpoint, [variable], True)
        assert feed == {}
        with pytest.raises(ValueError, match="Total size"):
            slim.assign_from_checkpoint(checkpoint, {"logits/weights": variable})


def test_a_dataset_of_examples_is_read(tmp_path, rng):
    pictures = rng.integers(0, 255, (6, 4, 5, 3), dtype=np.uint8)
    with tf.io.TFRecordWriter(str(tmp_path / "data.tfrecord")) as writer:
        for label, picture in enumerate(pictures):
            feature = {
                "image/encoded": tf.io.encode_png(picture).numpy(),
                "image/format": b"png",
            }
            example = tf.train.Example()
            for name, value in feature.items():
                example.features.feature[name].bytes_list.value.append(value)
            example.features.feature["image/label"].int64_list.value.append(label)
            writer.write(example.SerializeToString())
    with tf.Graph().as_default():
        decoder = tfexample_decoder.TFExampleDecoder(
            {
                "image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/format": tf.io.FixedLenFeature([], tf.string),
                "image/label": tf.io.FixedLenFeature([], tf.int64),
            },
            {
                "image": slim.tfexample_decoder.Image(shape=[4, 5, 3]),
                "label": slim.tfexample_decoder.Tensor("image/label"),
            },
        )
        provider = dataset_data_provider.DatasetDataProvider(
            dataset.Dataset(
                str(tmp_path / "data.tfrecord"),
                v1.TFRecordReader,
                decoder,
                num_samples=6,
                items_to_descriptions={},
            ),
            shuffle=False,
        )
        image, label = provider.get(["image", "label"])
        with v1.Session() as session, slim.queues.QueueRunners(session):
            for _ in range(8):
                picture, index = session.run([image, label])
                np.testing.assert_array_equal(picture, pictures[index])
