"""The commands that train and evaluate, in this process."""

import json
import os

import pytest
import tensorflow as tf

import slimnets
from slimnets.training import TrainingConfig
from tests.training.runs import final

TRAIN = ["train", "--model_name=tiny", "--max_number_of_steps=3", "--batch_size=100"]


def test_a_run_is_trained_and_evaluated_by_commands(call, tmp_path):
    code, out, err = call(*TRAIN, f"--train_dir={tmp_path}", "--keep_best",
                          "--eval_interval_steps=2", "--moving_average_decay=0.5",
                          "--learning_rate_per_256")  # fmt: skip
    assert code == 0 and "tiny: step 2, accuracy" in err
    trained = out.splitlines()[-1]
    code, out, _ = call("evaluate", f"--checkpoint_path={tmp_path}",
                        f"--output={tmp_path / 'report'}")  # fmt: skip
    *_, others, last = out.splitlines()
    assert code == 0 and last.split(",")[0] == trained.split(",")[0]
    assert others.startswith("top5_accuracy 0.") and "calibration_error" in others
    classes = (tmp_path / "report" / "classes.csv").read_text().splitlines()
    assert (
        classes[0]
        == "class,name,examples,correct,recall,precision,f1,average_precision"
    )
    assert len(classes) == 11
    report = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert report["total"] == 360
    code, out, _ = call("evaluate", f"--checkpoint_path={tmp_path}", "--noaverages",
                        "--dataset_split_name=train")  # fmt: skip
    assert code == 0 and "of 1437 train examples" in out.splitlines()[-1]


def test_rules_of_flags_are_those_of_the_run(call, tmp_path):
    file = tmp_path / "rules.json"
    file.write_text('{"tiny/conv1": {"activation_fn": "swish"}}')
    run = f"--train_dir={tmp_path / 'run'}"
    rules = (f"--rules={file}", "--rule=tiny/logits:weight_transform=lora")
    code, out, err = call(*TRAIN, run, *rules)
    assert code == 0, err
    code, again, _ = call("evaluate", f"--checkpoint_path={tmp_path / 'run'}")
    assert again.splitlines()[-1].split(",")[0] == out.splitlines()[-1].split(",")[0]
    (written,) = (tmp_path / "run").glob("*-3.json")
    assert json.loads(written.read_text())["rules"] == [
        ["tiny/conv1", {"activation_fn": "swish"}],
        ["tiny/logits", {"weight_transform": "lora"}],
    ]
    file.unlink()
    code, _, err = call("train", run, "--max_number_of_steps=4")
    assert code == 0, err
    code, _, err = call(*TRAIN, f"--train_dir={tmp_path / 'b'}", "--rule=conv9:rate=2")
    assert code == 2 and "'conv9'" in err and "tiny/conv1" in err


def test_the_deterministic_flag_reaches_tensorflow(call, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: asked.append(True)
    )
    assert call(*TRAIN, f"--train_dir={tmp_path}", "--deterministic")[0] == 0
    assert asked and final(TrainingConfig(model_name="tiny", train_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--checkpoint_path=x", "--plot"], "no effect without --output"),
        (["predict", "--input=x"], "predict needs --checkpoint_path"),
        ([*TRAIN, "--train_dir=x", "--workers=a:1"], "without --strategy=multi_worker"),
        ([*TRAIN, "--train_dir=x", "--keep_best"], "without --eval_interval_steps"),
        (
            [*TRAIN, "--train_dir=x", "--decay_steps=5"],
            "--learning_rate_decay_type=steps",
        ),
    ],
)
def test_wrong_flags_are_one_line_and_exit_code_2(call, arguments, message):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_evaluate_says_that_a_runs_images_are_elsewhere(call, tmp_path):
    model = slimnets.Model("lenet", num_classes=2)
    model.build([None, 28, 28, 1])
    config = {"dataset_name": "folder", "dataset_dir": "photos of last year"}
    metadata = {"model_name": "lenet", "dataset_name": "folder", "config": config}
    slimnets.save_weights(tmp_path / "model", model, metadata)
    code, _, err = call("evaluate", f"--checkpoint_path={tmp_path / 'model'}")
    assert code == 2 and "was trained on photos of last year, which is not there" in err
    assert f"seen from {os.getcwd()}: give --dataset_dir" in err
