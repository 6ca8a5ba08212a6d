"""The table's networks beside timm's and torchvision's own: names and shapes of all
variables, of which neither side is given values."""

import importlib.util
import json
import subprocess
import sys

import pytest

import slimnets
from slimnets.checkpoints.base import WeightsReader
from slimnets.checkpoints.matching import Request, match
from slimnets.checkpoints.networks import variable_specs
from slimnets.weights import list_weights

ROWS = {(row.source, row.network): row for row in list_weights("t*/*")}
ROWS = {key: row for key, row in ROWS.items() if key[0] != "tf-slim"}
# In a process of its own: torchvision and TensorFlow do not share one.
PROGRAM = """
import importlib, json, sys
import torch
from tests.timm_names import TIMM_NAMES

package = importlib.import_module(sys.argv[1])
make = package.create_model if sys.argv[1] == "timm" else package.models.get_model
with torch.device("meta"):
    for network in sys.argv[2:]:
        state = make(TIMM_NAMES.get(network, network)).state_dict()
        print(json.dumps([network, {n: list(v.shape) for n, v in state.items()}]))
"""

pytestmark = pytest.mark.slow


class Shapes(WeightsReader):
    """A file of torch's without values."""

    kind = "torch"

    def read(self, name):
        raise NotImplementedError


@pytest.fixture(scope="module", params=["timm", "torchvision"])
def source(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"needs {request.param}")
    return request.param


@pytest.fixture(scope="module")
def shapes(source):
    """Of every network of the source."""
    networks = [network for of, network in ROWS if of == source]
    command = [sys.executable, "-c", PROGRAM, source, *networks]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == len(networks)
    return dict(map(json.loads, lines))


def test_every_variable_has_its_tensor(source, shapes):
    wrong = {}
    for network, theirs in shapes.items():
        function = slimnets.network_info(network).network
        specs = variable_specs(function, ROWS[source, network].classes)
        found = match(Shapes("x", theirs), specs, Request(network=function))
        if not found.report.complete:
            wrong[network] = str(found.report)
    assert not wrong
