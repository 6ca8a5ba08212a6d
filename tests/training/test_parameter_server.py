"""Training by parameter servers: roles, refusals, shares of the data, and a run."""

import csv
import json
import os
import signal
import socket
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from slimnets.cli import main
from slimnets.tasks.head_config import DetectionConfig
from slimnets.training import TrainingConfig, parameter_server, strategies, train
from slimnets.training.cluster import CLUSTER, set_cluster
from slimnets.training.evaluation import evaluate_checkpoint
from slimnets.training.signals import TrainingInterrupted
from slimnets.training.task import Classification
from tests.helpers import write_png
from tests.training.cluster import (
    addresses,
    finish,
    free_ports,
    parameter_server_flags,
    start_process,
)

ASYNCHRONOUS = "parameter_server"
ROLES = {
    "chief": "a:1", "workers": "b:1, b:2", "parameter_servers": "c:1",
    "task_type": "worker", "task_index": 1,
}  # fmt: skip


# What is refused.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulation_steps": 2}, r"accumulation_steps=2 .*Allowed is 1\."),
        ({"moving_average_decay": 0.9}, r"moving_average_decay=0.9 .*is None"),
        ({"recalibrate_batches": 3}, r"recalibrate_batches=3 .*is 0"),
        ({"precision": "float16"}, r"precision='float16' .*'float32' or 'bfloat16'"),
        ({"jit": True}, r"jit=True .*is False"),
        ({"image_summaries": 2}, r"image_summaries=2 .*is 0"),
        ({"graph_summary": True}, r"graph_summary=True .*is False"),
    ],
)
def test_what_asynchronous_updates_cannot_keep_is_refused(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(strategy=ASYNCHRONOUS, **changes)


def test_images_that_python_reads_are_refused(config, tmp_path):
    for name in ("one", "two"):
        for index in range(10):
            path = tmp_path / "images" / name / f"{index}.png"
            write_png(path, np.zeros([8, 8, 3], np.uint8))
    with pytest.raises(ValueError, match=r"dataset_name='folder' .*in memory"):
        config(
            strategy=ASYNCHRONOUS,
            dataset_name="folder",
            dataset_dir=str(tmp_path / "images"),
        )


def test_composed_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is not for images that Python makes"):
        DetectionConfig(
            model_name="resnet18", train_dir=str(tmp_path), strategy=ASYNCHRONOUS
        )


def test_determinism_cannot_be_asked_for(tmp_path, capsys):
    code = main.main([
        "train", "--model_name=lenet", f"--train_dir={tmp_path}",
        f"--strategy={ASYNCHRONOUS}", "--deterministic",
    ])  # fmt: skip
    assert code == 2
    assert "--deterministic is of no effect" in capsys.readouterr().err


# Roles.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chief": None}, "lacks chief: give chief, workers"),
        ({"workers": None}, "lacks workers"),
        ({"parameter_servers": None}, "lacks parameter_servers"),
        ({"task_type": None}, "lacks task_type"),
        ({"task_type": "evaluator"}, "one of chief, worker, ps; the chief evaluates"),
        ({"chief": "a:1,a:2"}, "must be one host:port"),
        ({"task_type": "chief"}, "task_index=1 is of no effect with task_type=chief"),
        ({"task_index": 2}, "0 to 1"),
        ({"task_index": None}, "task_index=None.*0 to 1"),
        ({"task_type": "ps"}, "parameter_servers='c:1'.*0 to 0"),
        ({"tpu": "x"}, "tpu='x' is of no effect without strategy=tpu"),
        ({"strategy": "multi_worker"}, "'a:1' is of no effect without strategy=param"),
    ],
)
def test_wrong_roles_are_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**{"strategy": ASYNCHRONOUS, **ROLES, **changes})


@pytest.fixture
def environment(monkeypatch):
    """Sets TF_CONFIG, as long as a test lasts."""

    def change(cluster):
        monkeypatch.setenv(CLUSTER, json.dumps(cluster) if cluster else "")

    change(None)
    return change


def test_roles_become_the_environments_cluster(environment):
    jobs = {"chief": ["a:1"], "worker": ["b:1", "b:2"], "ps": ["c:1"]}
    found = set_cluster(ASYNCHRONOUS, **ROLES)
    assert found == json.loads(os.environ[CLUSTER])
    assert found == {"cluster": jobs, "task": {"type": "worker", "index": 1}}
    assert set_cluster(ASYNCHRONOUS) == found
    environment(None)
    chief = {**ROLES, "task_type": "chief", "task_index": None}
    assert set_cluster(ASYNCHRONOUS, **chief)["task"] == {"type": "chief", "index": 0}
    with pytest.raises(ValueError, match=r"differ from the environment's.*give one"):
        set_cluster(ASYNCHRONOUS, **ROLES)


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        (None, "needs chief=host:port, workers=.* or the environment variable"),
        ({"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}, "has no ps"),
        ({"cluster": {"ps": ["a:1"], "worker": ["b:1"]}}, "has no chief"),
        (
            {
                "cluster": {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]},
                "task": {"type": "evaluator", "index": 0},
            },
            "task type 'evaluator'.*the chief evaluates",
        ),
        (
            {
                "cluster": {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]},
                "task": {"type": "worker"},
            },
            "index None.*one of 1 of the type worker, counted from 0",
        ),
        (["a:1"], "is not a JSON object"),
    ],
)
def test_a_wrong_environment_is_explained(environment, cluster, message):
    environment(cluster)
    with pytest.raises(ValueError, match=message):
        set_cluster(ASYNCHRONOUS)


def test_only_the_chief_trains(environment):
    with pytest.raises(ValueError, match=r"This process is worker 1: only the chief"):
        strategies.make_strategy(ASYNCHRONOUS, **ROLES)


# A worker or a parameter server, without TensorFlow's server.


@pytest.fixture
def serve(monkeypatch, tmp_path):
    monkeypatch.setattr(tf.distribute, "Server", lambda *args, **kwargs: None)
    monkeypatch.setattr(parameter_server, "_SECONDS_BETWEEN_LOOKS", 0.01)

    def run(chief):
        jobs = {"chief": [chief], "worker": ["127.0.0.1:1"], "ps": ["127.0.0.1:2"]}
        cluster = {"cluster": jobs, "task": {"type": "ps", "index": 0}}
        return parameter_server.serve(cluster, str(tmp_path))

    return run


def test_a_process_serves_until_it_is_told_the_end(serve, tmp_path):
    old, new = tmp_path / ".ended-ps-0", "stopped at step 3"
    old.write_text("that of another run")

    def tell():
        while old.exists():
            time.sleep(0.01)
        with old.open("w") as file:
            for part in (new[:5], new[5:], "\n"):
                file.write(part)
                file.flush()
                time.sleep(0.05)

    thread = threading.Thread(target=tell)
    thread.start()
    assert serve(addresses(1)) == new
    thread.join()
    assert not old.exists()


def test_a_process_does_not_wait_for_the_chief_for_ever(serve, monkeypatch):
    assert parameter_server.SECONDS_WITHOUT_CHIEF == 600
    monkeypatch.setattr(parameter_server, "SECONDS_WITHOUT_CHIEF", 0.05)
    with pytest.raises(ConnectionError, match=r"The chief at .* is away for 0.05 s"):
        serve(addresses(1))


def test_a_signal_ends_a_process_that_serves(serve):
    threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
    with pytest.raises(TrainingInterrupted, match=r"stopped ps 0 at") as caught:
        serve(addresses(1))
    assert caught.value.exit_code == 0


def test_an_address_in_use_is_explained(tmp_path):
    (port,) = free_ports(1)
    jobs = {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}
    cluster = {
        "cluster": {**jobs, "ps": [f"127.0.0.1:{port}"]},
        "task": {"type": "ps", "index": 0},
    }
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ConnectionError, match=f"Cannot listen at 127.0.0.1:{port}"),
    ):
        parameter_server.serve(cluster, str(tmp_path))


# The data.


@pytest.mark.parametrize("changes", [{}, {"mixup_alpha": 0.2}])
def test_the_workers_shares_make_up_a_round(config, changes):
    """A round of three workers is what one process reads at three times the size."""

    def read(size, context):
        rounds = config(batch_size=size, seed=3, **changes)
        return Classification().batches(rounds, 4, context)

    whole = read(60, None)
    # As on a worker, the index is known only when it runs.
    shares = tf.data.Dataset.range(3).flat_map(
        lambda index: parameter_server.share_of(read, 3, index, 20).take(1)
    )
    assert [spec.shape[0] for spec in shares.element_spec] == [20, 20]
    for found, wanted in zip(zip(*shares, strict=True), next(iter(whole)), strict=True):
        np.testing.assert_array_equal(np.concatenate(found), wanted)


# The whole.


@pytest.mark.slow
def test_two_workers_and_a_parameter_server_train(config, tmp_path, monkeypatch):
    settings = {
        "model_name": "tiny", "train_dir": str(tmp_path / "run"), "batch_size": 50,
        "learning_rate": 0.05, "max_number_of_steps": 120, "save_interval_steps": 40,
        "eval_interval_steps": 40, "log_every_n_steps": 10, "gradient_clip_norm": 5.0,
        "random_flip": False, "mixup_alpha": 0.1,
    }  # fmt: skip
    roles = parameter_server_flags(settings)
    processes = [start_process(flags) for flags in roles.values()]
    results = finish(processes)
    assert [process.returncode for process in processes] == [0] * 4, results
    said = dict(zip(roles, results, strict=True))
    for kind, index in list(roles)[1:]:
        assert said[kind, index][0] == f"{kind} {index}: the run has ended: finished\n"
    assert (
        "tiny: 50 images a step, each an asynchronous update by one of 2 workers, "
        "learning rate 0.05\n"
    ) in said["chief", 0][1]
    with open(tmp_path / "run" / "log.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(10, 121, 10))
    losses = [float(row["loss"]) for row in rows]
    assert np.mean(losses[-3:]) < 0.6 * losses[0]
    # The schedule has gone to its end.
    assert float(rows[-1]["learning_rate"]) == pytest.approx(0, abs=1e-6)
    # Its checkpoint is any other's: it is measured, and another run begins with it.
    evaluation, prefix = evaluate_checkpoint(settings["train_dir"])
    assert prefix.endswith("model.ckpt-120")
    assert f"{evaluation}" in said["chief", 0][0]
    assert evaluation.summaries["test_accuracy"] > 0.8
    other = TrainingConfig(
        model_name="tiny", train_dir=str(tmp_path / "other"), max_number_of_steps=1,
        learning_rate=1e-6, checkpoint_path=prefix,
    )  # fmt: skip
    again = train(other, show=False).evaluation
    assert abs(again.correct - evaluation.correct) <= 10
