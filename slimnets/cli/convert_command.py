"""Writes a network's weights in another framework's format.

Reads a TensorFlow checkpoint (also in a .tar.gz), Keras's .h5, .weights.h5
and .keras, PyTorch's .safetensors, .pth and .bin, and BiT's .npz. Writes what
the output's name ends in: .weights.h5 for Keras, .safetensors for PyTorch; any
other is the prefix of a checkpoint, which tf.compat.v1.train.Saver restores.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import weights_flags
from slimnets.cli.command import Flag, require
from slimnets.quiet import start_tensorflow

FLAGS = (
    Flag("string", "output", None, "The file, or the prefix, to write."),
    Flag("enum", "format", None, "Whose format; by default what the output's name ends "
         "in.", enum_values=["slim", "keras", "torch"]),
    *weights_flags.of("checkpoint_path", "model_name"),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    require(flag_values, "convert", "checkpoint_path", "output")
    start_tensorflow(flag_values.debug)
    from slimnets.checkpoints import convert_weights
    from slimnets.trained import open_weights

    options = weights_flags.options(flag_values)
    weights = open_weights(flag_values.checkpoint_path, options.pop("averages"))
    report = convert_weights(
        weights,
        flag_values.output,
        network=flag_values.model_name,
        file_format=flag_values.format,
        **options,
    )
    weights_flags.tell(weights.source)
    print(report)
    print(f"written to {flag_values.output}")
