"""What a network costs, how it is wired, what it has learned: tables and pictures."""

from slimnets.inspection.boards import write_graph
from slimnets.inspection.counts import count_multiply_adds
from slimnets.inspection.diff import Difference, diff
from slimnets.inspection.fields import Region, field_of
from slimnets.inspection.layers import Layer, layers_of
from slimnets.inspection.lint import Finding, Report, lint_graph
from slimnets.inspection.pictures import (
    plot_feature_maps,
    plot_filters,
    plot_histograms,
    plot_receptive_field,
)
from slimnets.inspection.plot import plot_network
from slimnets.inspection.summary import Summary, summarize

__all__ = [
    "Difference",
    "Finding",
    "Layer",
    "Region",
    "Report",
    "Summary",
    "count_multiply_adds",
    "diff",
    "field_of",
    "layers_of",
    "lint_graph",
    "plot_feature_maps",
    "plot_filters",
    "plot_histograms",
    "plot_network",
    "plot_receptive_field",
    "summarize",
    "write_graph",
]
