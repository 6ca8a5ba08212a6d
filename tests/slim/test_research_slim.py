"""The facade's networks are research/slim's: graphs, numbers and signatures.

Computed by TensorFlow 1.15.5; see tests/golden/README.md.
"""

import functools
import importlib
import inspect
import json
import lzma
import re

import numpy as np
import pytest

from slimnets import slim
from slimnets.slim.contrib import nets as contrib_nets
from tests.helpers import GOLDEN, of_each_kind
from tests.slim import research_slim

DATA = json.loads(
    lzma.decompress((GOLDEN / "research_slim" / "manifests.json.xz").read_bytes())
)
MANIFESTS = research_slim.unpacked(DATA)
QUICK = [
    ("factory", "lenet", "training"),
    ("factory", "vgg_16", "bare"),
    ("factory", "vgg_16", "inference"),
    ("factory", "resnet_v1_50", "bare"),
    ("factory", "resnet_v2_50", "training"),
    ("factory", "inception_v1", "inference"),
    ("factory", "mobilenet_v2", "training"),
    ("factory", "mobilenet_v3_large", "options_1"),
    ("contrib", "resnet_v1_50", "inference"),
    ("pictures", "dcgan.discriminator", "training"),
]
# Two TensorFlows round sums in other orders, and deep networks with the statistics of
# two images enlarge that: a change of all variables in their 20th bit moves the outputs
# of the deepest by 3e-3, one in their last bit by 8e-4. What a network gives may be off
# by as many times what it moves by itself.
JITTER, SPREADS = 2.0**-20, 4
CASES = [tuple(key.split("/")) for key in MANIFESTS]


def case_of(home, name, form):
    """Finds slimnets' function for a case."""
    factory, module, config = slim.nets.nets_factory, None, None
    if home in ("factory", "deeplab"):
        function, scope = factory.networks_map[name], factory.arg_scopes_map[name]
        if home == "deeplab":  # Whose defaults are not slimnets'.
            pool = {} if name.startswith("xception") else {"global_pool": False}
            function = functools.partial(function, spatial_squeeze=False, **pool)
        if name in research_slim.CONFIGS:
            path, maker = research_slim.CONFIGS[name]
            config = getattr(module_of("nets", path), maker)
    elif home == "pictures":
        path, name_in_module = name.split(".")
        module = module_of("nets", path)
        function = getattr(module, name_in_module)
        scope = getattr(module, path + "_arg_scope", None)
    else:
        path, scope_name = research_slim.CONTRIB[name]
        module = module_of("contrib", path)
        function, scope = getattr(module, name), getattr(module, scope_name, None)
        scope = scope or module_of("contrib", "resnet_utils").resnet_arg_scope
    case = (home, name, form)
    return research_slim.Case(case, slim, function, scope, config, module)


def module_of(form, path):
    """A module of networks: research/slim's `nets.PATH`, or tf.contrib.slim.nets'."""
    home = slim.nets if form == "nets" else contrib_nets
    return functools.reduce(getattr, path.split("."), home)


def differences(wanted, got):
    """What differs between two structures: `{field: what}`."""
    nodes = wanted["nodes"]  # Dropout is another operation in TensorFlow 2.
    nodes = [re.sub(r"dropout(_1)?/mul_1$", "dropout/SelectV2", n) for n in nodes]
    wanted = {**wanted, "nodes": nodes}
    return {
        field: _difference(wanted[field], got[field])
        for field in got
        if wanted[field] != got[field]
    }


def _difference(wanted, got):
    if not isinstance(wanted, list):
        return f"wants {wanted!r}, got {got!r}"
    missing = [item for item in wanted if item not in set(got)]
    further = [item for item in got if item not in set(wanted)]
    if not missing and not further:
        return "the same in another order"
    return f"{len(missing)} missing {missing[:6]}, {len(further)} further {further[:6]}"


@pytest.mark.parametrize("case", of_each_kind(CASES, QUICK), ids="/".join)
def test_graph_is_the_reference_s(case):
    wanted = MANIFESTS["/".join(case)]
    if "raises" in wanted:
        pytest.skip("research/slim's own function raises here")
    assert not differences(wanted, case_of(*case).structure())


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [c for c in CASES if "numbers" in MANIFESTS["/".join(c)]],
    ids="/".join,
)
def test_numbers_are_the_reference_s(case):
    wanted = MANIFESTS["/".join(case)]["numbers"]
    got = case_of(*case).numbers()
    assert got.keys() == wanted.keys()
    nearly = functools.cache(lambda: case_of(*case).numbers(JITTER))
    for name in wanted:
        assert got[name]["shape"] == wanted[name]["shape"], name
        ours, theirs = (np.array(run[name]["numbers"]) for run in (got, wanted))
        scale = np.abs(theirs[:2]).max()  # Of the mean and the standard deviation.
        tolerance = 1e-4 * (scale + np.abs(theirs))
        if (np.abs(ours - theirs) > tolerance).any():
            moved = np.abs(nearly()[name]["numbers"] - ours).max()
            tolerance = np.maximum(tolerance, SPREADS * moved)
        assert (np.abs(ours - theirs) <= tolerance).all(), (name, ours, theirs)


@pytest.mark.parametrize("path", DATA["signatures"]["nets"])
def test_modules_are_imported_by_their_paths(path):
    name = f"slimnets.slim.nets.{path}"
    assert importlib.import_module(name) is module_of("nets", path)


def _parameters(function):
    return [
        research_slim.parameter(p).removesuffix(".0")
        for p in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(
    ("form", "path"),
    [(form, path) for form, modules in DATA["signatures"].items() for path in modules],
)
def test_functions_take_the_reference_s_arguments_in_its_order(form, path):
    module = module_of(form, path)
    wrong = {}
    for name, wanted in DATA["signatures"][form][path].items():
        function = getattr(module, name, None)
        got = None if function is None else _parameters(function)
        # What `**kwargs` pass on has names here; 1.0 is 1; TF-Slim's separable_conv2d
        # is another name of separable_convolution2d.
        wanted = [p.removesuffix(".0") for p in wanted if not p.startswith("**")]
        wanted = [re.sub("(separable_conv)olution", r"\1", p) for p in wanted]
        if got is None or got[: len(wanted)] != wanted:
            wrong[name] = (wanted, got)
    assert not wrong
