"""The usual TF-Slim script runs, resumes and learns on today's TensorFlow."""

import pytest
import tensorflow as tf

from tests.recipes import tf_slim_script as script

# learning.train stops its supervisor twice, as it always did.
pytestmark = pytest.mark.filterwarnings("ignore:Attempting to use a closed FileWriter")


def summaries(directory):
    """Every scalar summary in a directory's event files: {tag: values in order}."""
    values = {}
    for path in sorted(tf.io.gfile.glob(f"{directory}/events*")):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                values.setdefault(value.tag, []).append(value.simple_value)
    return values


@pytest.mark.slow
def test_it_trains_resumes_and_evaluates(tmp_path):
    train_dir, eval_dir = str(tmp_path / "train"), str(tmp_path / "eval")
    first = script.train(train_dir, steps=1)
    last = script.train(train_dir, steps=20)  # Goes on from step 1.
    assert last < first
    assert tf.train.latest_checkpoint(train_dir).endswith("model.ckpt-20")
    written = summaries(train_dir)
    assert "losses/total" in written
    assert "global_step/sec" in written
    accuracy = script.evaluate(train_dir, eval_dir)
    assert summaries(eval_dir)["eval/accuracy"] == [pytest.approx(float(accuracy))]
