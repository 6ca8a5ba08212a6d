"""What a Model knows of its network beside the variables."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from slimnets.checkpoints.metadata import OF_INPUTS
from slimnets.end_points import EndPoints
from slimnets.scopes import current_arg_scope


class Notes:
    """What a Model keeps that TensorFlow should not track.

    Args:
        function: the network function.
        options: further arguments of it.
    """

    def __init__(self, function: Callable, options: dict[str, Any]):
        self.function = function
        self.options = dict(options)
        # What the Model was made with, for a copy of it.
        self.arguments: dict[str, Any] = {}
        self.arg_scope = dict(current_arg_scope())
        self.inputs: Any = None
        self.input_metadata: dict[str, Any] = {}
        self.regularizers: dict[str, Callable] = {}
        self.end_points = EndPoints()
        self.built = False
        self.has_losses = False
        self.runs = 0
        # By thread, because replicas of a strategy have one each.
        self._last = threading.local()
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Counts a run; until the Model is built, one thread's at a time."""
        with self._lock:
            self.runs += 1
            if not self.built:
                yield
                return
        yield

    def keep_inputs(self, images: Any) -> None:
        """Remembers the shapes of the first inputs, of any number of examples."""
        if self.inputs is None:
            self.inputs = tf.nest.map_structure(
                lambda x: tf.TensorSpec([None, *x.shape[1:]], tf.float32), images
            )

    def keep_input_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Remembers what the metadata of weights tell of the images."""
        self.input_metadata = {k: metadata[k] for k in OF_INPUTS if k in metadata}

    def keep_losses(self, losses: list[tf.Tensor]) -> None:
        """Remembers the losses of activations of a call with training."""
        self._last.losses, self._last.graph = losses, _graph()

    def kept_losses(self) -> list[tf.Tensor]:
        """Those of this thread's last call, if the same graph is open, or none."""
        here = getattr(self._last, "graph", self) is _graph()
        return self._last.losses if here else []


def _graph() -> tf.Graph | None:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
