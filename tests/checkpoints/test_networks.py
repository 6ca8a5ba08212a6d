"""Which network the names of variables are of."""

import pytest

from slimnets.checkpoints.networks import scope_of

CONV = ("Conv/weights",)


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        (["net/Conv/weights", "net/Logits/biases"], "net"),
        (["Conv/weights"], ""),
        # Inner layers that are called as the root is: of one unit, of several.
        (["net/Conv/weights", "net/squeeze_excite/Conv/weights"], "net"),
        (["net/Conv/weights", *(f"net/e{i}/Conv/weights" for i in "12")], "net"),
        # None, and two.
        (["net/conv1/weights"], None),
        (["one/Conv/weights", "two/Conv/weights"], None),
    ],
)
def test_the_scope_is_that_of_the_one_network(names, scope):
    assert scope_of(names, CONV) == scope
