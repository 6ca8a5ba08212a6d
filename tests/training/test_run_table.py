"""Runs side by side."""

import csv
import io
import json

import pytest

from slimnets.training import run_files, run_table, train


@pytest.fixture
def runs(config, tmp_path):
    """Two ended runs and one that was cut short, of two learning rates."""
    for name, changes in {
        "a": {"learning_rate": 0.05},
        "more/b": {"learning_rate": 1e-30, "keep_best": True, "eval_interval_steps": 3},
        "more/c": {"learning_rate": 0.05},
    }.items():
        train(config(name, model_name="plain", max_number_of_steps=6, **changes),
              show=False)  # fmt: skip
    (tmp_path / "more" / "c" / "summary.json").unlink()
    return tmp_path


def test_a_row_has_what_differs_and_what_came_of_it(runs):
    paths = run_table.find_runs([str(runs)])
    assert paths == [str(runs / name) for name in ("a", "more/b", "more/c")]
    rows = run_table.table(paths)
    assert [row["learning_rate"] for row in rows] == [0.05, 1e-30, 0.05]
    assert [row["ended"] for row in rows] == [True, True, False]
    assert all(row["step"] == 6 for row in rows)
    assert not {"train_dir", "batch_size", "seed"} & set(rows[0])
    with open(runs / "a" / "summary.json") as file:
        accuracy = json.load(file)["evaluation"]["test_accuracy"]
    assert rows[0]["accuracy"] == pytest.approx(accuracy)
    assert rows[1]["best"] == pytest.approx(rows[1]["accuracy"])
    assert rows[0]["best"] is None
    falling = run_table.in_order(rows, "-accuracy")
    assert [row["run"] for row in falling][-1] == str(runs / "more/b")
    assert run_table.in_order(rows, "best")[0] is rows[1]
    with pytest.raises(ValueError, match="sort=speed: the columns are run, step"):
        run_table.in_order(rows, "speed")


def test_a_line_that_is_being_written_does_not_count(tmp_path):
    whole = "step,loss,test_accuracy\n20,0.5,0.25\n"
    rows = [{"step": "20", "loss": "0.5", "test_accuracy": "0.25"}]
    for rest in ("", "40", "40,0.123", "40,1e-", "40,0.5,0.7"):
        (tmp_path / "log.csv").write_text(whole + rest)
        assert run_files.log_of(str(tmp_path)) == rows


def test_the_command_writes_text_csv_and_json(call, runs):
    code, out, _ = call("runs", runs / "a", runs / "more", "--sort=-learning_rate")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 4 and lines[0].startswith("run ")
    assert lines[-1].startswith(str(runs / "more/b")) and "1e-30" in lines[-1]
    rows = list(csv.DictReader(io.StringIO(call("runs", runs, "--format=csv")[1])))
    assert [row["learning_rate"] for row in rows] == ["0.05", "1e-30", "0.05"]
    assert json.loads(call("runs", runs, "--format=json")[1])[2]["ended"] is False
    for arguments, message in (
        ([], "runs needs a directory"),
        (["/none"], "no directory /none"),
        ([runs / "a" / "best"], "no directory"),
        ([runs, "--sort=speed"], "--sort=speed: the columns"),
    ):
        code, _, error = call("runs", *arguments)
        assert code == 2 and message in error
