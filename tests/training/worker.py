"""One process of a run, started by the tests: python worker.py SETTINGS_AS_JSON."""

import json
import sys

from slimnets import factory
from slimnets.training import TrainingConfig, strategies, train
from tests.training.runs import plain


def main(settings: dict) -> None:
    cluster = {name: settings.get(name) for name in ("workers", "task_index")}
    strategy = strategies.make_strategy("multi_worker", **cluster)
    factory._NETWORKS["plain"] = factory.NetworkInfo(
        "plain", plain, default_image_size=8
    )
    config = TrainingConfig(strategy="multi_worker", **settings)
    print(train(config, strategy=strategy).evaluation)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
