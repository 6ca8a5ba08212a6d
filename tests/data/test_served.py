"""Batches of a data service are those of the run without one."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import data
from slimnets.data.input_config import InputConfig
from slimnets.data.input_stages import input_stages
from slimnets.data.served import STEPS, check_reachable, served
from tests.helpers import write_png

SERVICE = tf.data.experimental.service
BATCH, CLASSES, EACH = 4, 2, 21


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("images")
    for number in range(CLASSES * EACH):
        picture = rng.integers(0, 256, (6, 6, 3), np.uint8)
        write_png(folder / f"class{number % CLASSES}" / f"{number}.png", picture)
    return folder


@pytest.fixture(scope="module")
def dispatcher():
    return SERVICE.DispatchServer(SERVICE.DispatcherConfig())


def worker(dispatcher):
    address = dispatcher.target.partition("://")[2]
    return SERVICE.WorkerServer(SERVICE.WorkerConfig(address))


def batches_of(config, **options):
    def batches(step, python=True):
        return data.training_batches(
            config, batch_size=BATCH, seed=3, image_size=6, first_step=step,
            python=python, **options,
        )  # fmt: skip

    return batches


def some(batches, number):
    return [
        tuple(part.tobytes() for part in batch)
        for batch in batches.take(number).as_numpy_iterator()
    ]


@pytest.mark.parametrize("kind", ["folder", "records", "digits"])
def test_one_worker_gives_the_batches_of_the_run_without_it(
    kind, folder, dispatcher, tmp_path
):
    options, where = {}, str(folder)
    if kind == "records":
        where = str(tmp_path)
        data.make_records(str(folder), where, num_shards=3, num_threads=1)
    if kind == "folder":
        options["mixup_alpha"] = 0.2
    where = {} if kind == "digits" else {"dataset_dir": where}
    config = InputConfig(
        dataset_name=kind, preprocessing_name="cifar", train_image_size=6,
        random_flip=True, **where, **options,
    )  # fmt: skip
    batches = batches_of(config)
    first, number = 7, 2 * STEPS + 3  # From within an epoch to within a later one.
    server = worker(dispatcher)
    made = served(lambda step: batches(step, python=False), first, dispatcher.target)
    assert made.element_spec == batches(first).element_spec
    assert some(made, number) == some(batches(first), number)
    del server


def test_two_workers_give_each_steps_batch_once(dispatcher):
    batches = batches_of(InputConfig(preprocessing_name="plain", train_image_size=6))
    servers = [worker(dispatcher) for _ in range(2)]
    made = served(lambda step: batches(step, python=False), 0, dispatcher.target)
    found, steps = some(made, 4 * STEPS), some(batches(0), 12 * STEPS)
    assert len({*found}) == len(found) and {*found} <= {*steps}
    assert len(servers) == 2


def test_a_service_that_is_not_there_is_an_error():
    for wrong in ("localhost:1", "grpc://localhost", "grpc://:1", "grpc://a:b"):
        with pytest.raises(ValueError, match="is not grpc://host:port"):
            check_reachable(wrong)
    with pytest.raises(ConnectionError, match=r"Nobody answers at data_service=grpc"):
        check_reachable("grpc://127.0.0.1:1", seconds=0)


def test_stages_of_an_input_give_as_many_images(folder):
    config = InputConfig(dataset_name="folder", dataset_dir=str(folder))
    stages = input_stages(config, batch_size=5)
    assert [name for name, *_ in stages] == ["read", "decode"]
    read, decoded = (next(iter(stage)).numpy() for _, stage, _ in stages)
    assert read.shape == decoded.shape == (5,)
    sums = [tf.reduce_sum(tf.cast(tf.io.decode_png(png), tf.int32)) for png in read]
    assert decoded.tolist() == [int(value) for value in sums]
    assert input_stages(InputConfig()) == []
