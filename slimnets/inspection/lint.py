"""Lint: wiring in a graph that people did not mean.

Most prominent: a tensor made inside one layer that other layers read though it is not
that layer's output. Keras of TensorFlow 1 made its learning phase inside its first
batch norm, so that in TensorBoard every batch norm hung on the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slimnets.inspection import lint_training, lint_wiring
from slimnets.inspection.findings import Finding, Report
from slimnets.inspection.nodes import Nodes, read_nodes

_RULES: tuple[Callable[[Nodes], Iterator[Finding]], ...] = (
    lint_wiring.shared_tensors,
    lint_training.lost_updates,
    lint_training.lost_regularizers,
    lint_training.training_mode,
    lint_wiring.unused_variables,
    lint_wiring.duplicates,
)


def lint_graph(graph: Any, *, inference: bool | None = None) -> Report:
    """Looks for wiring that was not meant.

    Args:
        graph: a tf.Graph, a GraphDef, or the path of a GraphDef, a SavedModel or a
            TensorBoard log.
        inference: whether the graph is for inference, in which norms in training mode
            and dropout are faults; None takes a SavedModel's functions and a graph
            without variables for such.

    Returns:
        A report: iterable, empty when clean; its text names every finding.

    Raises:
        FileNotFoundError, ValueError: see `read_nodes`.
    """
    findings: list[Finding] = []
    for nodes in read_nodes(graph):
        nodes.inference = nodes.inference if inference is None else inference
        for rule in _RULES:
            findings.extend(rule(nodes))
    return Report(list(dict.fromkeys(findings)))
