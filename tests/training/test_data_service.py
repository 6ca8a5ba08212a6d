"""Training whose batches other processes make, which may be lost."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from slimnets.training import train
from slimnets.training.input_profile import Waits
from tests.training.cluster import (
    ROOT,
    finish,
    free_ports,
    start_process,
    wait_for_checkpoint,
)
from tests.training.runs import final, saved_step

SETTINGS = {
    "model_name": "tiny", "dataset_name": "digits", "batch_size": 32,
    "max_number_of_steps": 300, "learning_rate": 0.05, "save_interval_steps": 10,
}  # fmt: skip


def start(part, **given):
    """Starts a part of the service; returns its process once it listens."""
    options = [f"--{name}={value}" for name, value in given.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "slimnets", "data-service", part, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert f"{part} listens at" in process.stderr.readline()
    return process


@pytest.fixture
def service(tmp_path):
    """Starts parts of one service, by name."""
    (port,) = free_ports(1)
    started = []

    def begin(part):
        of = {"dispatcher": {"port": port, "work_dir": tmp_path / "service"},
              "worker": {"dispatcher": f"localhost:{port}"}}  # fmt: skip
        started.append(start(part, **of[part]))
        return started[-1]

    begin.address = f"grpc://localhost:{port}"
    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.slow
def test_one_worker_trains_as_none_and_a_signal_ends_it(config, service):
    alone = config("alone", **{**SETTINGS, "max_number_of_steps": 20})
    train(alone, show=False)
    dispatcher, worker = service("dispatcher"), service("worker")
    served = config(
        "served",
        **{**SETTINGS, "max_number_of_steps": 20, "data_service": service.address},
    )
    train(served, show=False)
    ones, others = final(alone), final(served)
    for name in ones:
        np.testing.assert_array_equal(others[name], ones[name])
    for process in (worker, dispatcher):
        process.terminate()
        assert process.wait() == 0


@pytest.mark.slow
def test_a_run_goes_on_when_a_worker_and_the_dispatcher_are_lost(config, service):
    alone = train(config("alone", **SETTINGS), show=False).evaluation
    dispatcher, workers = service("dispatcher"), [service("worker"), service("worker")]
    run = config("served", **SETTINGS)
    process = start_process(
        {**SETTINGS, "train_dir": run.train_dir, "data_service": service.address}
    )
    wait_for_checkpoint(run.train_dir, [process], after=20)
    workers[0].kill()
    wait_for_checkpoint(run.train_dir, [process], after=saved_step(run.train_dir) + 60)
    dispatcher.kill()
    dispatcher.wait()
    service("dispatcher")
    ((out, err),) = finish([process])
    assert process.returncode == 0, err
    accuracy = float(re.search(r"accuracy ([0-9.]+) %", out)[1])
    assert accuracy > 100 * alone.accuracy - 3
    assert re.search(r"steps waited \d+ % of their time for the input", err)


def test_waits_are_counted_where_the_input_is_slow(tmp_path):
    def slow(value):
        time.sleep(0.05)
        return value

    batches = tf.data.Dataset.range(100).map(
        lambda value: tf.ensure_shape(tf.numpy_function(slow, [value], tf.int64), [])
    )
    for dataset, limit in ((batches, "input"), (tf.data.Dataset.range(100), "device")):
        waits, began = Waits(), time.monotonic()

        @tf.function(autograph=False)
        def take(iterator, number, waits=waits):
            def add(taken, total):
                return taken + 1, total + waits.next_of(iterator)

            nothing = tf.constant(0), tf.constant(0, tf.int64)
            return tf.while_loop(lambda taken, _: taken < number, add, nothing)[1]

        assert int(take(iter(dataset), 8)) == 28
        if limit == "device":
            time.sleep(1.0)
        seconds = time.monotonic() - began
        assert waits.verdict(seconds).endswith(
            f"the {limit} is what limits their speed"
        ), waits.verdict(seconds)
    assert float(Waits()._seconds) == 0


def test_the_clock_is_read_before_a_step_begins():
    """On one thread it would be read when the step is done, and count as waiting."""
    waits = Waits()
    pairs = tf.data.Dataset.range(4).map(lambda value: (value, {"twice": 2 * value}))
    element = pairs.element_spec

    @tf.function(input_signature=[tf.data.IteratorSpec(element)])
    def take(iterator):
        return waits.next_of(iterator)

    value, rest = take(iter(pairs))
    assert int(value) == 0 and int(rest["twice"]) == 0
    # The function's own outputs stand behind one more identity.
    for output in take.get_concrete_function().outputs:
        [before] = output.op.inputs[0].op.control_inputs
        assert before.type == "Timestamp"
