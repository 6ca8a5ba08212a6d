"""How often paths are dropped: by depth, and in NASNet by the step, too."""

import numpy as np
import pytest
import tensorflow as tf

from slimnets import Block, units
from slimnets.nets import nasnet
from slimnets.rows.cells import _drop_path
from slimnets.rows.stage import with_drop_path
from tests.helpers import run_graph


@pytest.mark.parametrize("step", [None, 0, 300_000, 600_000, 900_000])
def test_nasnet_drops_more_the_deeper_and_the_later(step):
    """arXiv:1707.07012, appendix A.4: linearly to 0.4 at the last cell and step."""
    config = nasnet.cifar_config()
    assert (config.drop_path_keep_prob, config.total_training_steps) == (0.6, 937500)
    number = config.total_cells - 2

    def build():
        current = None if step is None else tf.constant(step)
        drop = _drop_path(config, True, current, makes_step=False)
        return drop(tf.ones([40_000, 1, 1, 2]), number)

    outputs = run_graph(build).reshape(-1, 2)
    # Without a step in the graph they are dropped as in the end.
    progress = 1 if step is None else step / 937500
    dropped = progress * (number + 1) / config.total_cells * 0.4
    assert np.mean(outputs[:, 0] == 0) == pytest.approx(dropped, abs=0.01)
    np.testing.assert_array_equal(outputs[:, 0], outputs[:, 1])
    np.testing.assert_allclose(np.unique(outputs)[-1], 1 / (1 - dropped), rtol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_rate_rises_from_none_at_the_first_unit(number):
    blocks = [Block("block1", units.basic_v2, [{"depth": 8}] * number)]
    (block,) = with_drop_path(blocks, 0.2, lambda unit_fn: True)
    rates = [unit["drop_path_rate"] for unit in block.unit_kwargs()]
    np.testing.assert_allclose(rates, np.linspace(0, 0.2, number))
