"""What keras.applications calls the weights of its networks.

As in `mapping`, a rule says how a slimnets variable, named relative to its network's
scope, is called there. Layers that have no names there are numbered in the order in
which they are made, which is that of slimnets' scopes: `conv2d#3/kernel` stands for the
fourth one in a file. Auxiliary logits have no counterpart.

Source: keras.applications (Apache 2.0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from slimnets.checkpoints import mapping
from slimnets.checkpoints.mapping import Foreign
from slimnets.checkpoints.torch_networks import NORMED as _NORMED
from slimnets.checkpoints.torch_networks import PART as _PART
from slimnets.checkpoints.torch_networks import UNIT as _UNIT

# A pattern, the name there without the variable's own, and the layout of weights. A
# template may use what `mapping.groups_of` makes of the pattern's groups.
Rule = tuple[str, str | Callable[[re.Match], str], str]

_SAME, _DENSE = "same", "dense_in_out"
_PARTS = {"weights": "kernel", "biases": "bias"} | {
    "depthwise_weights": "kernel",
    "layer_scale": "gamma",
}
_LEGACY_PARTS = {**_PARTS, "depthwise_weights": "depthwise_kernel"}
_SEPARABLE = {**_LEGACY_PARTS, "pointwise_weights": "pointwise_kernel"}
_AUXILIARY = re.compile(r"(?:AuxLogits|aux_\d+)/.*")


def _normed(layer: str, conv: str, norm: str) -> tuple[Rule, ...]:
    """The rules of a convolution and of its norm."""
    return ((layer + _NORMED, norm, _SAME), (layer + _PART, conv, _SAME))


_VGG: tuple[Rule, ...] = (
    (rf"conv(?P<n>\d)/conv\d_(?P<conv>\d){_PART}", "block{n}_conv{conv}", _SAME),
    (rf"fc6{_PART}", "fc1", "dense_7x7"),
    (rf"fc7{_PART}", "fc2", _DENSE),
    (rf"fc8{_PART}", "predictions", _DENSE),
)
_MOBILENET: tuple[Rule, ...] = (
    *_normed("Conv2d_0", "conv1", "conv1_bn"),
    *_normed(r"Conv2d_(?P<n>\d+)_depthwise", "conv_dw_{n}", "conv_dw_{n}_bn"),
    *_normed(r"Conv2d_(?P<n>\d+)_pointwise", "conv_pw_{n}", "conv_pw_{n}_bn"),
    (rf"Logits/Conv2d_1c_1x1{_PART}", "conv_preds", _SAME),
)
_LAYER = r"/(?P<layer>\w+)"
_MOBILENET_V2: tuple[Rule, ...] = (
    *_normed("Conv", "Conv1", "bn_Conv1"),
    *_normed("Conv_1", "Conv_1", "Conv_1_bn"),
    *_normed(f"expanded_conv{_LAYER}", "expanded_conv_{layer}",
             "expanded_conv_{layer}_BN"),
    *_normed(rf"expanded_conv_(?P<n>\d+){_LAYER}", "block_{n}_{layer}",
             "block_{n}_{layer}_BN"),
    (rf"Logits/Conv2d_1c_1x1{_PART}", "predictions", _DENSE),
)  # fmt: skip
_INVERTED = r"(?P<scope>expanded_conv(?:_\d+)?)"
_MOBILENET_V3: tuple[Rule, ...] = (
    *_normed(r"Conv(?P<n>(?:_\d)?)", "conv{n}", "conv{n}_bn"),
    (rf"{_INVERTED}/squeeze_excite/Conv(?P<n>(?:_1)?){_PART}",
     "{scope}_squeeze_excite_conv{n}", _SAME),
    *_normed(f"{_INVERTED}{_LAYER}", "{scope}_{layer}", "{scope}_{layer}_bn"),
    (rf"Logits/Conv2d_1c_1x1{_PART}", "logits", _SAME),
)  # fmt: skip
_INCEPTION_RESNET: tuple[Rule, ...] = (
    (rf"Repeat(?:_\d)?/(?P<scope>block\d+_\d+)/Conv2d_1x1{_PART}", "{scope}_conv",
     _SAME),
    (rf"Block8/Conv2d_1x1{_PART}", "block8_10_conv", _SAME),
    *_normed("Conv2d_7b_1x1", "conv_7b", "conv_7b_bn"),
    (rf"Logits/Logits{_PART}", "predictions", _SAME),
)  # fmt: skip
_INCEPTION: tuple[Rule, ...] = (
    (rf"Logits/Conv2d_1c_1x1{_PART}", "predictions", _DENSE),
)
_D = "conv{stage}_block{unit}_"
_LOGITS: Rule = (f"logits{_PART}", "predictions", _DENSE)
_RESNET: tuple[Rule, ...] = (
    (f"{_UNIT}/preact{_PART}", f"{_D}preact_bn", _SAME),
    *_normed(f"{_UNIT}/shortcut", f"{_D}0_conv", f"{_D}0_bn"),
    *_normed(rf"{_UNIT}/conv(?P<n>\d)", f"{_D}{{n}}_conv", f"{_D}{{n}}_bn"),
    *_normed("conv1", "conv1_conv", "conv1_bn"),
    (f"postnorm{_PART}", "post_bn", _SAME),
    _LOGITS,
)
_U = "block{block}{unit_letter}_"
_EFFICIENTNET: tuple[Rule, ...] = (
    (f"{_UNIT}/squeeze_excite/Conv{_PART}", f"{_U}se_reduce", _SAME),
    (f"{_UNIT}/squeeze_excite/Conv_1{_PART}", f"{_U}se_expand", _SAME),
    *_normed(f"{_UNIT}/expand", f"{_U}expand_conv", f"{_U}expand_bn"),
    *_normed(f"{_UNIT}/depthwise", f"{_U}dwconv", f"{_U}bn"),
    *_normed(f"{_UNIT}/project", f"{_U}project_conv", f"{_U}project_bn"),
    *_normed("conv1", "stem_conv", "stem_bn"),
    *_normed("conv_head", "top_conv", "top_bn"),
    _LOGITS,
)
_EFFICIENTNET_V2: tuple[Rule, ...] = (
    *_normed(f"{_UNIT}/conv", f"{_U}project_conv", f"{_U}project_bn"),
    *_normed(f"{_UNIT}/depthwise", f"{_U}dwconv2", f"{_U}bn"),
    *_EFFICIENTNET,
)
_DENSENET: tuple[Rule, ...] = (
    (f"{_UNIT}/preact{_PART}", f"{_D}0_bn", _SAME),
    *_normed(f"{_UNIT}/conv1", f"{_D}1_conv", f"{_D}1_bn"),
    (f"{_UNIT}/conv2{_PART}", f"{_D}2_conv", _SAME),
    (rf"transition(?P<block>\d)/Branch_0/norm{_PART}", "pool{stage}_bn", _SAME),
    (rf"transition(?P<block>\d)/Branch_0/conv{_PART}", "pool{stage}_conv", _SAME),
    *_normed("conv1", "conv1_conv", "conv1_bn"),
    (f"postnorm{_PART}", "bn", _SAME),
    _LOGITS,
)
# The first block's convolution and the downsampling ones lie in models of their own.
_DOWN = "{network}_downsampling_block_{block2}/{network}_downsampling_"
_C = "{network}_stage_{block0}_block_{unit0}_"
_CONVNEXT: tuple[Rule, ...] = (
    (f"{_UNIT}/downsample_norm{_PART}", f"{_DOWN}layernorm_{{block2}}", _SAME),
    (f"{_UNIT}/downsample{_PART}", f"{_DOWN}conv_{{block2}}", _SAME),
    (f"{_UNIT}/depthwise{_PART}", f"{_C}depthwise_conv", "grouped"),
    (f"{_UNIT}/norm{_PART}", f"{_C}layernorm", _SAME),
    (rf"{_UNIT}/fc(?P<n>\d){_PART}", f"{_C}pointwise_conv_{{n}}", _DENSE),
    (rf"{_UNIT}/(?P<part>layer_scale)", f"{_C}layer_scale", _SAME),
    (f"conv1{_PART}", "{network}_stem/{network}_stem_conv", _SAME),
    (f"norm1{_PART}", "{network}_stem/{network}_stem_layernorm", _SAME),
    (f"head_norm{_PART}", "{network}_head_layernorm", _SAME),
    (f"logits{_PART}", "{network}_head_dense", _DENSE),
)
_SHORTCUTS = tuple(
    _normed(rf"block{block}/unit_1/\w+/shortcut", f"conv2d#{i}",
            f"batch_normalization#{i}")
    for i, block in enumerate((2, 3, 4, 13))
)  # fmt: skip
_XCEPTION: tuple[Rule, ...] = (
    *(rule for rules in _SHORTCUTS for rule in rules),
    *_normed(rf"{_UNIT}/separable_conv(?P<n>\d)", "block{block}_sepconv{n}",
             "block{block}_sepconv{n}_bn"),
    *_normed(r"(?P<scope>block\d+_\w+)", "{scope}", "{scope}_bn"),
    _LOGITS,
)  # fmt: skip
# The order of scopes with layers that have no names; in each it is that of names.
_ORDER = {
    "keras_inception_v3": ("Conv2d_", "Mixed_"),
    "keras_inception_resnet_v2": (
        "Conv2d_", "Mixed_5b", "Repeat", "Mixed_6a", "Repeat_1", "Mixed_7a",
        "Repeat_2", "Block8",
    ),
}  # fmt: skip
_RULES: dict[str, tuple[dict[str, str], tuple[Rule, ...]]] = {
    "keras": (_PARTS, _RESNET),
    "keras_vgg": (_PARTS, _VGG),
    "keras_inception_v3": (_PARTS, _INCEPTION),
    "keras_inception_resnet_v2": (_PARTS, _INCEPTION_RESNET),
    "keras_mobilenet": (_PARTS, _MOBILENET),
    "keras_mobilenet_v2": (_PARTS, _MOBILENET_V2),
    "keras_mobilenet_v3": (_PARTS, _MOBILENET_V3),
    "keras_efficientnet": (_PARTS, _EFFICIENTNET),
    "keras_efficientnet_v2": (_PARTS, _EFFICIENTNET_V2),
    "keras_densenet": (_PARTS, _DENSENET),
    "keras_convnext": (_PARTS, _CONVNEXT),
    "keras_xception": (_SEPARABLE, _XCEPTION),
    "keras_nasnet": (_SEPARABLE, ()),
}
# In .h5 a depthwise kernel has a name of its own, and a layer of a model inside of the
# network none.
LEGACY = "_legacy"
_RULES |= {
    f"keras_{name}{LEGACY}": (_LEGACY_PARTS, _RULES[f"keras_{name}"][1])
    for name in (
        *("mobilenet", "mobilenet_v2", "mobilenet_v3"),
        *("efficientnet", "efficientnet_v2"),
    )
}
_RULES[f"keras_convnext{LEGACY}"] = (
    _PARTS,
    tuple((pattern, str(name).split("/")[0], how) for pattern, name, how in _CONVNEXT),
)
SOURCES = frozenset(_RULES)
# Those of networks with layers that have no names there,
UNNAMED = frozenset({*_ORDER, "keras_xception"})
# and those of which it is known where each layer stands in a file.
PLACED = SOURCES - {*_ORDER, "keras_nasnet"}
_CELL = r"(?P<cell>(?:cell_stem|reduction_cell|cell)_\d+)"


def foreign_names(
    names: Iterable[str], source: str, network: str = ""
) -> dict[str, Foreign]:
    """Returns what each variable is called, and how it is arranged, in Keras.

    Args:
        names: slimnets' names relative to the network's scope; all of a network's for
            sources whose layers have no names there, and for NASNet.
        source: one of `SOURCES`.
        network: the network's name, with which ConvNeXt's layers begin.

    Raises:
        ValueError: for a name that no rule covers.
    """
    names = [name for name in names if not _AUXILIARY.fullmatch(name)]
    parts, rules = _RULES[source]
    if source == "keras_nasnet":
        rules = _nasnet_rules(names)
    foreign: dict[str, Foreign] = {}
    unnamed = []
    for name in names:
        found = _by_rule(name, rules, parts, network)
        if found is not None:
            foreign[name] = found
        elif source in _ORDER:
            unnamed.append(name)
        else:
            raise ValueError(f"The variable {name!r} has no counterpart in {source}.")
    return {**foreign, **_by_order(unnamed, _ORDER.get(source, ()), source)}


def _by_rule(
    name: str, rules: Iterable[Rule], parts: Mapping[str, str], network: str
) -> Foreign | None:
    for pattern, template, layout in rules:
        if match := re.fullmatch(pattern, name):
            if callable(template):
                layer = template(match)
            else:
                groups = mapping.groups_of(match.groupdict())
                layer = template.format(network=network, **groups)
            part = match["part"]
            layout = layout if part.endswith("weights") else _SAME
            return Foreign(f"{layer}/{parts.get(part, part)}", layout)
    return None


def _by_order(
    names: list[str], order: tuple[str, ...], source: str
) -> dict[str, Foreign]:
    places = {}
    for name in names:
        match = re.fullmatch(rf"(?P<layer>.*?)(?P<norm>/BatchNorm)?{_PART}", name)
        stages = [i for i, stage in enumerate(order) if _is_in(name, stage)]
        if not stages:
            raise ValueError(f"The variable {name!r} has no counterpart in {source}.")
        places[name] = (stages[-1], _natural(match["layer"])), match
    ranks = {
        place: rank
        for rank, place in enumerate(sorted({p for p, _ in places.values()}))
    }
    foreign = {}
    for name, (place, match) in places.items():
        kind = "batch_normalization" if match["norm"] else "conv2d"
        part = _PARTS.get(match["part"], match["part"])
        foreign[name] = Foreign(f"{kind}#{ranks[place]}/{part}")
    return foreign


def _is_in(name: str, stage: str) -> bool:
    return name.startswith(stage if stage.endswith("_") else f"{stage}/")


def _natural(name: str) -> tuple:
    """A key by which `block35_2` comes before `block35_10`."""
    parts = re.split(r"(\d+)", name)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def renumbered(names: Mapping[str, str]) -> dict[str, str]:
    """Adds names by order, `conv2d#3/kernel`, to a mapping from names to tensors.

    Keras numbers layers in the order of all that a session has made, so that only the
    order of the numbers says anything.
    """
    pattern = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?/(\w+)")
    found = {name: m for name in names if (m := pattern.fullmatch(name))}
    result = dict(names)
    for kind in ("conv2d", "batch_normalization"):
        numbers = {int(m[2] or 0) for m in found.values() if m[1] == kind}
        ranks = {number: rank for rank, number in enumerate(sorted(numbers))}
        for name, m in found.items():
            if m[1] == kind:
                del result[name]
                result[f"{kind}#{ranks[int(m[2] or 0)]}/{m[3]}"] = names[name]
    return result


def _nasnet_rules(names: Iterable[str]) -> tuple[Rule, ...]:
    """The rules for a NASNet, of which the number of cells is needed."""
    cells = {m[1] for name in names if (m := re.match(r"cell_(\d+)/", name))}
    third = len(cells) // 3

    def place(match: re.Match) -> tuple[str, str]:
        """The kind of a cell, and what it is numbered."""
        kind, _, number = match["cell"].rpartition("_")
        if kind == "cell_stem":
            return "reduction", f"stem_{int(number) + 1}"
        if kind == "reduction_cell":
            return "reduction", f"reduce_{third * (int(number) + 1)}"
        return "normal", number if int(number) < third else str(int(number) + 1)

    def named(template: str) -> Callable[[re.Match], str]:
        def name(match: re.Match) -> str:
            kind, number = place(match)
            return template.format(kind=kind, id=number)

        return name

    def separable(match: re.Match) -> str:
        kind, number = place(match)
        side, pair = match["side"], int(match["pair"]) + 1
        if (kind, side, pair) == ("reduction", "left", 5):
            pair = 4  # So it is called there.
        layer = f"separable_conv_{match['index']}{'_bn' if match['norm'] else ''}"
        return f"{layer}_{kind}_{side}{pair}_{number}"

    return (
        (rf"conv0{_PART}", "stem_conv1", _SAME),
        (rf"conv0_bn{_PART}", "stem_bn1", _SAME),
        (rf"{_CELL}/1x1{_PART}", named("{kind}_conv_1_{id}"), _SAME),
        (rf"{_CELL}/beginning_bn{_PART}", named("{kind}_bn_1_{id}"), _SAME),
        (rf"{_CELL}/prev_1x1{_PART}", named("adjust_conv_projection_{id}"), _SAME),
        (rf"{_CELL}/path1_conv{_PART}", named("adjust_conv_1_{id}"), _SAME),
        (rf"{_CELL}/path2_conv{_PART}", named("adjust_conv_2_{id}"), _SAME),
        (rf"{_CELL}/(?:prev|final_path)_bn{_PART}", named("adjust_bn_{id}"), _SAME),
        (rf"{_CELL}/comb_iter_(?P<pair>\d)/(?P<side>\w+)/(?P<norm>bn_)?sep\w*_\dx\d_"
         rf"(?P<index>\d){_PART}", separable, _SAME),
        (rf"final_layer/FC{_PART}", "predictions", _SAME),
    )  # fmt: skip
