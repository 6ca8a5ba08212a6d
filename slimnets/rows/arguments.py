"""What networks take: their signatures as data, and one text for each argument.

A row names the arguments that TF-Slim fixed, with their defaults and in their order.
Every other argument in `COMMON` follows by keyword, so that none is known to one
network and unknown to another.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Iterable
from typing import Any

from slimnets.listing import did_you_mean

# By keyword, after those that a row fixes: name and default.
COMMON: tuple[tuple[str, Any], ...] = (
    ("num_classes", None),
    ("is_training", True),
    ("global_pool", True),
    ("output_stride", None),
    ("spatial_squeeze", True),
    ("reuse", None),
    ("store_non_strided_activations", False),
    ("depth_multiplier", 1.0),
    ("min_depth", None),
    ("drop_path_rate", 0.0),
    ("norm", "batch"),
    ("activation_fn", None),
    ("prediction_fn", None),
    ("dropout_keep_prob", None),
    ("zero_init_residual", False),
    ("multi_grid", None),
    ("freeze_at", 0),
    ("recompute", None),
    ("final_endpoint", None),
    ("padding", None),
)
# In the place of a default: an argument that must be given.
NO_DEFAULT = inspect.Parameter.empty
# Other names of the same argument.
ALIASES = {"min_base_depth": "min_depth", "keep_prob": "dropout_keep_prob"}

TEXTS = {
    "num_classes": "number of classes; None or 0 gives the features.",
    "is_training": "whether batch norms use the batch's statistics and update their "
    "moving averages, and dropout and drop path drop: a bool, a scalar bool tensor, or "
    "None to leave it to the open arg scopes.",
    "global_pool": "whether to average over height and width before the logits.",
    "output_stride": "ratio of the inputs' resolution to the last stage's, from which "
    "on convolutions are atrous; None for the units' own strides.",
    "spatial_squeeze": "whether logits of one position are `[batch, num_classes]` "
    "rather than `[batch, 1, 1, num_classes]`.",
    "reuse": "as in `tf.compat.v1.variable_scope`.",
    "scope": "name of the variable scope, or an open one.",
    "store_non_strided_activations": "whether end points of blocks have the resolution "
    "before the stride of the block's last unit.",
    "depth_multiplier": "scales the depths.",
    "min_depth": "a depth is never scaled below this.",
    "min_base_depth": "a base depth is never scaled below this.",
    "drop_path_rate": "probability of dropping the last unit's residual branch in "
    "training; it rises evenly from 0 at the first unit.",
    "norm": "`batch`, the family's own; `frozen`, a batch norm whose statistics and "
    "parameters stay as they are; `sync`, one whose statistics are of all replicas' "
    "batches; `group`, with the most groups up to 32 that divide the channels; or a "
    "normalizer function.",
    "activation_fn": "of the whole network, instead of the family's.",
    "prediction_fn": "makes predictions of logits.",
    "dropout_keep_prob": "of the features before the logits.",
    "zero_init_residual": "whether the last gamma of each unit begins at 0.",
    "multi_grid": "factors of the rates of the last stage's units; see `stack_blocks`.",
    "freeze_at": "how many stages are frozen: their variables do not train and their "
    "statistics stay as they are. 1 is the root, 2 the first stage too.",
    "recompute": "whether units keep only their inputs for the gradients; None leaves "
    "it to the arg scope of `stack_blocks`.",
    "final_endpoint": "stops at this end point and returns it.",
    "padding": "`SAME` to have the layers pad that do not, so that activations have "
    "whole strides.",
    "create_aux_logits": "whether to make the end point `AuxLogits`, for a second "
    "loss. Their weights depend on the size of the images.",
    "base_only": "whether to leave the head away.",
}
IMAGES = "`[batch, height, width, channels]`, any number of channels."


def signature_of(
    fixed: Iterable[tuple[str, Any]], keywords: Iterable[tuple[str, Any]], scope: Any
) -> inspect.Signature:
    """Returns the signature of a network function.

    Args:
        fixed: the arguments that may be given by position: the inputs' name, with no
            default, and those that TF-Slim fixed.
        keywords: further ones, by keyword, and other defaults of common ones.
        scope: the default name of the variable scope.
    """
    (inputs, _), *fixed = fixed
    given = dict(fixed) | dict(keywords)
    known = {ALIASES.get(name, name) for name in given}
    later = [(name, default) for name, default in COMMON if name not in known]
    if "scope" not in known:
        later.append(("scope", scope))
    kinds = inspect.Parameter
    parameters = [kinds(inputs, kinds.POSITIONAL_OR_KEYWORD)]
    for name, default in fixed:
        parameters.append(kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=default))
    for name, default in [*keywords, *later]:
        parameters.append(kinds(name, kinds.KEYWORD_ONLY, default=default))
    return inspect.Signature(parameters)


def documented(
    summary: str, signature: inspect.Signature, texts: dict[str, str], notes: str
) -> str:
    """Returns the docstring of a network function."""
    inputs, *names = signature.parameters
    lines = [f"    {inputs}: {texts.get(inputs, IMAGES)}"]
    for name in names:
        lines.append(f"    {name}: {texts.get(name) or TEXTS[name]}")
    notes = f"{notes}\n\n" if notes else ""
    return f"{summary}\n\n{notes}Args:\n" + "\n".join(map(_wrapped, lines)) + _RETURNS


@functools.cache  # Most lines are of many networks.
def _wrapped(line: str) -> str:
    return textwrap.fill(
        line,
        88,
        subsequent_indent=" " * 8,
        break_on_hyphens=False,
        break_long_words=False,
    )


_RETURNS = """

Returns:
    `(net, end_points)`: logits, or features without classes, and every activation by
    name.

Raises:
    ValueError: if the inputs are not images of known channels, for an output stride
        that cannot be reached, or for what this network cannot do.
"""


def not_taken(name: str, keyword: str, signature: inspect.Signature) -> TypeError:
    """The error for a keyword that the network `name` does not have."""
    hint = did_you_mean(keyword, signature.parameters)
    return TypeError(
        f"The network {name!r} does not take {keyword!r}.{hint} It takes: "
        f"{', '.join(signature.parameters)}."
    )


def bound(
    name: str, signature: inspect.Signature, args: tuple, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Returns all arguments by name, the inputs' as `inputs`; see `ALIASES`.

    Raises:
        TypeError: for arguments that the signature does not have.
    """
    names = {ALIASES.get(name, name): name for name in signature.parameters}
    given, kwargs = kwargs, {}
    for keyword, value in given.items():
        own = names.get(ALIASES.get(keyword, keyword), keyword)
        if own in kwargs:
            raise TypeError(f"{name}(): {own!r} is given twice, by two names.")
        kwargs[own] = value
    for keyword in kwargs:
        if keyword not in signature.parameters:
            raise not_taken(name, keyword, signature)
    try:
        arguments = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}(): {error}.") from None
    arguments.apply_defaults()
    inputs = next(iter(signature.parameters))
    return {
        "inputs" if key == inputs else ALIASES.get(key, key): value
        for key, value in arguments.arguments.items()
    }
