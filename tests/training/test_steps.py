"""What a step computes: parts, clipping, averages, precisions, dropout, memory."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from slimnets import Block, arg_scope, layers, stack_blocks
from slimnets.checkpoints.base import AVERAGE
from slimnets.layers import recomputing
from slimnets.model import Model
from slimnets.nets.resnet_v2 import resnet_v2
from slimnets.training import TrainingInterrupted, loop, step, train
from slimnets.training.averages import Averages
from slimnets.training.run import Run
from slimnets.training.step import make_step_function
from slimnets.training.task import Classification
from slimnets.units import bottleneck_v2
from tests.training.runs import assert_identical, blocks, final

ONE_STEP = {"max_number_of_steps": 1, "optimizer": "sgd", "weight_decay": 0.01,
            "learning_rate_decay_type": "fixed"}  # fmt: skip


def weights(run):
    return {n: v for n, v in final(run).items() if not n.startswith("optimizer/")}


def start_of(config, **changes):
    """The initial weights of such a run."""
    run = Run(
        config("start", **changes), Classification(), tf.distribute.get_strategy()
    )
    return {n: v.numpy() for n, v in run.model.variables_by_name.items()}


def test_no_two_parts_of_a_step_have_one_number(monkeypatch):
    """By which they draw other noise."""
    training = types.SimpleNamespace(
        strategy=tf.distribute.get_strategy(), variables=[], parts=4, next_of=next
    )

    def compute(inputs, targets, part):
        return [], {"numbers": tf.one_hot(part, 5)}

    monkeypatch.setattr(step, "_compiled", lambda training: compute)
    monkeypatch.setattr(step, "_apply", lambda training, gradients: None)
    batches = tf.data.Dataset.from_tensors((0.0, 0.0)).repeat()
    sums = step._accumulating(training)(iter(batches))
    assert sums["numbers"].numpy().tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("strategy", ["one", "mirrored"])
def test_two_parts_of_16_are_one_step_of_32(config, mirrored, strategy):
    strategy = mirrored if strategy == "mirrored" else None
    options = {"model_name": "plain", "batch_size": 32, "max_number_of_steps": 5}
    whole, parts = (
        config("whole", **options),
        config("parts", accumulation_steps=2, **options),
    )
    train(whole, strategy=strategy, show=False)
    train(parts, strategy=strategy, show=False)
    first, second = weights(whole), weights(parts)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(second[name], first[name], rtol=1e-5, atol=1e-6)


def test_a_batch_that_cannot_be_divided_is_refused(config, mirrored):
    with pytest.raises(ValueError, match="not a multiple of accumulation_steps=3"):
        config(accumulation_steps=3)
    run = config(batch_size=50, accumulation_steps=2)
    with pytest.raises(ValueError, match="must be a multiple of 4"):
        train(run, strategy=mirrored, show=False)


@pytest.mark.parametrize(
    ("precision", "strategy"),
    [
        ("float32", "one"),
        ("float16", "mirrored"),
        pytest.param("float32", "mirrored", marks=pytest.mark.slow),
        pytest.param("float16", "one", marks=pytest.mark.slow),
    ],
)
def test_clipped_gradients_have_the_norm(config, mirrored, strategy, precision):
    strategy = mirrored if strategy == "mirrored" else None
    options = {**ONE_STEP, "model_name": "plain", "learning_rate": 1.0}
    run = config(gradient_clip_norm=0.01, precision=precision, **options)
    train(run, strategy=strategy, show=False)
    start = start_of(config, **options)
    moved = [weights(run)[name] - value for name, value in start.items()]
    norm = np.sqrt(sum(np.sum(m**2) for m in moved))
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_averages_begin_fast():
    variable = tf.Variable([1.0])
    averages = Averages(tf.distribute.get_strategy(), {"v": variable}, 0.5)
    expected = 1.0
    for updates, value in ((0, 2.0), (1, -1.0), (2, 4.0), (20, 0.5)):
        variable.assign([value])
        averages.update(tf.constant(updates))
        decay = min(0.5, (1 + updates) / (10 + updates))
        expected = decay * expected + (1 - decay) * value
        (found,) = averages.variables_by_name["v" + AVERAGE].numpy()
        assert found == pytest.approx(expected, rel=1e-6)


def test_averages_follow_their_formula_and_are_evaluated(config, monkeypatch):
    """Weights after each of three steps, from runs that end there."""
    options = {"model_name": "plain", "learning_rate_decay_type": "fixed"}
    run = config(moving_average_decay=0.15, max_number_of_steps=3, **options)
    result = train(run, show=False)
    expected = start_of(config, **options)
    for updates in range(3):
        end = config(f"{updates}", max_number_of_steps=updates + 1, **options)
        train(end, show=False)
        decay = min(0.15, (1 + updates) / (10 + updates))
        for name, value in expected.items():
            expected[name] = decay * value + (1 - decay) * final(end)[name]
    saved = final(run)
    for name, value in expected.items():
        np.testing.assert_allclose(saved[name + AVERAGE], value, rtol=1e-5, atol=1e-7)
        # Evaluation, and the model that comes out, have the averages.
        np.testing.assert_array_equal(
            result.model.variable_by_name(name), saved[name + AVERAGE]
        )
        assert not np.array_equal(saved[name], saved[name + AVERAGE])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_trains_with_variables_in_float32(config, precision):
    run = config(precision=precision, max_number_of_steps=40)
    result = train(run, show=False)
    assert result.evaluation.accuracy > 0.7
    assert all(v.dtype == tf.float32 for v in result.model.variables)
    scales = [value for name, value in final(run).items() if "dynamic_scale" in name]
    assert bool(scales) == (precision == "float16")


def test_a_scale_that_is_too_large_falls_and_no_weight_moves(config):
    run = Run(
        config(precision="float16", model_name="plain"),
        Classification(),
        tf.distribute.get_strategy(),
    )
    run.optimizer.dynamic_scale.assign(1e38)
    before = [v.numpy() for v in run.trained.values()]
    make_step_function(run.training)(iter(run.batches(0)), tf.constant(1))
    assert float(run.optimizer.dynamic_scale) == pytest.approx(0.5e38)
    for value, variable in zip(before, run.trained.values(), strict=True):
        np.testing.assert_array_equal(value, variable)


EVERYTHING = {
    "model_name": "dropping",
    "accumulation_steps": 2,
    "moving_average_decay": 0.9,
    "learning_rate_decay_type": "cosine",
    "warmup_steps": 5,
    "random_erasing": 0.5,
    "mixup_alpha": 0.4,
    "label_smoothing": 0.1,
    "gradient_clip_norm": 1.0,
}


@pytest.mark.parametrize(
    "precision", [pytest.param("float32", marks=pytest.mark.slow), "float16"]
)
def test_a_run_with_everything_goes_on_bit_by_bit(config, stop_at, precision):
    """Augmentation, averages, accumulation, schedule, dropout; stopped anywhere."""
    whole = config("whole", precision=precision, **EVERYTHING)
    parts = config("parts", precision=precision, **EVERYTHING)
    train(whole, show=False)
    with stop_at(10), pytest.raises(TrainingInterrupted):
        train(parts, show=False)
    assert 10 <= train(parts, show=False).first_step < 24
    assert_identical(final(whole), final(parts))


def test_dropout_differs_from_step_to_step_but_not_from_run_to_run(config):
    runs = [config(name, model_name="dropping", **ONE_STEP) for name in "ab"]
    runs.append(dataclasses.replace(runs[0], train_dir=runs[0].train_dir + "c", seed=1))
    for run in runs:
        train(run, show=False)
    first, again, other = (weights(run) for run in runs)
    assert_identical(first, again)
    assert not np.array_equal(
        first["tiny/logits/weights"], other["tiny/logits/weights"]
    )


def test_steps_are_traced_once_whatever_their_number(config, monkeypatch):
    counts = []
    evaluate = Classification.evaluate

    def counting(self, settings, model):
        result = evaluate(self, settings, model)
        counts.append(model.trace_count)
        return result

    monkeypatch.setattr(Classification, "evaluate", counting)
    monkeypatch.setattr(loop, "SECONDS_PER_CALL", 0.01)
    train(config(eval_interval_steps=4, accumulation_steps=2), show=False)
    assert len(counts) == 6 and len(set(counts)) == 1


def test_a_step_is_by_the_loss_of_data_and_weights_together(config):
    """Of the weights that are not trained too, which have a loss but do not move."""
    options = {**ONE_STEP, "weight_decay": 0.1, "learning_rate": 1.0}
    settings = config(trainable_scopes="tiny/logits", **options)
    run = Run(settings, Classification(), tf.distribute.get_strategy())
    trained = list(run.trained.values())
    images, labels = next(iter(run.batches(0)))
    with tf.GradientTape() as tape:
        losses, _ = run.training.losses(labels, run.model(images, training=True))
        loss = tf.reduce_mean(losses) + run.model.regularization_loss()
    gradients = tape.gradient(loss, trained)
    expected = [v - g for v, g in zip(trained, gradients, strict=True)]
    frozen = run.model.variable_by_name("tiny/conv1/weights").numpy()
    sums = make_step_function(run.training)(iter(run.batches(0)), tf.constant(1))
    np.testing.assert_allclose(sums["loss"], loss, rtol=1e-6)
    for variable, value in zip(trained, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        run.model.variable_by_name("tiny/conv1/weights"), frozen
    )


# Recomputing.


def rooted(inputs, num_classes=None, is_training=False):
    """A residual network with its root, and end points."""
    units = [Block("block1", bottleneck_v2, [(8, 4, 2), (16, 4, 1)])]
    return resnet_v2(inputs, units, num_classes, is_training, scope="rooted")


def _gradients(recompute, network, inside=None):
    """Of the outputs and perhaps of an end point inside of what is recomputed."""
    with arg_scope([stack_blocks], recompute=recompute):
        model = Model(network, num_classes=10, seed=0)
    with recomputing.counting() as scopes:
        model.build([None, 16, 16, 1])
    images = tf.random.stateless_normal([4, 16, 16, 1], [1, 2])

    @tf.function
    def run():
        with tf.GradientTape() as tape, recomputing.noise_from(tf.constant([3, 4])):
            if inside is None:
                outputs = [model(images, training=True)]
            else:
                end_points = model.end_points(images, training=True)
                outputs = [end_points["logits"], end_points[inside]]
            loss = tf.add_n([tf.reduce_mean(output**2) for output in outputs])
        return tape.gradient(
            loss, model.trainable_variables, unconnected_gradients="zero"
        )

    gradients = [gradient.numpy() for gradient in run()]
    return scopes, gradients, [v.numpy() for v in model.non_trainable_variables]


@pytest.mark.parametrize(
    ("network", "inside", "count"),
    [
        (blocks, None, 2),
        (rooted, None, 3),
        (rooted, "block1/unit_2/bottleneck_v2/conv1", 3),
    ],
)
def test_recomputing_has_the_same_gradients_and_updates_averages_once(
    network, inside, count
):
    plain, first, averages = _gradients(False, network, inside)
    recomputed, second, others = _gradients(True, network, inside)
    assert len(plain) == 0 and len(recomputed) == count
    for a, b in zip(first + averages, second + others, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)


def test_what_is_recomputed_draws_the_same_noise_again():
    """Of w * x, dropped and scaled, the gradient by x is the output over x."""

    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = recomputing.recomputed(lambda net: layers.dropout(3.0 * net, 0.5), x)
        return y, tape.gradient(y, x)

    x = tf.ones([4, 100])
    outputs, gradient = run(x)
    np.testing.assert_allclose(gradient, outputs)
    assert set(np.unique(outputs)) == {0.0, 6.0}
    assert not np.array_equal(run(x)[0], outputs)


@pytest.mark.parametrize(
    "strategy", ["one", pytest.param("mirrored", marks=pytest.mark.slow)]
)
def test_recomputing_trains_as_not_recomputing(config, mirrored, strategy):
    strategy = mirrored if strategy == "mirrored" else None
    options = {"model_name": "blocks", **ONE_STEP}
    plain, recomputed = config("a", **options), config("b", recompute=True, **options)
    train(plain, strategy=strategy, show=False)
    train(recomputed, strategy=strategy, show=False)
    for name, value in weights(plain).items():
        np.testing.assert_allclose(weights(recomputed)[name], value, atol=1e-5)


def test_recomputing_needs_blocks(config):
    with pytest.raises(ValueError, match="recompute is of no effect: tiny has no"):
        train(config(recompute=True), show=False)
