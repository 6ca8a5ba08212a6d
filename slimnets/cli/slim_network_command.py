"""Writes a smaller network: one of fewer channels, those that batch norms make most of.

CHECKPOINT is best of a run with --gamma_l1, which makes gammas of channels that do
little smaller still. Sums of residual units keep their channels. What is written is a
checkpoint as any other, to be evaluated, trained on and exported, and beside it
OUTPUT.rules.json: the same for slimnets train --rules, and for layer_rules.
"""

import json
from collections.abc import Sequence

from absl import flags

from slimnets.cli import weights_flags
from slimnets.cli.command import Flag, UsageError, require
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("CHECKPOINT",)
# Of the one before.
_NOT_CARRIED = ("config", "rules", "network_options", "step")

# fmt: off
FLAGS = (
    Flag("float", "multiply_adds", None, "The largest share of the multiply-adds that "
         "is left, such as 0.5.", lower_bound=0.0, upper_bound=1.0),
    Flag("float", "threshold", None, "Or else: the largest gamma, as an absolute "
         "value, of the channels that go.", lower_bound=0.0),
    Flag("string", "output", None, "Prefix of the checkpoint that is written."),
    *weights_flags.of("model_name"),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    require(flag_values, "slim-network", "output")
    if len(arguments) != 1:
        raise UsageError("slim-network takes one CHECKPOINT")
    if (flag_values.multiply_adds is None) == (flag_values.threshold is None):
        raise UsageError("slim-network takes one of --multiply_adds and --threshold")
    start_tensorflow(flag_values.debug)
    from slimnets.checkpoints import save_weights
    from slimnets.export.slimming import slimmed

    trained = weights_flags.open_trained(flag_values, arguments[0])
    small = slimmed(
        trained.network,
        trained.input_shape,
        multiply_adds=flag_values.multiply_adds,
        threshold=flag_values.threshold,
    )
    own = {k: v for k, v in trained.metadata.items() if k not in _NOT_CARRIED}
    path = save_weights(flag_values.output, small.model, own)
    rules = f"{path}.rules.json"
    with open(rules, "w", encoding="utf-8") as file:
        json.dump(small.model.rules.to_json(), file, indent=1)
    print(f"{small}, in {path} and {rules}")
