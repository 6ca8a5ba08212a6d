"""Graphs for TensorBoard's Graphs tab."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slimnets.inspection.graphs import graph_of
from slimnets.model import Model


def write_graph(
    network: str | Callable | tf.Graph | Model,
    logdir: str | os.PathLike,
    *,
    num_classes: int | None = 1000,
    input_shape: Any = None,
    with_training: bool = False,
    **kwargs: Any,
) -> None:
    """Writes a graph that `tensorboard --logdir` shows, blocks and units as boxes.

    Args:
        network, num_classes, input_shape, **kwargs: as of `summarize`.
        logdir: a folder.
        with_training: whether a placeholder `is_training` chooses between training and
            inference; TensorBoard then lists each norm's two branches as functions
            beside the graph.

    Raises:
        ValueError: as `summarize`.
    """
    graph = network
    if not isinstance(network, tf.Graph):
        _, graph = graph_of(
            network, num_classes, input_shape, with_training=with_training, **kwargs
        )
    with tf.Graph().as_default():  # The writer is for graph code.
        tf.compat.v1.summary.FileWriter(os.fspath(logdir), graph).close()
