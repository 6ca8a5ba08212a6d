"""A Model as a Keras 3 layer.

Keras trains and saves the variables that a layer makes, so the layer makes the Model's
variables and the Model uses these from then on. Its class is made where Keras learns of
it, in `slimnets.keras_registration`.
"""

from __future__ import annotations

from slimnets.deprecation import deprecated
from slimnets.keras_registration import layer_class
from slimnets.model import Model


def keras_layer(model: Model, *, regularize: bool = True, name: str | None = None):
    """Returns a `keras.layers.Layer` around a Model.

        network = slimnets.keras_layer(slimnets.Model("resnet18", num_classes=10))
        model = keras.Sequential([keras.Input((224, 224, 3)), network])

    The layer's weights are the Model's own variables, with its names (dots for
    slashes); values that the Model has already are kept. A Model of a registered
    network is saved and loaded with the Keras model that has the layer in it, wherever
    slimnets is imported. With `layer.trainable = False`, and from the beginning where
    the Model's is False, the network is that of inference in training too: its moving
    averages stay, as those of Keras's BatchNormalization do.

    Args:
        model: the Model. What it has traced so far is forgotten.
        regularize: whether `model.regularization_loss()` is added to the losses.
        name: the layer's name; the network's by default.

    Raises:
        TypeError: if `model` is not a Model.
    """
    if not isinstance(model, Model):
        raise TypeError(f"keras_layer takes a slimnets.Model; got {model!r}.")
    return layer_class()(model, regularize=regularize, name=name)


@deprecated("0.2", "import slimnets, which is enough")
def register_layer() -> None:
    """Lets Keras know the layer, so that it can load a file that holds one."""
    layer_class()
