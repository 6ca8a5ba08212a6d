"""The networks as tf.contrib.slim and tf_slim have them, under their module names.

They are as `slimnets.slim.nets`, but for what research/slim has added since: pools are
no end points, logits of ResNets stay `[batch, 1, 1, classes]`, and networks but ResNets
always have logits.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets import layers
from slimnets.rows.arg_scopes import inception_arg_scope
from slimnets.rows.head_layers import GlobalPool, Kept, Squeeze, WindowPool
from slimnets.rows.row import Row
from slimnets.scopes import Scope, arg_scope
from slimnets.slim.nets import ORDERS, forms

_RESNET = "inputs {}num_classes is_training global_pool output_stride {}reuse scope"
_INCEPTION = "inputs num_classes is_training dropout_keep_prob"
_CONTRIB = {
    "bottleneck": ORDERS["bottleneck"],
    "resnet_v[12]": _RESNET.format("blocks ", "include_root_block "),
    "resnet_v[12]_*": _RESNET.format("", ""),
    "inception_v1_base": "inputs final_endpoint scope",
    "inception_v2_base": "inputs final_endpoint min_depth depth_multiplier scope",
    "inception_v3": f"{_INCEPTION} min_depth depth_multiplier prediction_fn "
    "spatial_squeeze reuse scope",
    "vgg_*": f"{_INCEPTION} spatial_squeeze scope",
    "stack_blocks_dense": "net blocks output_stride outputs_collections",
}
_SCOPES = {
    "inception_v1_arg_scope": "weight_decay use_batch_norm batch_norm_var_collection",
    "inception_v2_arg_scope": "weight_decay batch_norm_var_collection",
    "inception_v3_arg_scope": "weight_decay batch_norm_var_collection batch_norm_decay "
    "batch_norm_epsilon updates_collections use_fused_batchnorm",
}


def _change(row: Row) -> Row:
    """A row of research/slim's form in this one."""
    resnet = row.collects_layers
    dropped = Squeeze if resnet else Kept if row.name == "inception_v2" else ()

    def parts(layers: tuple[Any, ...]) -> tuple[Any, ...]:
        kept = [part for part in layers if not isinstance(part, dropped)]
        return tuple(
            dataclasses.replace(part, keyed=False)
            if isinstance(part, (GlobalPool, WindowPool))
            else part
            for part in kept
        )

    head = dataclasses.replace(
        row.head, features=parts(row.head.features), logits=parts(row.head.logits)
    )
    if resnet or "num_classes" not in dict(row.arguments):
        return dataclasses.replace(row, head=head)
    vary = functools.partial(_with_logits, vary=row.vary)
    return dataclasses.replace(row, head=head, vary=vary)


def _with_logits(
    row: Row, options: dict[str, Any], *, vary: Callable | None, **own: Any
) -> Row:
    if not options["num_classes"]:
        raise ValueError(
            f"{row.name}: num_classes={options['num_classes']!r}; tf.contrib's form of "
            "it always has logits, slimnets.slim.nets' has features too."
        )
    return vary(row, options, **own) if vary else row


def _inception_scope(
    weight_decay: float = 0.00004,
    use_batch_norm: bool = True,
    batch_norm_var_collection: str = "moving_vars",
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    updates_collections: Any = tf.compat.v1.GraphKeys.UPDATE_OPS,
    use_fused_batchnorm: bool = True,
) -> Scope:
    """Returns tf.contrib.slim's arg scope; the moving averages are in a collection.

    Args:
        weight_decay: of the weights, as an L2 loss.
        use_batch_norm: whether convolutions are normalized rather than biased.
        batch_norm_var_collection: graph collection for the moving averages.
        batch_norm_decay: of these.
        batch_norm_epsilon: added to the variances.
        updates_collections: graph collections for the updates.
        use_fused_batchnorm: the fused operation is used wherever it exists.
    """
    moving = [batch_norm_var_collection]
    collections = {"moving_mean": moving, "moving_variance": moving}
    made = inception_arg_scope(
        weight_decay, use_batch_norm, batch_norm_decay, batch_norm_epsilon,
        batch_norm_updates_collections=updates_collections,
    )  # fmt: skip
    with (
        arg_scope(made),
        arg_scope([layers.batch_norm], variables_collections=collections) as made,
    ):
        return made


def _make() -> None:
    form = forms.Form(_CONTRIB, _change)
    for name in __all__:
        source = importlib.import_module(f"slimnets.nets.{name}")
        made = globals()[name] = form.module(f"{__name__}.{name}", source)
        for scope, order in _SCOPES.items():
            if hasattr(made, scope):
                setattr(made, scope, forms.reordered(_inception_scope, order))


__all__ = [
    *("alexnet", "inception", "inception_v1", "inception_v2", "inception_v3"),
    *("overfeat", "resnet_utils", "resnet_v1", "resnet_v2", "vgg"),
]
_make()
