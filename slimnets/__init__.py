"""slimnets: a functional network factory with arg scopes for TensorFlow."""

from slimnets.keras_registration import register_with_keras
from slimnets.lazy_names import lazily
from slimnets.version import __version__

# Imported when they are first asked for, so that `slimnets --help` does not wait for
# TensorFlow, and the command can keep TensorFlow's start-up lines off the screen.
_HOMES = {
    "Block": "blocks",
    "EndPoints": "end_points",
    "Model": "model",
    "add_arg_scope": "scopes",
    "arg_scope": "scopes",
    "build": "factory",
    "conv2d_same": "blocks",
    "current_arg_scope": "scopes",
    "feature_extractor": "model.feature_extractor",
    "feature_info": "features",
    "feature_pyramid": "necks",
    "get_network_fn": "factory",
    "keras_layer": "model.keras_layer",
    "layer_rules": "rules",
    "lint_graph": "inspection",
    "list_networks": "factory",
    "load_weights": "checkpoints",
    "network_info": "factory",
    "open_trained": "trained",
    "register_network": "factory",
    "save_weights": "checkpoints",
    "stack_blocks": "blocks",
    "start_tensorflow": "quiet",
    "subsample": "blocks",
    "summarize": "inspection",
}
_MODULES = ("features", "layers", "nets", "slim")  # features is a function too.
# Rooms: there as slimnets.data and so on, but not in `from slimnets import *`.
_ROOMS = (
    "checkpoints",
    "data",
    "export",
    "inspection",
    "necks",
    "rules",
    "tasks",
    "training",
    "weights",
)

__all__ = ["__version__", *sorted([*_HOMES, *_MODULES])]
__getattr__ = lazily(__name__, _HOMES, (*_MODULES, *_ROOMS))


register_with_keras()


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS]
