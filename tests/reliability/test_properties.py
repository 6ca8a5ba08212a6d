"""Layers, batch norm and blocks equal plain NumPy for whatever hypothesis draws."""

import pytest

pytest.importorskip("hypothesis")

from tests.reliability import property_blocks, property_layers, property_norms
from tests.reliability.properties import SLOW, holds

PROPERTIES = {
    **property_layers.PROPERTIES,
    **property_norms.PROPERTIES,
    **property_blocks.PROPERTIES,
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_it_equals_numpy(name):
    holds(name, *PROPERTIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", PROPERTIES)
def test_it_equals_numpy_for_many_cases(name):
    holds(name, *PROPERTIES[name], SLOW)
