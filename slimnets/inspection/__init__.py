"""What a network costs, how it is wired, what it has learned: tables and pictures."""

from slimnets.lazy_names import lazily

# Imported when they are first asked for, so that a committed summary does not wait for
# TensorFlow.
_HOMES = {
    "Diagnosis": "diagnosis",
    "Difference": "differences",
    "Finding": "findings",
    "Layer": "layer_tables",
    "Region": "fields",
    "Report": "findings",
    "Summary": "summary",
    "class_map": "class_maps",
    "count_multiply_adds": "counts",
    "diagnose": "diagnosis",
    "diff": "differences",
    "field_of": "fields",
    "layers_of": "layers",
    "lint_graph": "lint",
    "plot_feature_maps": "pictures",
    "plot_filters": "pictures",
    "plot_histograms": "pictures",
    "plot_network": "diagram.drawing",
    "plot_receptive_field": "pictures",
    "summarize": "graphs",
    "write_graph": "boards",
}

__all__ = list(_HOMES)
__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
