"""What a Model tells of itself, and how it is copied."""

from __future__ import annotations

import importlib
import os
import pathlib
import tempfile
from typing import Any

import tensorflow as tf

from slimnets import features, scopes
from slimnets.model.store import VariableStore
from slimnets.rows.levels import Feature

# Summaries and pictures lie above, and are imported when they are asked for.
_INSPECTION = "slimnets.inspection"


class Picture:
    """A drawing that a notebook shows.

    Attributes:
        svg: its text.
    """

    def __init__(self, svg: str):
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Picture, {len(self.svg)} characters of SVG>"


class DescribedModel(VariableStore):
    """The part of a Model that shows it.

    A copy has variables of its own, with the values of now; so has what is unpickled,
    where a network that is not registered must be importable.
    """

    def __repr__(self) -> str:
        built = f"{len(self._variables)} variables" if self._variables else "not built"
        frozen = "" if self.trainable else ", not trainable"
        return (
            f"<Model {self.network_name}, num_classes={self.num_classes}, "
            f"{self.precision}, {built}{frozen}>"
        )

    def summary(self, depth: int | None = None, input_shape: Any = None) -> Any:
        """Returns the table of its layers; see `slimnets.summarize`.

        Args:
            depth: number of scopes below the network's own that stay apart: 1 for
                blocks; None for every layer.
            input_shape: by default what it was built for, or one image of the
                network's default size.
        """
        if input_shape is None and self.input_specs is not None:
            input_shape = tf.nest.map_structure(_shape_of_one, self.input_specs)
        inspection = importlib.import_module(_INSPECTION)
        whole = inspection.summarize(self, input_shape=input_shape)
        return whole if depth is None else whole.folded(depth)

    @property
    def input_specs(self) -> Any:
        """A tf.TensorSpec, or a structure of them, of the inputs that it was built for;
        None before that."""
        return self._notes.inputs

    @property
    def input_metadata(self) -> dict[str, Any]:
        """What the weights that it was made with tell of its images, by
        `checkpoints.metadata.OF_INPUTS`; it is written beside what is saved of it."""
        return dict(self._notes.input_metadata)

    @property
    def preprocessing(self) -> str | None:
        """The name of how images become its input, by its weights; None if they do not
        tell."""
        return self._notes.input_metadata.get("preprocessing_name")

    def remade(self, **options: Any) -> DescribedModel:
        """Returns a Model of other options, not built, that is made as this one was."""
        arguments = {**self._notes.arguments, **options}
        return _made(type(self), arguments, self._notes.arg_scope)

    def feature_info(self, **options: Any) -> list[Feature]:
        """Returns its levels; see `slimnets.feature_info`, of which these are the
        further arguments."""
        options = {**self.network_options, **options}
        return features.feature_info(self.network_function, **options)

    def plot(
        self, path: str | os.PathLike | None = None, depth: int | None = 1
    ) -> Picture | None:
        """Draws the network; see `slimnets.inspection.plot_network`.

        Args:
            path: a file, .svg, .png or .pdf; None for a picture that a notebook shows.
            depth: 1 for blocks, 2 for units, None for every layer.

        Raises:
            ImportError: without matplotlib.
        """
        draw = importlib.import_module(_INSPECTION).plot_network
        if path is not None:
            draw(self.summary(), path, depth=depth)
            return None
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "network.svg"
            draw(self.summary(), file, depth=depth)
            return Picture(file.read_text(encoding="utf-8"))

    def __reduce__(self) -> Any:
        notes = self._notes
        state = {
            "trainable": self.trainable,
            "inputs": notes.inputs,
            "input_metadata": notes.input_metadata,
            "values": {
                name: tf.convert_to_tensor(variable).numpy()
                for name, variable in self._variables.items()
            },
        }
        return _made, (type(self), notes.arguments, notes.arg_scope), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.trainable = state["trainable"]
        self._notes.keep_input_metadata(state["input_metadata"])
        if state["inputs"] is not None:
            self.build(tf.nest.map_structure(lambda spec: spec.shape, state["inputs"]))
        for name, value in state["values"].items():
            self._variables[name].assign(value)


def _made(kind: type, arguments: dict[str, Any], arg_scope: dict) -> DescribedModel:
    with scopes.arg_scope(arg_scope):
        return kind(**arguments)


def _shape_of_one(spec: tf.TensorSpec) -> list[int | None]:
    return [1, *spec.shape[1:]]
