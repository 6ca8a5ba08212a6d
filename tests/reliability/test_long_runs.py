"""Nothing grows with the number of steps, or of networks made.

The limits are far above what the allocator's own coming and going gives, and far below
what one more of anything kept would: a network of these has 1.5 MB of graph alone.
"""

import pytest

from tests.reliability.scripts import run_script


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count", "kilobytes"),
    [("steps", 2000, 4), ("models", 200, 50), ("functions", 200, 50)],
)
def test_nothing_grows(kind, count, kilobytes):
    found = run_script("long_runs", kind, count)
    assert found["kilobytes_each"] < kilobytes
    assert (found["more_files"], found["traces"]) == (0, 0)
