"""What a network costs and how it is wired, read from its graph."""

from slimnets.inspection.counts import count_multiply_adds
from slimnets.inspection.layers import Layer, layers_of
from slimnets.inspection.lint import Finding, Report, lint_graph
from slimnets.inspection.summary import Summary, summarize

__all__ = [
    "Finding",
    "Layer",
    "Report",
    "Summary",
    "count_multiply_adds",
    "layers_of",
    "lint_graph",
    "summarize",
]
