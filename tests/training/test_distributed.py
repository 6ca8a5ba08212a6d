"""Several processes and several devices, against one."""

import csv
import json
import os
import signal

import numpy as np
import pytest

from slimnets.checkpoints import read_checkpoint
from slimnets.training import strategies, train
from slimnets.training.cluster import CLUSTER, set_cluster
from slimnets.training.run import Run
from slimnets.training.task import Classification
from tests.training.cluster import (
    finish,
    free_ports,
    start_process,
    start_workers,
    wait_for_checkpoint,
)
from tests.training.runs import final

SETTINGS = {
    "model_name": "plain",
    "batch_size": 64,
    "max_number_of_steps": 20,
    "learning_rate": 0.05,
    "log_every_n_steps": 1,
    "save_interval_steps": 10,
    "moving_average_decay": 0.9,
    "accumulation_steps": 2,
    "gradient_clip_norm": 5.0,
    "mixup_alpha": 0.2,
}


def losses(train_dir):
    with open(os.path.join(train_dir, "log.csv"), encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_two_devices_train_as_one(config, mirrored):
    one = config("one", **SETTINGS)
    two = config("two", **SETTINGS)
    train(one, show=False)
    train(two, strategy=mirrored, show=False)
    np.testing.assert_allclose(losses(two.train_dir), losses(one.train_dir), atol=1e-4)
    ones, twos = final(one), final(two)
    for name in ones:
        np.testing.assert_allclose(twos[name], ones[name], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_processes_train_as_one(config):
    one = config("one", **SETTINGS)
    evaluation = train(one, show=False).evaluation
    two = config("two", **SETTINGS)
    processes = start_workers({**SETTINGS, "train_dir": two.train_dir}, 2)
    results = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], results
    # Both measure; only the chief shows progress and writes.
    for out, _ in results:
        correct = int(out.split("(")[1].split()[0])
        assert abs(correct - evaluation.correct) <= 2
    assert "plain: 64 images a step, 4 x 16, learning rate 0.05" in results[0][1]
    assert "images a step" not in results[1][1]
    found, wanted = losses(two.train_dir), losses(one.train_dir)
    assert len(found) == len(wanted) == 20
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
def test_one_worker_that_is_asked_to_stop_stops_all(config):
    settings = {**SETTINGS, "max_number_of_steps": 100_000, "log_every_n_steps": 100,
                "save_interval_steps": 50}  # fmt: skip
    run = config("two", **settings)
    processes = start_workers({**settings, "train_dir": run.train_dir}, 2)
    wait_for_checkpoint(run.train_dir, processes)
    processes[1].send_signal(signal.SIGTERM)
    results = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], results
    step = int(read_checkpoint(run.train_dir)["global_step"])
    for _, err in results:
        assert f"stopped at step {step} of 100000" in err


@pytest.mark.slow
def test_workers_end_early_together(config):
    """Their weights stand still: the second evaluation is no better."""
    settings = {**SETTINGS, "learning_rate": 1e-30, "weight_decay": 0.0,
                "learning_rate_decay_type": "fixed", "model_name": "tiny",
                "max_number_of_steps": 1000, "eval_interval_steps": 5,
                "early_stop_patience": 2, "recalibrate_batches": 1}  # fmt: skip
    run = config("two", **settings)
    for _ in range(2):  # The same command says so again.
        processes = start_workers({**settings, "train_dir": run.train_dir}, 2)
        results = finish(processes)
        assert [process.returncode for process in processes] == [0, 0], results
        assert "tiny: ends early at step 15" in results[0][1]
        assert "ends early" not in results[1][1]
        assert int(read_checkpoint(run.train_dir)["global_step"]) == 15


# Clusters.


@pytest.fixture
def no_cluster(monkeypatch):
    monkeypatch.delenv(CLUSTER, raising=False)


def test_workers_become_the_environments_cluster(no_cluster, monkeypatch):
    monkeypatch.setenv(CLUSTER, "")
    found = set_cluster("multi_worker", workers="a:1, b:2", task_index=1)
    cluster = json.loads(os.environ[CLUSTER])
    assert cluster == {
        "cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}
    }  # fmt: skip
    assert cluster == found
    assert set_cluster("multi_worker", workers="a:1,b:2", task_index=1) == found
    assert set_cluster("multi_worker", workers="a:1, b:2,", task_index=1) == found
    assert set_cluster("multi_worker") == found
    with pytest.raises(ValueError, match="give one of them"):
        set_cluster("multi_worker", workers="a:1,b:2", task_index=0)


def test_a_cluster_must_be_given(no_cluster):
    with pytest.raises(ValueError, match="needs workers=host:port"):
        strategies.make_strategy("multi_worker")


def slurm(nodes, tasks, process, port="2222"):
    return {
        "SLURM_STEP_NODELIST": nodes, "SLURM_STEP_TASKS_PER_NODE": tasks,
        "SLURM_PROCID": str(process), "SLIMNETS_PORT": port,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cluster", "variables", "workers", "index"),
    [
        ("slurm", slurm("gpu[08-10],login", "1(x4)", 2),
         ["gpu08:2222", "gpu09:2222", "gpu10:2222", "login:2222"], 2),
        ("slurm", slurm("n[1-2,7]-x[3,5].org", "2(x2),1,3,1(x2)", 9, "70"),
         ["n1-x3.org:70", "n1-x3.org:71", "n1-x5.org:70", "n1-x5.org:71",
          "n2-x3.org:70", "n2-x5.org:70", "n2-x5.org:71", "n2-x5.org:72",
          "n7-x3.org:70", "n7-x5.org:70"], 9),
        ("k8s", {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": "digits-1",
                 "SLIMNETS_SERVICE": "digits", "SLIMNETS_WORKERS": "3"},
         ["digits-0.digits:2222", "digits-1.digits:2222", "digits-2.digits:2222"], 1),
    ],
)  # fmt: skip
def test_schedulers_tell_the_cluster(
    no_cluster, monkeypatch, cluster, variables, workers, index
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(CLUSTER, "")
    found = set_cluster("multi_worker", cluster=cluster)
    assert json.loads(os.environ[CLUSTER]) == found
    assert found["cluster"] == {"worker": workers}
    assert found["task"] == {"type": "worker", "index": index}
    for name in variables.keys() - {"SLIMNETS_PORT"}:
        with monkeypatch.context() as patch:
            patch.delenv(name)
            with pytest.raises(ValueError, match=f"cluster={cluster} needs.*{name},"):
                set_cluster("multi_worker", cluster=cluster)
    monkeypatch.setenv("SLIMNETS_PORT", "grpc")
    with pytest.raises(ValueError, match=r"SLIMNETS_PORT='grpc'.*no whole number"):
        set_cluster("multi_worker", cluster=cluster)


@pytest.mark.slow
def test_a_run_that_slurm_starts(config, monkeypatch):
    settings = {**SETTINGS, "strategy": "multi_worker", "cluster": "slurm"}
    run = config("two", **SETTINGS)
    port = min(free_ports(2))
    processes = []
    for process in range(2):
        for name, value in slurm("127.0.0.1", "2", process, str(port)).items():
            monkeypatch.setenv(name, value)
        processes.append(start_process({**settings, "train_dir": run.train_dir}))
    results = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], results
    assert "64 images a step, 4 x 16" in results[0][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategy": "two"}, "one, mirrored, multi_worker, tpu, parameter_server"),
        ({"workers": "a:1"}, "no effect without strategy=multi_worker"),
        ({"task_index": 1}, "no effect without workers"),
        ({"tpu": "x"}, "no effect without strategy=tpu"),
        ({"strategy": "multi_worker", "workers": "a:1,b:2", "task_index": 2}, "0 to 1"),
        ({"strategy": "multi_worker", "workers": "a:1,b:2"}, "task_index=None"),
        ({"cluster": "slurm"}, "no effect without strategy=multi_worker"),
        ({"strategy": "multi_worker", "cluster": "k8s", "task_index": 1},
         "task_index=1 is of no effect with cluster=k8s"),
    ],
)  # fmt: skip
def test_wrong_clusters_are_explained(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_a_tpu_is_connected_to_or_missed(monkeypatch):
    """There is none here: what would be called, is."""
    called = []

    def resolver(address):
        if address == "none":
            raise OSError("no such\nhost")
        called.append(address)
        return address

    for name in (
        "config.experimental_connect_to_cluster",
        "tpu.experimental.initialize_tpu_system",
        "distribute.TPUStrategy",
    ):
        monkeypatch.setattr(
            f"tensorflow.{name}", lambda found, name=name: called.append(name) or name
        )
    monkeypatch.setattr(
        "tensorflow.distribute.cluster_resolver.TPUClusterResolver", resolver
    )
    assert strategies.make_strategy("tpu") == "distribute.TPUStrategy"
    assert called[0] == "local" and len(called) == 4
    strategies.make_strategy("tpu", tpu="grpc://x")
    assert called[4] == "grpc://x"
    with pytest.raises(
        ConnectionError, match="Cannot reach the TPU none: no such host"
    ):
        strategies.make_strategy("tpu", tpu="none")


def test_mirrored_is_one_strategy_for_all_runs_of_a_process(monkeypatch):
    made = []
    monkeypatch.setattr(
        "tensorflow.distribute.MirroredStrategy", lambda: made.append(1) or object()
    )
    strategies._mirrored.cache_clear()
    try:
        first = strategies.make_strategy("mirrored")
        assert strategies.make_strategy("mirrored") is first and made == [1]
    finally:
        strategies._mirrored.cache_clear()


def test_a_step_is_divided_without_a_rest(config, mirrored):
    """Two replicas with two parts see the four quarters of what one would see."""
    run = Run(config(accumulation_steps=2), Classification(), mirrored)
    batches = iter(run.batches(3))
    quarters = []
    for _ in range(2):
        inputs, _ = next(batches)
        quarters += [t.numpy() for t in mirrored.experimental_local_results(inputs)]
    whole = next(iter(Classification().batches(config(), 3, None)))[0].numpy()
    np.testing.assert_array_equal(np.concatenate(quarters), whole)
