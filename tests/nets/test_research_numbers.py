"""Networks of research/slim and DeepLab: variables and values of TensorFlow 1.15.

Node names and the order of end points are in tests/slim/test_research_slim.py; see
tests/golden/README.md for who computed what.
"""

import dataclasses
import json

import numpy as np
import pytest

import slimnets
from slimnets.heads.segmenter import segmenter
from slimnets.nets import nasnet, xception
from tests.helpers import GOLDEN
from tests.slim import research_slim
from tests.slim.test_research_slim import MANIFESTS, case_of

QUICK = [
    "deeplab/resnet_v1_18_beta/training",
    "factory/mobilenet_edgetpu_075/inference",
    "factory/mobilenet_v3_small_minimalistic/inference",
]
SLOW = [
    "deeplab/resnet_v1_50_beta/options_0",
    "deeplab/resnet_v1_101_beta/inference",
    "deeplab/xception_41/options_0",
    "deeplab/xception_41/options_1",
    "deeplab/xception_65/options_0",
    "deeplab/xception_71/inference",
    "factory/mobilenet_edgetpu/training",
    "factory/mobilenet_v3_large_minimalistic/inference",
]
FIELDS = ("variables", "model_variables", "regularized", "update_ops")


def assert_digests(got, wanted, tolerance=1e-4):
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert got[name]["shape"] == value["shape"], name
        scale = max(np.abs(value["numbers"][:2]))
        np.testing.assert_allclose(
            got[name]["numbers"],
            value["numbers"],
            rtol=0,
            atol=tolerance * scale,
            err_msg=name,
        )


@pytest.mark.parametrize(
    "key", [*QUICK, *(pytest.param(key, marks=pytest.mark.slow) for key in SLOW)]
)
def test_variables_and_values_are_the_reference_s(key):
    case, wanted = case_of(*key.split("/")), MANIFESTS[key]
    found = case.structure()
    for field in FIELDS:
        assert found[field] == wanted[field], field
    # slimnets' networks have a few more, pool1 for example.
    assert set(found["end_points"]) >= set(wanted["end_points"])
    assert_digests(case.numbers(), wanted["numbers"])


def assert_end_points(build, size, case):
    found = research_slim.end_point_values(build, [2, size, size, 3])
    path = GOLDEN / "research_slim" / "small.json"
    wanted = json.loads(path.read_text())[case]
    digests = {k: research_slim.digest(v) for k, v in found.items() if k in wanted}
    assert_digests(digests, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_every_end_point_of_nasnet_is_the_reference_s(mode):
    """In training auxiliary logits lie between the cells, which must not see them."""
    config = dataclasses.replace(
        nasnet.cifar_config(), num_cells=6, num_conv_filters=8, drop_path_keep_prob=1.0
    )
    training = mode == "training"

    def build(images):
        return slimnets.build(
            "nasnet_cifar", images, num_classes=10, is_training=training, config=config
        )

    assert_end_points(build, 32, f"nasnet/{mode}")


def test_every_end_point_of_a_bounded_xception_is_the_reference_s():
    def build(images):
        scope = xception.xception_arg_scope(use_bounded_activation=True)
        with slimnets.arg_scope(scope):
            return xception.xception_41(
                images, 10, is_training=False, spatial_squeeze=False
            )

    assert_end_points(build, 33, "xception/bounded")


BLOCK2 = "entry_flow/block2/unit_1/xception_module/separable_conv2_pointwise"
DEEPLAB = {
    "xception_65": {
        "separable": True,
        "decoder_levels": (f"xception_65/{BLOCK2}",),
    },
    "resnet_v1_50_beta": {
        "decoder_levels": ("resnet_v1_50/block1/unit_2/bottleneck_v1/conv3",),
    },
    "mobilenet_v2": {"decoder_levels": (), "atrous_rates": (), "top": "layer_18"},
}


@pytest.mark.parametrize(
    "backbone",
    [pytest.param(name, marks=pytest.mark.slow) for name in list(DEEPLAB)[:2]]
    + ["mobilenet_v2"],
)
def test_a_whole_deeplab_is_the_reference_s(backbone):
    """Values are by the variables' names, which are then its checkpoints', too."""
    options = {"backbone": backbone, "pyramid_depth": 256, **DEEPLAB[backbone]}

    def build(images):
        # As DeepLab does in the graph.
        logits, _ = segmenter(images * (2 / 255) - 1, 5, **options)
        return logits, {"logits": logits}

    assert_end_points(build, 65, f"deeplab/{backbone}")
