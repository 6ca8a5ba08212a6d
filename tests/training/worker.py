"""One process of a run, started by the tests: python worker.py FLAGS_AS_JSON.

It is the command `slimnets train`, which here knows the tests' networks too.
"""

import json
import sys

from slimnets.cli import main
from slimnets.factory import register_network
from tests.training.runs import plain, tiny


def train(flags: dict) -> int:
    for network in (plain, tiny):
        register_network(network)
    given = [f"--{name}={value}" for name, value in flags.items()]
    return main.main(["train", *given])


if __name__ == "__main__":
    sys.exit(train(json.loads(sys.argv[1])))
