"""What keras.applications calls the weights of the networks that TF-Slim has too.

As in `mapping`, a rule says how a slimnets variable, named relative to its network's
scope, is called there. Layers that have no names there are numbered in the order in
which they are made, which is that of slimnets' scopes: `conv2d#3/kernel` stands for the
fourth one in a file. Auxiliary logits have no counterpart.

Source: keras.applications (Apache 2.0): vgg16, vgg19, inception_v3,
inception_resnet_v2, mobilenet, mobilenet_v2, mobilenet_v3, nasnet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from slimnets.checkpoints.mapping import Foreign

# A pattern, the name there without the variable's own, and the weights' layout.
Rule = tuple[str, str | Callable[[re.Match], str], str]

_SAME, _DENSE = "same", "dense_in_out"
_PART = r"/(?P<part>\w+)"
_NORMED = r"/BatchNorm" + _PART
_PARTS = {"weights": "kernel", "biases": "bias", "depthwise_weights": "kernel"}
_LEGACY = {**_PARTS, "depthwise_weights": "depthwise_kernel"}
_SEPARABLE = {**_LEGACY, "pointwise_weights": "pointwise_kernel"}
_AUXILIARY = re.compile(r"(?:AuxLogits|aux_\d+)/.*")

_VGG: tuple[Rule, ...] = (
    (rf"conv(\d)/conv\d_(\d){_PART}", r"block\1_conv\2", _SAME),
    (rf"fc6{_PART}", "fc1", "dense_7x7"),
    (rf"fc7{_PART}", "fc2", _DENSE),
    (rf"fc8{_PART}", "predictions", _DENSE),
)
_MOBILENET: tuple[Rule, ...] = (
    (rf"Conv2d_0{_NORMED}", "conv1_bn", _SAME),
    (rf"Conv2d_0{_PART}", "conv1", _SAME),
    (rf"Conv2d_(\d+)_depthwise{_NORMED}", r"conv_dw_\1_bn", _SAME),
    (rf"Conv2d_(\d+)_depthwise{_PART}", r"conv_dw_\1", _SAME),
    (rf"Conv2d_(\d+)_pointwise{_NORMED}", r"conv_pw_\1_bn", _SAME),
    (rf"Conv2d_(\d+)_pointwise{_PART}", r"conv_pw_\1", _SAME),
    (rf"Logits/Conv2d_1c_1x1{_PART}", "conv_preds", _SAME),
)
_UNIT = r"expanded_conv(?:_(?P<unit>\d+))?"


def _block(match: re.Match) -> str:
    return f"block_{match['unit']}" if match["unit"] else "expanded_conv"


_MOBILENET_V2: tuple[Rule, ...] = (
    (rf"Conv{_NORMED}", "bn_Conv1", _SAME),
    (rf"Conv{_PART}", "Conv1", _SAME),
    (rf"Conv_1{_NORMED}", "Conv_1_bn", _SAME),
    (rf"Conv_1{_PART}", "Conv_1", _SAME),
    (rf"{_UNIT}/(?P<layer>\w+){_NORMED}",
     lambda m: f"{_block(m)}_{m['layer']}_BN", _SAME),
    (rf"{_UNIT}/(?P<layer>\w+){_PART}", lambda m: f"{_block(m)}_{m['layer']}", _SAME),
    (rf"Logits/Conv2d_1c_1x1{_PART}", "predictions", _DENSE),
)  # fmt: skip
_MOBILENET_V3: tuple[Rule, ...] = (
    (rf"Conv(_\d)?{_NORMED}", lambda m: f"conv{m[1] or ''}_bn", _SAME),
    (rf"Conv(_\d)?{_PART}", lambda m: f"conv{m[1] or ''}", _SAME),
    (rf"({_UNIT})/squeeze_excite/Conv(_1)?{_PART}",
     lambda m: f"{m[1]}_squeeze_excite_conv{m[3] or ''}", _SAME),
    (rf"({_UNIT})/(?P<layer>\w+){_NORMED}",
     lambda m: f"{m[1]}_{m['layer']}_bn", _SAME),
    (rf"({_UNIT})/(?P<layer>\w+){_PART}", lambda m: f"{m[1]}_{m['layer']}", _SAME),
    (rf"Logits/Conv2d_1c_1x1{_PART}", "logits", _SAME),
)  # fmt: skip
_INCEPTION_RESNET: tuple[Rule, ...] = (
    (rf"Repeat(?:_\d)?/(block\d+_\d+)/Conv2d_1x1{_PART}", r"\1_conv", _SAME),
    (rf"Block8/Conv2d_1x1{_PART}", "block8_10_conv", _SAME),
    (rf"Conv2d_7b_1x1{_NORMED}", "conv_7b_bn", _SAME),
    (rf"Conv2d_7b_1x1{_PART}", "conv_7b", _SAME),
    (rf"Logits/Logits{_PART}", "predictions", _SAME),
)
_INCEPTION: tuple[Rule, ...] = (
    (rf"Logits/Conv2d_1c_1x1{_PART}", "predictions", _DENSE),
)
# The order of scopes with layers that have no names; in each it is that of names.
_ORDER = {
    "keras_inception_v3": ("Conv2d_", "Mixed_"),
    "keras_inception_resnet_v2": (
        "Conv2d_", "Mixed_5b", "Repeat", "Mixed_6a", "Repeat_1", "Mixed_7a",
        "Repeat_2", "Block8",
    ),
}  # fmt: skip
_RULES: dict[str, tuple[dict[str, str], tuple[Rule, ...]]] = {
    "keras_vgg": (_PARTS, _VGG),
    "keras_inception_v3": (_PARTS, _INCEPTION),
    "keras_inception_resnet_v2": (_PARTS, _INCEPTION_RESNET),
    "keras_mobilenet": (_PARTS, _MOBILENET),
    "keras_mobilenet_legacy": (_LEGACY, _MOBILENET),
    "keras_mobilenet_v2": (_PARTS, _MOBILENET_V2),
    "keras_mobilenet_v2_legacy": (_LEGACY, _MOBILENET_V2),
    "keras_mobilenet_v3": (_PARTS, _MOBILENET_V3),
    "keras_mobilenet_v3_legacy": (_LEGACY, _MOBILENET_V3),
    "keras_nasnet": (_SEPARABLE, ()),
}
SOURCES = tuple(_RULES)
_CELL = r"(?P<cell>(?:cell_stem|reduction_cell|cell)_\d+)"


def foreign_names(names: Iterable[str], source: str) -> dict[str, Foreign]:
    """Returns what each variable is called, and how it is arranged, in Keras.

    Args:
        names: slimnets' names relative to the network's scope; all of a network's for
            sources whose layers have no names there, and for NASNet.
        source: one of `SOURCES`.

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
        found = _by_rule(name, rules, parts)
        if found is not None:
            foreign[name] = found
        elif source in _ORDER:
            unnamed.append(name)
        else:
            raise ValueError(f"The variable {name!r} has no counterpart in {source}.")
    return {**foreign, **_by_order(unnamed, _ORDER.get(source, ()), source)}


def _by_rule(name: str, rules: Iterable[Rule], parts: Mapping[str, str]):
    for pattern, template, layout in rules:
        if match := re.fullmatch(pattern, name):
            layer = template(match) if callable(template) else match.expand(template)
            part = match["part"]
            layout = layout if part == "weights" else _SAME
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
