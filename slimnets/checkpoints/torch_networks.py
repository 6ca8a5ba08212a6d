"""torch's names, and BiT's, as rules of `mapping`.

Source: torchvision's resnet.py (BSD); timm's resnet.py, resnetv2.py (BiT in torch),
regnet.py, efficientnet.py, densenet.py, convnext.py and xception_aligned.py (Apache
2.0); EfficientNet-PyTorch's model.py (Apache 2.0); BiT's .npz files.
"""

from __future__ import annotations

from typing import Any

UNIT = r"block(?P<block>\d+)/unit_(?P<unit>\d+)/\w+"
PART = r"/(?P<part>\w+)"
NORMED = r"/(?:BatchNorm|GroupNorm)" + PART

Rules = tuple[tuple[str, str], ...]


def _normed(layer: str, conv: str, norm: str) -> Rules:
    """The rules of a convolution and of its norm."""
    return ((layer + NORMED, f"{norm}.{{part}}"), (layer + PART, f"{conv}.{{part}}"))


_L = "layer{block}.{unit0}."
_RESNET_UNITS: Rules = (
    *_normed(rf"{UNIT}/conv(?P<conv>\d)", f"{_L}conv{{conv}}", f"{_L}bn{{conv}}"),
    (rf"{UNIT}/se/fc(?P<fc>\d){PART}", f"{_L}se.fc{{fc}}.{{part}}"),
    (f"logits{PART}", "fc.{part}"),
)
# A deep root is a sequence with its activations counted.
_RESNET_ROOT: Rules = (
    *_normed("conv1", "conv1", "bn1"),
    *_normed("conv1_1", "conv1.0", "conv1.1"),
    *_normed("conv1_2", "conv1.3", "conv1.4"),
    *_normed("conv1_3", "conv1.6", "bn1"),
    *_normed("pool1", "maxpool.0", "maxpool.1"),
)
_SHORTCUT, _DOWN = f"{UNIT}/shortcut", f"{_L}downsample."
_RESNET: Rules = (
    *_RESNET_UNITS,
    *_normed(_SHORTCUT, f"{_DOWN}0", f"{_DOWN}1"),
    *_RESNET_ROOT,
)
# An average pool stands first in a downsampling shortcut of the `d` kind.
_RESNET_D: Rules = (
    *_RESNET_UNITS,
    *_normed(_SHORTCUT, f"{_DOWN}1", f"{_DOWN}2"),
    *_RESNET_ROOT,
)

# The norm behind a convolution is the next one's.
_CONV = rf"{UNIT}/conv(?P<conv>\d)"
_P = "stages.{block0}.blocks.{unit0}."
BIT: Rules = (
    (f"{UNIT}/preact{PART}", f"{_P}norm1.{{part}}"),
    (f"{_SHORTCUT}{PART}", f"{_P}downsample.conv.{{part}}"),
    *_normed(_CONV, f"{_P}conv{{conv}}", f"{_P}norm{{next_conv}}"),
    (f"conv1{PART}", "stem.conv.{part}"),
    (f"postnorm{PART}", "norm.{part}"),
    (f"logits{PART}", "head.fc.{part}"),
)
_R, _WS = "resnet/{block_unit}/", "standardized_conv2d/{part}"
BIT_NPZ: Rules = (
    (f"{UNIT}/preact{PART}", f"{_R}a/group_norm/{{part}}"),
    (f"{_SHORTCUT}{PART}", f"{_R}a/proj/{_WS}"),
    (f"{_CONV}{NORMED}", f"{_R}{{next_letter}}/group_norm/{{part}}"),
    (f"{_CONV}{PART}", f"{_R}{{letter}}/{_WS}"),
    (f"conv1{PART}", f"resnet/root_block/{_WS}"),
    (f"postnorm{PART}", "resnet/group_norm/{part}"),
    (f"logits{PART}", "resnet/head/conv2d/{part}"),
)

_S = "s{block}.b{unit}."
_REGNET: Rules = (
    *_normed(
        rf"{UNIT}/conv(?P<conv>\d)", f"{_S}conv{{conv}}.conv", f"{_S}conv{{conv}}.bn"
    ),
    *_normed(f"{UNIT}/shortcut", f"{_S}downsample.conv", f"{_S}downsample.bn"),
    (rf"{UNIT}/se/fc(?P<fc>\d){PART}", f"{_S}se.fc{{fc}}.{{part}}"),
    *_normed("conv1", "stem.conv", "stem.bn"),
    (f"logits{PART}", "head.fc.{part}"),
)

# The first block's units have no convolution before the depthwise one.
_B = "blocks.{block0}.{unit0}."
_FIRST = UNIT.replace(r"\d+", "1", 1)
_FUSED = UNIT.replace(r"\w+", "fused_inverted_residual")
_EFFICIENTNET: Rules = (
    (f"{UNIT}/squeeze_excite/Conv{PART}", f"{_B}se.conv_reduce.{{part}}"),
    (f"{UNIT}/squeeze_excite/Conv_1{PART}", f"{_B}se.conv_expand.{{part}}"),
    *_normed(f"{_FIRST}/depthwise", f"{_B}conv_dw", f"{_B}bn1"),
    *_normed(f"{_FIRST}/project", f"{_B}conv_pw", f"{_B}bn2"),
    *_normed(f"{_FUSED}/expand", f"{_B}conv_exp", f"{_B}bn1"),
    *_normed(f"{_FUSED}/project", f"{_B}conv_pwl", f"{_B}bn2"),
    *_normed(f"{UNIT}/expand", f"{_B}conv_pw", f"{_B}bn1"),
    *_normed(f"{UNIT}/depthwise", f"{_B}conv_dw", f"{_B}bn2"),
    *_normed(f"{UNIT}/project", f"{_B}conv_pwl", f"{_B}bn3"),
    *_normed(f"{UNIT}/conv", f"{_B}conv", f"{_B}bn1"),
    *_normed("conv1", "conv_stem", "bn1"),
    *_normed("conv_head", "conv_head", "bn2"),
    (f"logits{PART}", "classifier.{part}"),
)

# EfficientNet-PyTorch's, which numbers units through all stages.
_U = "_blocks.{rank}."
_EFFICIENTNET_PYTORCH: Rules = (
    (f"{UNIT}/squeeze_excite/Conv{PART}", f"{_U}_se_reduce.{{part}}"),
    (f"{UNIT}/squeeze_excite/Conv_1{PART}", f"{_U}_se_expand.{{part}}"),
    *_normed(f"{UNIT}/expand", f"{_U}_expand_conv", f"{_U}_bn0"),
    *_normed(f"{UNIT}/depthwise", f"{_U}_depthwise_conv", f"{_U}_bn1"),
    *_normed(f"{UNIT}/project", f"{_U}_project_conv", f"{_U}_bn2"),
    *_normed("conv1", "_conv_stem", "_bn0"),
    *_normed("conv_head", "_conv_head", "_bn1"),
    (f"logits{PART}", "_fc.{part}"),
)

_MOBILENET_V4: Rules = (
    *_normed(f"{_FUSED}/expand", f"{_B}conv_exp", f"{_B}bn1"),
    *_normed(f"{_FUSED}/project", f"{_B}conv_pwl", f"{_B}bn2"),
    *_normed(f"{UNIT}/depthwise_start", f"{_B}dw_start.conv", f"{_B}dw_start.bn"),
    *_normed(f"{UNIT}/expand", f"{_B}pw_exp.conv", f"{_B}pw_exp.bn"),
    *_normed(f"{UNIT}/depthwise", f"{_B}dw_mid.conv", f"{_B}dw_mid.bn"),
    *_normed(f"{UNIT}/project", f"{_B}pw_proj.conv", f"{_B}pw_proj.bn"),
    *_normed(r"block(?P<block>\d)/conv_(?P<unit>\d)", f"{_B}conv", f"{_B}bn1"),
    *_normed("conv1", "conv_stem", "bn1"),
    *_normed("conv_head", "conv_head", "norm_head"),
    (f"logits{PART}", "classifier.{part}"),
)

_D = "features.denseblock{block}.denselayer{unit}."
_DENSENET: Rules = (
    (f"{UNIT}/preact{PART}", f"{_D}norm1.{{part}}"),
    *_normed(f"{UNIT}/conv1", f"{_D}conv1", f"{_D}norm2"),
    (f"{UNIT}/conv2{PART}", f"{_D}conv2.{{part}}"),
    (rf"transition(?P<n>\d)/Branch_0/(?P<layer>norm|conv){PART}",
     "features.transition{n}.{layer}.{part}"),
    *_normed("conv1", "features.conv0", "features.norm0"),
    (f"postnorm{PART}", "features.norm5.{part}"),
    (f"logits{PART}", "classifier.{part}"),
)  # fmt: skip

_C = "stages.{block0}.blocks.{unit0}."
_CONVNEXT: Rules = (
    (f"{UNIT}/downsample_norm{PART}", "stages.{block0}.downsample.0.{part}"),
    (f"{UNIT}/downsample{PART}", "stages.{block0}.downsample.1.{part}"),
    (f"{UNIT}/depthwise{PART}", f"{_C}conv_dw.{{part}}"),
    (f"{UNIT}/norm{PART}", f"{_C}norm.{{part}}"),
    (rf"{UNIT}/fc(?P<fc>\d){PART}", f"{_C}mlp.fc{{fc}}.{{part}}"),
    (f"{UNIT}/grn{PART}", f"{_C}mlp.grn.{{part}}"),
    (f"{UNIT}/(?P<part>layer_scale)", f"{_C}gamma"),
    (f"conv1{PART}", "stem.0.{part}"),
    (f"norm1{PART}", "stem.1.{part}"),
    (f"head_norm{PART}", "head.norm.{part}"),
    (f"logits{PART}", "head.fc.{part}"),
)

# timm numbers the units of all three flows.
_XCEPTION_UNITS = (
    *(f"entry_flow/block{i}/unit_1" for i in (1, 2, 3)),
    *(f"middle_flow/block1/unit_{i}" for i in range(1, 17)),
    *(f"exit_flow/block{i}/unit_1" for i in (1, 2)),
)


def _xception_unit(index: int, scope: str) -> Rules:
    conv = rf"{scope}/xception_module/separable_conv(?P<conv>\d)"
    stack = f"blocks.{index}.stack.conv{{conv}}."
    shortcut = f"blocks.{index}.shortcut."
    return (
        *_normed(f"{conv}_depthwise", f"{stack}conv_dw", f"{stack}bn_dw"),
        *_normed(f"{conv}_pointwise", f"{stack}conv_pw", f"{stack}bn_pw"),
        *_normed(
            f"{scope}/xception_module/shortcut", f"{shortcut}conv", f"{shortcut}bn"
        ),
    )


_XCEPTION: Rules = (
    *_normed("entry_flow/conv1_1", "stem.0.conv", "stem.0.bn"),
    *_normed("entry_flow/conv1_2", "stem.1.conv", "stem.1.bn"),
    *(rule for i, s in enumerate(_XCEPTION_UNITS) for rule in _xception_unit(i, s)),
    (f"logits{PART}", "head.fc.{part}"),
)

# The rules, and what else differs in `mapping.Source`.
RULES: dict[str, tuple[Rules, dict[str, Any]]] = {
    "torch": (_RESNET, {}),
    "torch_d": (_RESNET_D, {}),
    "torch_regnet": (_REGNET, {}),
    "torch_efficientnet": (_EFFICIENTNET, {}),
    "torch_efficientnet_pytorch": (_EFFICIENTNET_PYTORCH, {}),
    "torch_mobilenet_v4": (_MOBILENET_V4, {}),
    "torch_densenet": (_DENSENET, {}),
    "torch_convnext": (_CONVNEXT, {"dense": r"logits/.*|.*/fc\d/.*"}),
    "torch_convnext_conv": (_CONVNEXT, {}),
    "torch_xception": (_XCEPTION, {}),
}
