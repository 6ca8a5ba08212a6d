"""Name-keyed TensorFlow checkpoints: write, read, restore with a report.

What is written here `tf.compat.v1.train.Saver` restores in graph code, and the
reverse: one tensor per variable, under the variable's own name.
"""

from slimnets.checkpoints.readers import CheckpointReader, read_checkpoint
from slimnets.checkpoints.report import LoadReport
from slimnets.checkpoints.restore import load_weights
from slimnets.checkpoints.writer import save_weights

__all__ = [
    "CheckpointReader",
    "LoadReport",
    "load_weights",
    "read_checkpoint",
    "save_weights",
]
