"""The table of public weights: its form, its names, and what it says of networks."""

import inspect
import re

import pytest

import slimnets
from slimnets import data
from slimnets.checkpoints import networks
from slimnets.data.preprocessing import get_preprocessing
from slimnets.weights import find_weights, list_weights, table

ROWS = list_weights()
# The kind of names that a source's files have.
KINDS = {"tf-slim": None, "keras": "keras", "torchvision": "torch", "timm": "torch"}
CHECKSUM = re.compile(r"|etag|md5:[0-9a-f]{32}|sha256:([0-9a-f]{8}|[0-9a-f]{64})")
# keras.applications' own table of its networks has 38; two more are in its module.
OF_KERAS = 40


def test_every_row_is_of_a_form():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names) >= 120
    for row in ROWS:
        assert row.source in table.SOURCES and table.is_name(row.name)
        assert CHECKSUM.fullmatch(row.checksum), row
        assert re.fullmatch(r"https://[\w.-]+/[\w./-]+(#ema)?", row.address), row
        assert row.classes - row.labels_offset == 1000
        assert row.labels_offset == (row.classes == 1001)
        assert row.preprocessing in data.preprocessing_names()
        assert 100 < row.image_size <= 600
        if row.crop_fraction is not None:
            assert 0.8 < row.crop_fraction <= 1
            recipe = get_preprocessing(row.preprocessing)
            assert recipe.with_crop_fraction(row.crop_fraction)
        assert row.mebibytes is None or 1 < row.mebibytes < 2000
        if row.top1 is not None:
            assert 40 < row.top1 < 90
            assert row.top5 is None or row.top1 < row.top5 < 100


def test_every_network_takes_the_names_of_its_source():
    for row in ROWS:
        function = slimnets.network_info(row.network).network
        takes = inspect.signature(function).parameters
        assert row.network_options.keys() <= takes.keys(), row
        kind = KINDS[row.source]
        assert kind is None or networks.sources_of(function, kind), row
        if kind is None:
            assert networks.weights_of(function) == "tf-slim"


def test_every_source_is_there():
    by_source = {name: list_weights(f"{name}/*") for name in table.SOURCES}
    assert len({row.network for row in by_source["keras"]}) >= OF_KERAS
    assert len(by_source["tf-slim"]) >= 20
    resnets = {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"}
    assert resnets < {row.network for row in by_source["torchvision"]}
    # Those that timm has without weights, or under other names.
    without = {"seresnet101", "efficientnet_b6", "efficientnet_b7", "mnasnet_050",
               "mnasnet_075", "mnasnet_140"}  # fmt: skip
    of_timm = {
        name
        for name in slimnets.list_networks()
        if slimnets.network_info(name).weights == "torch"
    }
    assert of_timm - {row.network for row in by_source["timm"]} == without


def test_checksums_that_are_published_are_there():
    for row in ROWS:
        if row.source in ("torchvision", "timm"):
            assert row.checksum
        if row.source == "torchvision":  # Their names end in it.
            assert row.address.endswith(f"-{row.checksum.partition(':')[2]}.pth")
        if row.source == "keras":
            assert row.checksum or row.network.startswith(
                ("mobilenet_v1", "mobilenet_v2")
            )


@pytest.mark.parametrize(
    "name, network, found",
    [
        ("timm/resnet50", None, "timm/resnet50.a1_in1k"),
        ("timm/resnet50.a1_in1k", None, "timm/resnet50.a1_in1k"),
        ("timm", "resnet50", "timm/resnet50.a1_in1k"),
        ("timm/a2_in1k", "resnet50", "timm/resnet50.a2_in1k"),
        ("timm/resnet50.a2_in1k", "resnet50", "timm/resnet50.a2_in1k"),
        ("tf-slim", "resnet_v2_50", "tf-slim/resnet_v2_50"),
        ("torchvision", "resnet50", "torchvision/resnet50.imagenet1k_v2"),
        ("keras", "keras_resnet50", "keras/keras_resnet50"),
    ],
)
def test_names(name, network, found):
    assert find_weights(name, network).name == found


def test_the_best_has_the_highest_accuracy():
    best = find_weights("best", "resnet50")
    assert best.top1 == max(r.top1 for r in ROWS if r.network == "resnet50")


@pytest.mark.parametrize(
    "name, network, says",
    [
        ("timm/resnt50", None, r"named 'timm/resnt50'. Did you mean 'timm/resnet50'"),
        ("keras", "resnet50", "neither a file nor .* of resnet50; these are torchv"),
        ("timm", "wrn_16_8", "no public weights of wrn_16_8 are known"),
        ("best", "wrn_16_8", "no public weights of wrn_16_8 are known"),
    ],
)
def test_unknown_names(name, network, says):
    with pytest.raises(ValueError, match=says):
        find_weights(name, network)


def test_the_command_lists(call):
    code, out, _ = call("weights", "keras/keras_resnet50*")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "name", "keras/keras_resnet50", "keras/keras_resnet50_v2"
    ]  # fmt: skip
    code, out, err = call("weights", "resnt50")
    assert code == 2 and "'resnt50'. Did you mean 'resnet50'?" in err
    code, out, err = call("weights", "get")
    assert code == 2 and "weights get needs a name" in err
