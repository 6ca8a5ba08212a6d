"""A network that a user writes by docs/howto/network.md: ShuffleNet v2, and torch's."""

import numpy as np
import pytest
import tensorflow as tf

import slimnets
from slimnets.checkpoints import mapping
from tests.helpers import assert_close
from tests.nets import shufflenet_v2

X0_5 = shufflenet_v2.NETWORKS[0]
# Of torchvision's.
PARAMETERS = (1366792, 2278604, 3503624, 7393996)


@pytest.mark.parametrize("index", (0, 3))
def test_counts_are_torchvisions(index):
    with tf.Graph().as_default():
        network = shufflenet_v2.NETWORKS[index]
        network(tf.zeros([1, 64, 64, 3]), 1000, is_training=False)
        variables = tf.compat.v1.trainable_variables()
    assert sum(v.shape.num_elements() for v in variables) == PARAMETERS[index]


def test_levels_and_a_denser_stride():
    levels = slimnets.feature_info(X0_5)
    assert [(f.channels, f.stride) for f in levels] == [
        *((24, 2), (24, 4), (48, 8), (96, 16), (192, 32))
    ]
    nominal, denser = (
        slimnets.Model(X0_5, output_stride=stride) for stride in (None, 8)
    )
    images = np.random.default_rng(0).normal(size=[1, 97, 65, 3]).astype("f")
    nominal.build(images.shape)
    denser.build(images.shape)
    for mine, theirs in zip(denser.variables, nominal.variables, strict=True):
        mine.assign(theirs)
    key = f"{X0_5.__name__}/block3"
    expected, found = (m.features(images, [key])[key] for m in (nominal, denser))
    assert_close(found[:, ::4, ::4], expected, rtol=1e-4)


def test_every_variable_has_one_name_in_torch():
    model = slimnets.Model(X0_5, num_classes=3)
    model.build([None, 64, 64, 3])
    names = [v.name.partition("/")[2].removesuffix(":0") for v in model.variables]
    foreign = mapping.foreign_names(names, shufflenet_v2.NAMES)
    assert len({f.name for f in foreign.values()}) == len(names) == 282
    with pytest.raises(ValueError, match="in the rules of its network"):
        mapping.foreign_names(["conv9/weights"], shufflenet_v2.NAMES)


@pytest.mark.slow
def test_logits_are_torchvisions(tmp_path):
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    theirs = models.shufflenet_v2_x0_5(weights=None).eval()
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.ndim == 1:
                value.add_(0.1 * torch.randn(value.shape))
        images = torch.randn(2, 3, 97, 65)
        expected = theirs(images).numpy()
    path = tmp_path / "shufflenet.pt"
    torch.save(theirs.state_dict(), path)
    mine = slimnets.Model(X0_5, num_classes=1000)
    mine.build([None, 97, 65, 3])
    assert len(slimnets.load_weights(mine, path).loaded) == 282
    assert_close(mine(images.numpy().transpose(0, 2, 3, 1)), expected, rtol=1e-4)
