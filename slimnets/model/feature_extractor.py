"""Features as a callable: some end points of a Model, and nothing behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slimnets.end_points import EndPoints
from slimnets.model import Model
from slimnets.model.arguments import outputs_of, runs_inline
from slimnets.model.store import sum_of_losses

_VARIABLE = "VarHandleOp"


class FeatureExtractor(tf.Module):
    """Gives end points of a Model; see `feature_extractor`.

    Args:
        model: the Model.
        names: for each feature an end point's.

    Attributes:
        end_points: the key of each feature.
    """

    def __init__(self, model: Model, names: Mapping[str, str]):
        super().__init__(name="feature_extractor")
        self.end_points, self._needed = _traced_back(model, names)
        self._model = _cut(model, list(self.end_points.values()))
        self._forward = tf.function(self._features, autograph=False)
        with tf.init_scope():
            self._forward.get_concrete_function(model.input_specs, False)
        # So that what tf.saved_model.load gives can be called.
        self.__dict__["__call__"] = self._forward

    def __repr__(self) -> str:
        features = ", ".join(self.end_points)
        return f"<FeatureExtractor of {self._model.network_name}: {features}>"

    def __reduce__(self) -> Any:
        return type(self), (self._model, dict(self.end_points))

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, images: Any, training: bool | tf.Tensor = False
    ) -> dict[str, tf.Tensor]:
        """Returns the features by name.

        Args:
            images: as of a call of the Model.
            training: as of a call of the Model.
        """
        if runs_inline():
            return self._features(images, training)
        return self._forward(images, training)

    def _features(self, images, training=False):
        found = self._model.features(images, list(self.end_points.values()), training)
        return {name: found[key] for name, key in self.end_points.items()}

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        """Those that the features depend on, and no others, under the Model's names."""
        return {name: self._model.variable_by_name(name) for name in self._needed}

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        return tuple(self.variables_by_name.values())

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        trained = {variable.ref() for variable in self._model.trainable_variables}
        return tuple(v for v in self.variables if v.ref() in trained)

    def regularization_loss(self) -> tf.Tensor:
        """Returns the sum of the losses of these variables' regularizers."""
        return sum_of_losses(self._model.regularizers, self.variables_by_name)


def feature_extractor(
    model: Model, names: str | Iterable[str] | Mapping[str, str]
) -> FeatureExtractor:
    """Returns a callable that gives some end points of a Model.

        backbone = slimnets.feature_extractor(model, ["C3", "resnet_v2_50/block2"])
        c3 = backbone(images)["C3"]

    Equal to `model.features(images, names)`. It computes no more than it must: where
    the network can end at an end point, what lies behind the last of them is not built,
    so that training leaves its moving averages alone too. The variables are the Model's
    own; a deep copy, and what is unpickled, has a Model of its own.
    `tf.saved_model.save` exports it.

    Args:
        model: the Model, built.
        names: whatever its end points answer to, or one; or a dict from these to what
            they are called in the result.

    Raises:
        TypeError: if `model` is not a Model.
        ValueError: if it is not built, or no names are given.
        KeyError: for an end point that it does not have.
    """
    if not isinstance(model, Model):
        raise TypeError(f"feature_extractor takes a slimnets.Model; got {model!r}.")
    if not model.variables:
        raise ValueError(
            "The Model has no variables yet; call it, or model.build(shape), first."
        )
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, Mapping):
        names = {name: name for name in names}
    if not names:
        raise ValueError("feature_extractor needs the name of an end point.")
    return FeatureExtractor(model, {called: name for name, called in names.items()})


def _traced_back(
    model: Model, names: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The end points' keys, the last of them last; and the variables behind them."""
    with tf.Graph().as_default():
        end_points = _end_points_in_graph(model, model.input_specs)
        behind = {
            called: _operations(end_points[name].op) for called, name in names.items()
        }
        # What lies before another one has fewer operations behind it.
        ordered = sorted(names, key=lambda called: len(behind[called]))
        every = set().union(*behind.values())
        used = {op.name for op in every if op.type == _VARIABLE}
        needed = tuple(name for name in model.variables_by_name if name in used)
        # `behind` has found all of them.
        keys = {called: end_points.resolve(names[called]) or "" for called in ordered}
        return keys, needed


def _end_points_in_graph(model: Model, input_specs: Any) -> EndPoints:
    images = tf.nest.map_structure(
        lambda spec: tf.compat.v1.placeholder(spec.dtype, spec.shape), input_specs
    )
    _, end_points = outputs_of(model.build_in_graph(images))
    if end_points is None:
        raise ValueError(f"The network {model.network_name!r} gives no end points.")
    return end_points


def _operations(op: tf.Operation) -> set[tf.Operation]:
    """An operation and all that it depends on."""
    found, left = set(), [op]
    while left:
        op = left.pop()
        if op not in found:
            found.add(op)
            left += [tensor.op for tensor in op.inputs]
    return found


def _cut(model: Model, keys: Sequence[str]) -> Model:
    """A Model of the same variables that ends at the last key; the whole one where the
    network cannot end there, or does not pass by the others on its way."""
    try:
        cut = model.remade(final_endpoint=keys[-1])
        with tf.Graph().as_default():
            end_points = _end_points_in_graph(cut, model.input_specs)
            names = [v.op.name for v in tf.compat.v1.global_variables()]
    except (ValueError, TypeError):
        return model
    if not all(key in end_points for key in keys):
        return model
    cut.share_variables(model, names)
    return cut
