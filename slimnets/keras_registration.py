"""Lets Keras know slimnets' layer, so that files that hold one can be loaded.

`import slimnets` is enough for that, whether Keras comes before or after it, and
imports neither Keras nor TensorFlow: the layer's class is made when there is Keras, and
the network when there is a layer.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

from slimnets.lazy_names import when_imported

# They lie above this room.
_MODEL, _FACTORY = "slimnets.model", "slimnets.factory"


def register_with_keras() -> None:
    """Registers the layer: now, or when Keras is imported."""
    if getattr(sys.modules.get("keras"), "layers", None) is not None:
        layer_class()
    else:
        when_imported("keras", layer_class)


@functools.cache
def layer_class() -> type:
    """The class of what `slimnets.keras_layer` returns."""
    import keras

    @keras.saving.register_keras_serializable(package="slimnets")
    class NetworkLayer(keras.layers.Layer):
        """A slimnets Model as a layer; see `keras_layer`."""

        def __init__(self, model, *, regularize=True, name=None, **kwargs):
            super().__init__(name=name or model.network_name, **kwargs)
            self.network = model
            self.regularize = regularize
            self.trainable = self.trainable and model.trainable

        def build(self, input_shape: Any) -> None:
            self.network.build(input_shape)
            made = {}
            for key, variable in self.network.variables_by_name.items():
                weight = self.add_weight(
                    name=key.replace("/", "."),
                    shape=variable.shape,
                    dtype=variable.dtype.name,
                    initializer=_constant(variable),
                    trainable=variable.trainable,
                    autocast=False,
                    aggregation="mean",
                )
                made[key] = weight.value
            self.network.adopt_variables(made)

        def call(self, inputs: Any, training: bool = False) -> Any:
            training = bool(training) and self.trainable
            outputs = self.network(inputs, training=training)
            if self.regularize and training:
                self.add_loss(self.network.regularization_loss())
            return outputs

        def compute_output_shape(self, input_shape: Any) -> tuple:
            return tuple(self.network.output_shape(input_shape))

        def get_config(self) -> dict[str, Any]:
            config = {"regularize": self.regularize, "network": _config(self.network)}
            return {**super().get_config(), **config}

        @classmethod
        def from_config(cls, config: dict[str, Any]):
            network = dict(config["network"])
            name, options = network.pop("name"), network.pop("options")
            model = importlib.import_module(_MODEL).Model(name, **options, **network)
            return cls(model, **{k: v for k, v in config.items() if k != "network"})

    return NetworkLayer


def _constant(variable: Any):
    return lambda shape, dtype=None: variable.read_value()


def _config(model: Any) -> dict[str, Any]:
    """What makes the same Model again. Raises ValueError for a network of one's own."""
    name = model.network_name
    if name not in importlib.import_module(_FACTORY).list_networks(name):
        raise ValueError(
            f"The network {name!r} is not registered, so a file could not name it: "
            "register it with slimnets.register_network."
        )
    return {
        "name": name,
        "num_classes": model.num_classes,
        "precision": model.precision,
        "seed": model.seed,
        "rules": model.rules.to_json(),
        "options": model.network_options,
    }
