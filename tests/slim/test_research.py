"""research/slim's preprocessing, datasets and deployment stand-ins."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import slim
from slimnets.slim.research.datasets import dataset_factory, dataset_utils
from slimnets.slim.research.deployment import model_deploy
from slimnets.slim.research.preprocessing import preprocessing_factory
from tests.helpers import v1

MEANS = np.float32([123.68, 116.78, 103.94])


def prepared(name, pixels, size, is_training=False, **options):
    preprocess = preprocessing_factory.get_preprocessing(name, is_training)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(0)
        return session.run(preprocess(tf.constant(pixels), size, size, **options))


def test_evaluation_of_one_colour_is_exact():
    pixels = np.full([60, 80, 3], 100, np.uint8)
    wanted = {
        "inception_v3": 100 / 255 * 2 - 1,
        "mobilenet_v2": 100 / 255 * 2 - 1,
        "vgg_16": 100 - MEANS,
        "resnet_v1_50": 100 - MEANS,
        "lenet": (100 - 128) / 128,
        "cifarnet": 0.0,
    }
    for name, value in wanted.items():
        image = prepared(name, pixels, 32)
        assert image.shape == (32, 32, 3)
        np.testing.assert_allclose(
            image, np.broadcast_to(value, image.shape), atol=1e-4
        )


def test_vgg_takes_the_middle_of_the_scaled_image():
    pixels = np.zeros([256, 300, 3], np.uint8)
    pixels[100:156, 122:178] = 255
    image = prepared("vgg_16", pixels, 56) + MEANS
    np.testing.assert_allclose(image, 255, atol=1e-3)


@pytest.mark.parametrize("name", ["inception_v1", "resnet_v2_50", "cifarnet"])
def test_training_distorts_within_bounds(rng, name):
    pixels = rng.integers(0, 256, [64, 64, 3], np.uint8)
    image = prepared(name, pixels, 48, is_training=True)
    assert image.shape == (48, 48, 3) and np.isfinite(image).all()
    bounds = {"inception_v1": (-1, 1), "resnet_v2_50": (-124, 152), "cifarnet": (-9, 9)}
    assert bounds[name][0] <= image.min() < image.max() <= bounds[name][1]


def test_unknown_names():
    with pytest.raises(ValueError, match="not recognized"):
        preprocessing_factory.get_preprocessing("alex")
    with pytest.raises(ValueError, match="unknown"):
        dataset_factory.get_dataset("none", "train", "")
    with pytest.raises(ValueError, match="split name"):
        dataset_factory.get_dataset("mnist", "validation", "")


def test_a_dataset_is_read_as_it_was_written(tmp_path, rng):
    images = rng.integers(0, 256, [3, 28, 28, 1], np.uint8)
    with tf.io.TFRecordWriter(str(tmp_path / "mnist_train.tfrecord")) as writer:
        for label, pixels in enumerate(images):
            encoded = tf.io.encode_png(pixels).numpy()
            example = dataset_utils.image_to_tfexample(encoded, b"png", 28, 28, label)
            writer.write(example.SerializeToString())
    dataset_utils.write_label_file({0: "zero", 1: "one:two"}, str(tmp_path))
    with tf.Graph().as_default(), v1.Session() as session:
        dataset = dataset_factory.get_dataset("mnist", "train", str(tmp_path))
        assert dataset.labels_to_names == {0: "zero", 1: "one:two"}
        assert (dataset.num_samples, dataset.num_classes) == (60000, 10)
        provider = slim.dataset_data_provider.DatasetDataProvider(
            dataset, shuffle=False, num_epochs=1
        )
        image, label = provider.get(["image", "label"])
        session.run([v1.local_variables_initializer(), v1.tables_initializer()])
        for wanted in range(3):
            pixels, number = session.run([image, label])
            assert number == wanted
            np.testing.assert_array_equal(pixels, images[wanted])


def test_two_clones_train_as_one(rng):
    """The mean of two equal clones' losses is one clone's, and so is the step."""
    x = tf.constant(rng.normal(size=(4, 3)).astype(np.float32)).numpy()

    def trained(clones):
        def model(inputs):
            out = slim.fully_connected(
                inputs,
                2,
                activation_fn=None,
                weights_initializer=v1.ones_initializer(),
                weights_regularizer=slim.l2_regularizer(0.1),
                scope="out",
            )
            slim.losses.mean_squared_error(out, tf.zeros([4, 2]))
            return out

        with tf.Graph().as_default():
            config = model_deploy.DeploymentConfig(clones, clone_on_cpu=True)
            deployed = model_deploy.deploy(
                config, model, [tf.constant(x)],
                optimizer=v1.train.GradientDescentOptimizer(0.1),
            )  # fmt: skip
            assert len(deployed.clones) == clones and deployed.summary_op is not None
            assert len(v1.trainable_variables()) == 2
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                loss = session.run(deployed.train_op)
                return loss, session.run(v1.trainable_variables()[0])

    one, two = trained(1), trained(2)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5)
    wanted = np.square(x.sum(1)).mean() + 0.1 * 6 / 2
    np.testing.assert_allclose(one[0], wanted, rtol=1e-5)
    np.testing.assert_allclose(one[1], two[1], rtol=1e-5)


def test_wrong_deployments():
    with pytest.raises(ValueError, match="num_ps_tasks"):
        model_deploy.DeploymentConfig(num_replicas=2)
    with pytest.raises(ValueError, match="replica_id"):
        model_deploy.DeploymentConfig(replica_id=1)
    config = model_deploy.DeploymentConfig(2)
    assert (
        config.clone_device(1) == "/device:GPU:1" and config.clone_scope(1) == "clone_1"
    )
    with pytest.raises(ValueError, match="clone_index"):
        config.clone_device(2)
