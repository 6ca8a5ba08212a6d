"""Looks for a learning rate: trains a few steps, each with a higher one.

The loss falls until the rate is too high; what is proposed is a tenth of the rate
at which it was lowest. Nothing is kept of the network. With --output the table is
written as a file, and drawn.
"""

import os
from collections.abc import Sequence

from absl import flags

from slimnets.cli import setting_flags
from slimnets.cli.command import Flag, check_output_directory, require
from slimnets.quiet import start_tensorflow
from slimnets.settings import DISTRIBUTION, OUTPUT, RATE, grouped, settings_of
from slimnets.training.training_config import TrainingConfig

# Of train's flags, those of what is not done here.
_UNUSED = {
    "train_dir", "max_number_of_steps", "number_of_epochs", "allow_changes",
    "recalibrate_batches", "moving_average_decay",
    *grouped(TrainingConfig, OUTPUT, DISTRIBUTION, RATE),
} - {"layer_rate_decay", "learning_rate_scales"}  # fmt: skip
_NAMES = settings_of(TrainingConfig).keys() - _UNUSED
# The numbers of rates that the command prints at most.
_SHOWN = 20

FLAGS = (
    *setting_flags.of(TrainingConfig, _NAMES),
    Flag("float", "lowest", 1e-6, "The first learning rate."),
    Flag("float", "highest", 10.0, "The last one; it ends before where the loss has "
         "risen."),
    Flag("integer", "steps", 100, "How many rates are tried, one a step."),
    Flag("string", "output", None, "Directory of a table and a picture."),
)  # fmt: skip


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    require(flag_values, "find-lr", "model_name")
    start_tensorflow(flag_values.debug)
    if flag_values.output:
        check_output_directory("output", flag_values.output)
    from slimnets.training.rate_finder import find_rate

    values = setting_flags.values(flag_values, TrainingConfig)
    config = TrainingConfig(train_dir="", **values)
    found = find_rate(
        config,
        lowest=flag_values.lowest,
        highest=flag_values.highest,
        steps=flag_values.steps,
    )
    rows = found.rows()
    print(f"{'learning rate':>13}  {'loss':>10}  {'smoothed':>10}")
    for rate, loss, smoothed in rows[:: -(-len(rows) // _SHOWN)]:
        print(f"{rate:13.3g}  {loss:10.4g}  {smoothed:10.4g}")
    where = ""
    if flag_values.output:
        found.write(flag_values.output)
        where = f", files in {os.path.abspath(flag_values.output)}"
    print(f"--learning_rate={found.suggestion:.2g}{where}")
