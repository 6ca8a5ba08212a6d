"""Measures by every image's scores: precision, intervals, temperature, views."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets.checkpoints import read_checkpoint
from slimnets.data import digits
from slimnets.sharding import ManifestOptions
from slimnets.trained import open_trained
from slimnets.training import evaluate, scores, train
from slimnets.training.evaluation import evaluate_trained
from slimnets.training.evaluation_shards import evaluate_shards
from slimnets.training.measures import Evaluation
from slimnets.training.temperature import store_temperature
from tests.helpers import write_png


def by_definition(there, values):
    """The sum over thresholds of precision times what recall grows by."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(values), reverse=True):
        found = values >= threshold
        recall = np.sum(found & there) / np.sum(there)
        area += (recall - before) * np.sum(found & there) / np.sum(found)
        before = recall
    return area


def test_average_precision_is_the_area_by_definition(rng):
    logits = rng.normal(size=(200, 4)).round(1)  # With ties.
    labels = rng.integers(0, 3, 200)
    found = scores.average_precisions(logits, labels)
    probabilities = scores.softmax(logits)
    for label in range(3):
        expected = by_definition(labels == label, probabilities[:, label])
        assert found[label] == pytest.approx(expected)
    assert found[3] is None
    rows = rng.integers(0, 2, [200, 4])
    pairs = zip(rows.T == 1, logits.T, strict=True)
    expected = [by_definition(there, values) for there, values in pairs]
    np.testing.assert_allclose(scores.average_precisions(logits, rows), expected)


def test_the_interval_is_that_of_resampled_images(rng):
    correct = np.arange(400) < 300
    drawn = rng.choice(correct, [4000, 400]).mean(axis=1)
    expected = np.quantile(drawn, [0.025, 0.975])
    np.testing.assert_allclose(scores.accuracy_interval(300, 400), expected, atol=0.005)
    assert scores.accuracy_interval(5, 5) == (1.0, 1.0)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_of_logits_is_found_again(rng, temperature):
    logits = rng.normal(size=(20000, 5)) * 2
    shares = scores.softmax(logits)
    labels = (shares.cumsum(axis=1) > rng.random([20000, 1])).argmax(axis=1)
    found = scores.fit_temperature(logits * temperature, labels)
    assert found == pytest.approx(temperature, rel=0.05)


def test_f1_is_the_harmonic_mean():
    confusion = np.array([[3, 1], [2, 4]])
    rows = Evaluation(7, 10, "test", 0.0, ("a", "b"), confusion=confusion).class_rows()
    precision, recall = 3 / 5, 3 / 4
    assert rows[0]["f1"] == pytest.approx(2 / (1 / precision + 1 / recall))
    assert rows[0]["average_precision"] is None


def test_views_are_averaged_and_a_symmetric_network_does_not_mind():
    seen = []

    class ByMean(tf.Module):
        """Its logits are of the sum of the pixels, and of their number."""

        def __call__(self, images, training):
            seen.append(images.shape)
            return tf.reduce_mean(images, [1, 2]) * tf.range(10, dtype=tf.float32)

    plain = evaluate(ByMean(), digits.DIGITS, image_size=8, keep=True)
    flip = evaluate(ByMean(), digits.DIGITS, image_size=8, views="flip", keep=True)
    assert plain.confusion.tolist() == flip.confusion.tolist()
    np.testing.assert_allclose(
        scores.softmax(flip.logits), scores.softmax(plain.logits), rtol=1e-4
    )
    seen.clear()
    ten = evaluate(ByMean(), digits.DIGITS, image_size=7, views="ten_crop")
    assert len(seen) == 10 and {tuple(s[1:3]) for s in seen} == {(7, 7)}
    assert ten.total == 360
    with pytest.raises(ValueError, match="views='six' is not one of flip, ten_crop"):
        evaluate(ByMean(), digits.DIGITS, image_size=8, views="six")


def test_crops_are_the_corners_and_the_middle():
    image = tf.reshape(tf.range(64.0), [1, 8, 8, 1])
    first = [int(crop[0, 0, 0, 0]) for crop in scores._five(image, 6)]
    assert first == [0, 2, 16, 18, 9] and scores.larger(224) == 256


def test_a_temperature_is_stored_and_predicted_with(config, call, tmp_path):
    run = config(max_number_of_steps=20)
    train(run, show=False)
    trained = open_trained(run.train_dir)
    evaluation = evaluate_trained(trained, keep=True)
    assert evaluation.logits.shape == (360, 10) and evaluation.labels.shape == (360,)
    line = store_temperature(trained, evaluation)
    value = read_checkpoint(run.train_dir).metadata["temperature"]
    assert line.startswith(f"temperature {value:.4f}, mean confidence")
    pixels = np.zeros([8, 8, 1], np.uint8)
    write_png(tmp_path / "x.png", pixels)
    code, out, _ = call("predict", tmp_path / "x.png",
                        f"--checkpoint_path={run.train_dir}")  # fmt: skip
    shown = float(out.splitlines()[1].split(",")[2])
    logits = trained.model(trained.prepare(pixels)).numpy()
    assert code == 0
    assert shown == pytest.approx(scores.softmax(logits / value).max(), abs=1e-3)
    code, out, _ = call("evaluate", f"--checkpoint_path={run.train_dir}",
                        "--fit_temperature", "--views=flip")  # fmt: skip
    assert code == 0 and out.startswith("temperature ") and "95 % interval" in out


def test_shards_are_measured_as_the_whole(config, tmp_path):
    run = config(max_number_of_steps=20)
    train(run, show=False)
    trained = open_trained(run.train_dir)
    settings = {"keep": True, "corruptions": ["gaussian_noise"], "batch_size": 50}
    whole = evaluate_trained(trained, **settings)
    options = ManifestOptions(manifest=str(tmp_path / "manifest"), shard_size=130)
    shards = evaluate_shards(trained, options, **settings)
    assert shards.summaries == whole.summaries and shards.total == 360
    assert shards.corrupted == whole.corrupted
    for name in ("confusion", "bins", "logits", "labels"):
        np.testing.assert_array_equal(getattr(shards, name), getattr(whole, name))
    assert not list(tmp_path.glob("manifest*"))


def test_accuracy_under_corruptions_is_a_table(config, call, tmp_path):
    run = config(max_number_of_steps=40)
    train(run, show=False)
    code, out, _ = call("evaluate", f"--checkpoint_path={run.train_dir}",
                        "--corruptions=impulse_noise,contrast",
                        f"--output={tmp_path}")  # fmt: skip
    header, *rows = [line.split() for line in out.splitlines()[-6:-2]]
    assert code == 0 and header[-1] == "mean"
    assert [row[0] for row in rows] == ["impulse_noise", "contrast", "mean"]
    clean = evaluate_trained(open_trained(run.train_dir)).accuracy
    noisy = [float(value) for value in rows[0][1:6]]
    assert clean > noisy[0] > noisy[4]
    assert float(rows[0][6]) == pytest.approx(np.mean(noisy), abs=1e-3)
    lines = (tmp_path / "corruptions.csv").read_text().splitlines()
    assert lines[0] == "corruption,1,2,3,4,5,mean" and len(lines) == 4
    code, _, error = call("evaluate", f"--checkpoint_path={run.train_dir}",
                          "--corruptions=rain")  # fmt: skip
    assert code == 2 and "no corruption 'rain'" in error
