"""Learning rates against the formulas that define them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from slimnets.training import run
from slimnets.training.schedules import DECAYS, make_schedule

SHARES = np.clip((np.arange(21) - 4) / 16, 0, 1)


def rates(name, **options):
    if name == "steps":
        options = {"boundaries": [8.0, 16.0], **options}
    schedule = make_schedule(
        name, 2.0, warmup_steps=4, number_of_steps=20, options=options
    )
    return np.array([float(schedule(step)) for step in range(21)])


@pytest.mark.parametrize("name", DECAYS)
def test_schedules_warm_up_to_the_peak_and_never_rise_again(name):
    found = rates(name)
    np.testing.assert_allclose(found[:5], [0.5, 1, 1.5, 2, 2], rtol=1e-6)
    assert all(a >= b for a, b in itertools.pairwise(found[4:]))
    falls_to_zero = name in ("cosine", "linear", "polynomial")
    assert not falls_to_zero or found[-1] < 1e-6


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("fixed", {}, 2 + 0 * SHARES),
        ("constant", {}, 2 + 0 * SHARES),
        ("cosine", {"end_learning_rate": 0.5},
         0.5 + 1.5 * (1 + np.cos(np.pi * SHARES)) / 2),
        ("linear", {"end_learning_rate": 0.5}, 2 - 1.5 * SHARES),
        ("polynomial", {"end_learning_rate": 0.5, "decay_power": 3.0},
         0.5 + 1.5 * (1 - SHARES) ** 3),
        ("exponential", {"learning_rate_decay_factor": 0.5, "number_of_decays": 4.0},
         2 * 0.5 ** np.floor(4 * SHARES)),
        ("steps", {"learning_rate_decay_factor": 0.5},
         2 * 0.5 ** np.digitize(np.arange(21), [8, 16])),
    ],
)  # fmt: skip
def test_after_warm_up_a_schedule_is_its_formula(name, options, wanted):
    np.testing.assert_allclose(rates(name, **options)[4:], wanted[4:], atol=1e-6)


# The settings that give a schedule. 1,437 digits in batches of 100 are 14.37 steps.


def rate_at(settings, step):
    weights = {"net/weights": tf.Variable([0.0])}
    optimizer = run._make_optimizer(settings, weights)
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


def test_lengths_may_be_given_in_epochs(config):
    settings = config(
        number_of_epochs=10.0, warmup_epochs=2.0, learning_rate=1.0,
        learning_rate_decay_type="steps", decay_epochs="4,8",
    )  # fmt: skip
    assert settings.number_of_steps == 144 and settings.number_of_warmup_steps == 29
    assert settings.decay_boundaries == [57.0, 115.0]
    found = [rate_at(settings, step) for step in (0, 28, 56, 57, 115)]
    np.testing.assert_allclose(found, [1 / 29, 1, 1, 0.1, 0.01], rtol=1e-5)
    in_steps = config(
        max_number_of_steps=144, warmup_steps=29, learning_rate=1.0,
        learning_rate_decay_type="steps", decay_steps="57,115",
    )  # fmt: skip
    assert [rate_at(in_steps, step) for step in (0, 28, 56, 57, 115)] == found


def test_a_learning_rate_for_256_images_grows_with_the_batch(config):
    settings = config(
        learning_rate=0.1, learning_rate_per_256=True, batch_size=128,
        learning_rate_decay_type="fixed",
    )  # fmt: skip
    assert rate_at(settings, 5) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_number_of_steps": 2, "number_of_epochs": 1.0}, "give one of the two"),
        ({"warmup_steps": 2, "warmup_epochs": 1.0}, "give one of the two"),
        ({"decay_steps": "2"}, "belongs to learning_rate_decay_type=steps"),
        ({"decay_epochs": "2"}, "belongs to learning_rate_decay_type=steps"),
        ({"learning_rate_decay_type": "steps"}, "needs decay_steps or decay_epochs"),
        ({"learning_rate_decay_type": "steps", "decay_steps": "3,2"}, "rising numbers"),
        ({"learning_rate_decay_type": "steps", "decay_steps": "a"}, "rising numbers"),
        ({"decay_power": 2.0}, "belongs to learning_rate_decay_type=polynomial"),
        ({"learning_rate_decay_type": "fixed", "end_learning_rate": 0.1}, "no effect"),
        ({"number_of_decays": 2.0}, "belongs to learning_rate_decay_type=exponential"),
    ],
)
def test_wrong_schedules_are_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
