"""Weights: read, map, restore with a report, write, convert.

What is written here `tf.compat.v1.train.Saver` restores in graph code, and the
reverse: one tensor per variable, under the variable's own name. Files of Keras and
PyTorch are read to arrays, and mapped to slimnets' names by rules that are data.
"""

from slimnets.checkpoints.averaged import Weights, open_weights
from slimnets.checkpoints.base import WeightsReader
from slimnets.checkpoints.convert import convert_weights
from slimnets.checkpoints.detect import read_checkpoint
from slimnets.checkpoints.load_report import LoadReport
from slimnets.checkpoints.readers import CheckpointReader
from slimnets.checkpoints.restore import load_weights
from slimnets.checkpoints.writer import save_weights

__all__ = [
    "CheckpointReader",
    "LoadReport",
    "Weights",
    "WeightsReader",
    "convert_weights",
    "load_weights",
    "open_weights",
    "read_checkpoint",
    "save_weights",
]
