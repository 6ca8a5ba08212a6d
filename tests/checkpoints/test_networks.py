"""Which network the names of variables are of."""

import pytest

from slimnets.checkpoints.keras_networks import renumbered
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


def test_kerass_numbers_count_within_their_kind():
    """In any session: a network that is made second has other numbers."""
    first = ["conv2d/kernel", "conv2d_1/kernel", "batch_normalization/gamma"]
    later = ["conv2d_94/kernel", "conv2d_95/kernel", "batch_normalization_7/gamma"]
    ordered = ["conv2d#0/kernel", "conv2d#1/kernel", "batch_normalization#0/gamma"]
    for names in (first, later):
        found = renumbered({name: name for name in [*names, "dense/bias"]})
        assert found == dict(zip(["dense/bias", *ordered], ["dense/bias", *names],
                                 strict=True))  # fmt: skip
