"""A Model as a Keras 3 layer.

Keras trains and saves the variables that a layer makes, so the layer makes the Model's
variables and the Model uses these from then on.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from slimnets import factory
from slimnets.model import Model


def keras_layer(model: Model, *, regularize: bool = True, name: str | None = None):
    """Returns a `keras.layers.Layer` around a Model.

        network = slimnets.keras_layer(slimnets.Model("resnet18", num_classes=10))
        model = keras.Sequential([keras.Input((224, 224, 3)), network])

    The layer's weights are the Model's own variables, with its names (dots for
    slashes); values that the Model has already are kept. A Model of a registered
    network is saved and loaded with the Keras model that has the layer in it. With
    `layer.trainable = False` the network is that of inference in training too: its
    moving averages stay, as those of Keras's BatchNormalization do.

    Args:
        model: the Model. What it has traced so far is forgotten.
        regularize: whether `model.regularization_loss()` is added to the losses.
        name: the layer's name; the network's by default.

    Raises:
        TypeError: if `model` is not a Model.
    """
    if not isinstance(model, Model):
        raise TypeError(f"keras_layer takes a slimnets.Model; got {model!r}.")
    return _layer_class()(model, regularize=regularize, name=name)


def register_layer() -> None:
    """Lets Keras know the layer, so that it can load a file that holds one."""
    _layer_class()


@functools.cache
def _layer_class() -> type:
    # Keras is imported when a layer is wanted: TensorFlow alone does not need it.
    import keras

    @keras.saving.register_keras_serializable(package="slimnets")
    class NetworkLayer(keras.layers.Layer):
        """A slimnets Model as a layer; see `keras_layer`."""

        def __init__(self, model, *, regularize=True, name=None, **kwargs):
            super().__init__(name=name or model.network_name, **kwargs)
            self.network = model
            self.regularize = regularize

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

        def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
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
            config = dict(config)
            network, options = config["network"], {}
            options = {**network.pop("options"), **network}
            config["model"] = Model(options.pop("name"), **options)
            del config["network"]
            return cls(**config)

    return NetworkLayer


def _constant(variable: tf.Variable):
    return lambda shape, dtype=None: tf.convert_to_tensor(variable)


def _config(model: Model) -> dict[str, Any]:
    """What makes the same Model again. Raises ValueError for a network of one's own."""
    name = model.network_name
    if name not in factory.list_networks(name):
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
