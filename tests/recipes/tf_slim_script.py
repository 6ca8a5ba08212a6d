"""A TF-Slim script of the usual kind: inputs, network, losses, training, evaluation.

Of the original only the two imports of TF-Slim have changed, to slimnets.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from slimnets import slim
from slimnets.slim.nets import resnet_v1

CLASSES = 3
SIZE = 32


def inputs(batch_size, is_training):
    """Coloured noise: an image's class is the channel that is brightest in it."""
    labels = np.arange(24) % CLASSES
    images = np.random.RandomState(0).uniform(0, 0.5, (24, SIZE, SIZE, 3))
    images[np.arange(24), :, :, labels] += 0.5
    image, label = tf.train.slice_input_producer(
        [tf.constant(images, tf.float32), tf.constant(labels, tf.int64)],
        shuffle=is_training,
        num_epochs=None,
    )
    images, labels = tf.train.batch([image, label], batch_size=batch_size)
    return images, slim.one_hot_encoding(labels, CLASSES)


def network(images, is_training):
    with slim.arg_scope(
        resnet_v1.resnet_arg_scope(weight_decay=1e-4, batch_norm_decay=0.5)
    ):
        net, end_points = resnet_v1.resnet_v1_50(
            images, CLASSES, is_training=is_training
        )
    return net, end_points


def train(train_dir, steps):
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        images, labels = inputs(8, is_training=True)
        logits, end_points = network(images, is_training=True)
        slim.losses.softmax_cross_entropy(logits, labels, label_smoothing=0.05)
        total_loss = slim.losses.get_total_loss()
        tf.summary.scalar("losses/total", total_loss)
        slim.summarize_tensor(end_points["resnet_v1_50/block4"])
        global_step = slim.get_or_create_global_step()
        rate = tf.train.exponential_decay(0.01, global_step, 10, 0.9)
        optimizer = tf.train.MomentumOptimizer(rate, 0.9)
        train_op = slim.learning.create_train_op(
            total_loss,
            optimizer,
            clip_gradient_norm=4.0,
            gradient_multipliers={"resnet_v1_50/logits/weights": 2.0},
            summarize_gradients=True,
        )
        return slim.learning.train(
            train_op,
            train_dir,
            number_of_steps=steps,
            log_every_n_steps=5,
            save_summaries_secs=5,
            saver=tf.train.Saver(max_to_keep=2),
            session_config=tf.ConfigProto(allow_soft_placement=True),
        )


def evaluate(train_dir, eval_dir):
    with tf.Graph().as_default():
        slim.get_or_create_global_step()
        images, labels = inputs(8, is_training=False)
        logits, _ = network(images, is_training=False)
        names_to_values, names_to_updates = slim.metrics.aggregate_metric_map(
            {
                "accuracy": slim.metrics.streaming_accuracy(
                    tf.argmax(logits, 1), tf.argmax(labels, 1)
                ),
            }
        )
        for name, value in names_to_values.items():
            tf.summary.scalar("eval/" + name, value)
        return slim.evaluation.evaluate_once(
            master="",
            checkpoint_path=tf.train.latest_checkpoint(train_dir),
            logdir=eval_dir,
            num_evals=3,
            eval_op=list(names_to_updates.values()),
            final_op=names_to_values["accuracy"],
            variables_to_restore=slim.get_variables_to_restore(),
        )
