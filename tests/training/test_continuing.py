"""Going on with a run: extended, with changes, and from its directory alone."""

import pytest

from slimnets.training import train
from slimnets.training.continuing import own_settings
from tests.training.runs import assert_identical, final

CONSTANT = {"learning_rate_decay_type": "constant", "optimizer": "adam"}


def test_an_extended_run_equals_an_undisturbed_one_under_a_constant_rate(config):
    train(config("parts", max_number_of_steps=9, **CONSTANT), show=False)
    result = train(config("parts", **CONSTANT), show=False)
    train(config("whole", **CONSTANT), show=False)
    assert result.first_step == 9
    assert_identical(final(config("parts")), final(config("whole")))


def test_another_end_is_told_with_the_schedule_that_it_makes(config, capfd):
    train(config(max_number_of_steps=2), show=False)
    train(config(max_number_of_steps=4, log_every_n_steps=1))
    error = capfd.readouterr().err
    assert "tiny: goes on from step 2 of " in error
    assert "max_number_of_steps=4 (2 before), the cosine schedule is computed" in error
    # 0.05 (1 + cos(3/4 pi)) / 2; the cosine of two steps would be at its end.
    assert "learning_rate 0.007322" in error
    train(config(max_number_of_steps=4))
    assert "has ended at step 4 already" in capfd.readouterr().err
    with pytest.raises(ValueError, match="step 4, beyond the end of the run at step 3"):
        train(config(max_number_of_steps=3), show=False)


def test_a_tuple_of_settings_is_the_same_run_as_its_list(config, capfd):
    rule = "tiny/logits:biases_regularizer=None"
    for number, rules in ((1, (rule,)), (2, [rule]), (3, (rule,))):
        result = train(config(max_number_of_steps=number, rule=rules), show=False)
    assert result.first_step == 2


def test_batch_and_rate_change_where_that_is_asked_for(config, capfd):
    train(config(max_number_of_steps=2), show=False)
    other = {"batch_size": 50, "learning_rate": 0.01, "max_number_of_steps": 3}
    with pytest.raises(ValueError, match="allow_changes for another batch_size and l"):
        train(config(**other), show=False)
    train(config(allow_changes=True, **other))
    error = capfd.readouterr().err
    assert "batch_size=50 (100 before)" in error
    assert "learning_rate=0.01 (0.05 before)" in error
    with pytest.raises(ValueError, match="seed=0 there, 1 here"):
        train(config(allow_changes=True, seed=1, **other), show=False)


def test_what_is_given_takes_the_place_of_a_runs_own_settings(config):
    train(config(max_number_of_steps=1, end_learning_rate=0.01), show=False)
    own = own_settings(config().train_dir)
    assert own["end_learning_rate"] == 0.01 and own["max_number_of_steps"] == 1
    assert not {"train_dir", "task_index", "workers"} & set(own)
    assert "max_number_of_steps" not in own_settings(
        config().train_dir, {"number_of_epochs"}
    )
    assert "end_learning_rate" not in own_settings(
        config().train_dir, {"learning_rate_decay_type"}
    )
    assert own_settings("nowhere") == {} == own_settings(None)


def test_the_command_goes_on_with_a_directory_alone(call, tmp_path):
    run = tmp_path / "run"
    code, _, error = call("train", f"--train_dir={run}")
    assert code == 2 and "train needs --model_name" in error
    settings = ["--model_name=tiny", "--batch_size=100", "--max_number_of_steps=2"]
    assert call("train", *settings, "--seed=7", f"--train_dir={run}")[0] == 0
    code, _, error = call("train", f"--train_dir={run}", "--max_number_of_steps=3")
    assert code == 0 and "goes on from step 2" in error and "3 (2 before)" in error
    code, _, error = call("train", f"--train_dir={run}", "--batch_size=50")
    assert code == 2 and "--allow_changes for another --batch_size" in error
    code, _, error = call("train", f"--train_dir={run}")
    assert code == 0 and "has ended at step 3 already" in error


def test_a_failed_start_leaves_no_directory(config, tmp_path):
    run = config("new/run", checkpoint_path="/none", max_number_of_steps=1)
    with pytest.raises(FileNotFoundError, match="/none"):
        train(run, show=False)
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError, match="/none"):
        train(config("old/run", checkpoint_path="/none"), show=False)
    assert (tmp_path / "old").exists() and not (tmp_path / "old" / "run").exists()


def test_a_fine_tune_says_what_it_loaded(config, capfd):
    source = config("source", max_number_of_steps=1)
    train(source, show=False)
    train(config("new", checkpoint_path=source.train_dir, max_number_of_steps=1,
                 checkpoint_exclude_scopes="tiny/logits"))  # fmt: skip
    error = capfd.readouterr().err
    assert "tiny: begins with 4 of 6 variables from " in error
    assert "new: logits\n" in error
