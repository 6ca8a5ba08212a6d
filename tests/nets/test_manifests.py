"""Variables and counts of every network are what they were, and what papers say."""

import gzip
import json

import pytest

import slimnets
from slimnets.inspection.summary import committed
from slimnets.rows.row import Row
from tests.helpers import KINDS, of_each_kind
from tests.make_manifests import COUNTS, MANIFEST, describe

WANTED = json.loads(gzip.decompress(MANIFEST.read_bytes()))
COUNTED = json.loads(COUNTS.read_text())
# What takes seconds to build at full depth; nasnet_cifar is what is tried of cells.
DEEP = ("inception_resnet_v2", "resnetrs50", "xception65")
BUILT = ["resnet50d", *(name for name in KINDS if name not in DEEP)]


@pytest.mark.parametrize(
    "name",
    of_each_kind(slimnets.list_networks(), BUILT),
)
def test_variables_counts_and_layers_are_the_committed_ones(name):
    variables, counts, summary = describe(name)
    assert list(variables.items()) == list(WANTED[name].items())
    assert counts == COUNTED[name]
    assert committed(name) == summary


def test_every_registered_network_has_a_manifest():
    assert list(WANTED) == list(COUNTED) == slimnets.list_networks()


def test_a_row_knows_the_first_variable_of_its_network():
    for name, variables in WANTED.items():
        row = getattr(slimnets.network_info(name).network, "row", None)
        if isinstance(row, Row):
            path = [row.scope_name, row.first_variable]
            assert "/".join(filter(None, path)) == next(iter(variables)), name


# Counted from timm 1.0.31, 1000 classes, 224x224: trainable, all, multiply-adds.
TORCH = {
    "resnet18": (11_689_512, 11_699_112, 1_814_073_344),
    "resnet34": (21_797_672, 21_814_696, 3_663_761_408),
    "resnet50": (25_557_032, 25_610_152, 4_089_184_256),
    "resnet101": (44_549_160, 44_654_504, 7_801_405_440),
    "resnet152": (60_192_808, 60_344_232, 11_513_626_624),
    "resnet50c": (25_576_264, 25_629_512, 4_328_824_832),
    "resnet50d": (25_576_264, 25_629_512, 4_328_824_832),
    "resnet101d": (44_568_392, 44_673_864, 8_041_046_016),
    "resnext50_32x4d": (25_028_904, 25_097_128, 4_230_479_872),
    "resnext101_32x4d": (44_177_704, 44_315_560, 7_969_996_800),
    "resnext101_32x8d": (88_791_336, 88_994_216, 16_414_015_488),
    "resnext101_64x4d": (83_455_272, 83_658_152, 15_460_270_080),
    "wide_resnet50_2": (68_883_240, 68_951_464, 11_398_021_120),
    "wide_resnet101_2": (126_886_696, 127_024_552, 22_753_050_624),
    "seresnet50": (28_088_024, 28_141_144, 4_091_699_200),
    "seresnet101": (49_326_872, 49_432_216, 7_806_148_608),
    "seresnext50_32x4d": (27_559_896, 27_628_120, 4_232_994_816),
    "seresnext101_32x4d": (48_955_416, 49_093_272, 7_974_739_968),
    "resnetrs50": (35_691_912, 35_745_288, 4_454_490_112),
    "resnetrs101": (63_618_696, 63_724_296, 8_175_624_192),
    "resnetrs152": (86_621_576, 86_773_256, 11_895_185_408),
    "resnetrs200": (93_209_992, 93_386_248, 15_391_137_792),
    "resnetrs270": (129_861_448, 130_104_520, 20_643_618_816),
    "resnetrs350": (163_956_168, 164_268_360, 26_332_012_544),
    "resnetrs420": (191_891_656, 192_262_216, 31_363_342_336),
}

# Counted from Keras 3.15, 1000 classes: trainable, all.
KERAS = {
    "keras_resnet50": (25_583_592, 25_636_712),
    "keras_resnet101": (44_601_832, 44_707_176),
    "keras_resnet152": (60_268_520, 60_419_944),
    "keras_resnet50_v2": (25_568_360, 25_613_800),
    "keras_resnet101_v2": (44_577_896, 44_675_560),
    "keras_resnet152_v2": (60_236_904, 60_380_648),
}

# TF-Slim's, 1000 classes, stride in the last unit, to a million multiply-adds.
SLIM = {50: 3_482, 101: 7_194, 152: 10_907, 200: 14_401}


@pytest.mark.parametrize("name", [*TORCH, *KERAS])
def test_counts_equal_the_references(name):
    wanted = {**TORCH, **KERAS}[name]
    counts = COUNTED[name]
    actual = counts["trainable"], counts["parameters"], counts["multiply_adds"]
    assert actual[: len(wanted)] == wanted


@pytest.mark.parametrize("layers", SLIM)
def test_tf_slims_networks_have_their_multiply_adds(layers):
    for version in (1, 2):
        count = COUNTED[f"resnet_v{version}_{layers}"]["multiply_adds"]
        assert round(count / 1e6) == SLIM[layers]
