"""What the tests of training share: tiny networks, settings, signals."""

import contextlib
import signal

import pytest

from slimnets import factory
from slimnets.training import TrainingConfig, train_dir
from tests.training.runs import NETWORKS


@pytest.fixture(autouse=True)
def own_networks(monkeypatch):
    for network in NETWORKS:
        name = network.__name__
        info = factory.NetworkInfo(name, network, default_image_size=8)
        monkeypatch.setitem(factory._NETWORKS, name, info)


@pytest.fixture
def config(tmp_path):
    def make(name="run", **changes):
        values = {
            "model_name": "tiny",
            "train_dir": str(tmp_path / name),
            "batch_size": 100,
            "learning_rate": 0.05,
            "save_interval_steps": 10,
            "log_every_n_steps": 7,
        }
        if "number_of_epochs" not in changes:
            values["max_number_of_steps"] = 24
        return TrainingConfig(**{**values, **changes})

    return make


@pytest.fixture
def stop_at():
    """A context in which a signal comes while the checkpoint of a step is written."""

    @contextlib.contextmanager
    def stopping(step, signum=signal.SIGTERM):
        save = train_dir.TrainDir.save
        signals = [signum]

        def saving(self, at):
            if at == step and signals:
                signal.raise_signal(signals.pop())
            return save(self, at)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train_dir.TrainDir, "save", saving)
            yield

    return stopping
