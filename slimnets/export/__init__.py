"""Networks for other programs: written in their formats, folded, and in low precision.

report = slimnets.export.export_model(
    model, "net.onnx", format="onnx", input_shape=[None, 224, 224, 3]
)
outputs = slimnets.export.load("net.onnx")(images)  # {"logits": ...}
"""

from slimnets.export.audit import Audit, audit
from slimnets.export.checkpoint import Accuracies, export_checkpoint
from slimnets.export.exporting import Report, export_model
from slimnets.export.fold import fold
from slimnets.export.formats import FORMATS
from slimnets.export.frozen import Frozen, freeze
from slimnets.export.loading import Exported, load
from slimnets.export.precision import to_precision
from slimnets.export.slimming import Slimmed, slimmed

__all__ = [
    "FORMATS",
    "Accuracies",
    "Audit",
    "Exported",
    "Frozen",
    "Report",
    "Slimmed",
    "audit",
    "export_checkpoint",
    "export_model",
    "fold",
    "freeze",
    "load",
    "slimmed",
    "to_precision",
]
