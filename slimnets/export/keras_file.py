"""Keras's .keras files: a model of one layer, which holds the network."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from slimnets import factory
from slimnets.checkpoints import metadata as metadata_fields
from slimnets.export.frozen import IMAGES, LOGITS, Frozen
from slimnets.export.refusals import refusals_of
from slimnets.export.saved_model import InGraph, Run
from slimnets.model import Model
from slimnets.model.keras_layer import keras_layer


def write_keras(model: Model, frozen: Frozen, path: str, precision: str) -> None:
    """Writes a .keras file that gives the logits; batch norms and all can be trained.

    `keras.models.load_model` reads it where slimnets is imported.

    Raises:
        ValueError: for a network of several inputs, one that is not registered, or
            options that the file cannot hold.
    """
    import keras

    if IMAGES not in frozen.inputs:
        raise ValueError(
            "A .keras file takes one input; this network has "
            f"{', '.join(frozen.inputs)}."
        )
    batch, *sizes = frozen.inputs[IMAGES].shape
    name = model.network_name
    known = name in factory.list_networks(name)
    if not known or inspect.unwrap(
        factory.network_info(name).network
    ) is not inspect.unwrap(model.network_function):
        raise ValueError(
            f"A .keras file names its network, and {name!r} is not registered: use "
            "slimnets.register_network."
        )
    said = metadata_fields.describe(model)["network_options"]
    if unsaid := [key for key in model.network_options if key not in said]:
        raise ValueError(
            "A .keras file holds options that JSON can say; it cannot hold "
            f"{', '.join(unsaid)} of {name}."
        )
    own = Model(
        name,
        num_classes=model.num_classes,
        precision=precision,
        rules=model.rules.pairs,
        **model.network_options,
    )
    own.build([batch, *sizes])
    for key, variable in model.variables_by_name.items():
        own.variable_by_name(key).assign(variable)
    with warnings.catch_warnings(), refusals_of("Keras refuses this network"):
        # Of Keras's own way from variables to numpy 2.
        warnings.simplefilter("ignore", DeprecationWarning)
        inputs = keras.Input(sizes, batch, name=IMAGES)
        keras.Model(inputs, keras_layer(own)(inputs)).save(path)


def load_keras(path: str, outputs: Sequence[str]) -> tuple[Run, list[str]]:
    """Returns what runs a .keras file, and the name of its input."""
    import keras

    network = keras.models.load_model(path)
    name = outputs[0] if outputs else LOGITS

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.asarray(network(inputs[IMAGES], training=False))}

    return run, [IMAGES]


def keras_in_graph(path: str) -> InGraph:
    """Returns what puts the network of a .keras file into the caller's graph."""
    import keras

    network = keras.models.load_model(path)

    def put(images: tf.Tensor, names: Sequence[str]) -> list[tf.Tensor]:
        del names  # It has one output.
        return [network(images, training=False)]

    return put
