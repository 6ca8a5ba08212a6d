"""Looks for what keeps a trained network from learning, or from testing as it trains.

What is found are sentences that name a layer, the likeliest cause first. Images of the
whole split are looked at, as they are in evaluation; nothing of the network changes.
The exit code is 1 if anything was found.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import setting_flags, weights_flags
from slimnets.cli.command import Flag, UsageError, require
from slimnets.data.input_config import OF_DATASETS, InputConfig
from slimnets.quiet import start_tensorflow

# fmt: off
FLAGS = (
    Flag("string", "dataset_split_name", None, "The split; the dataset's training "
         "split by default."),
    Flag("string", "output", None, "A .png file: the layers, drawn; needs matplotlib."),
    *setting_flags.of(
        InputConfig, ("dataset_name", *OF_DATASETS, "max_bad_records"),
        with_defaults=False),
    Flag("integer", "batch_size", 64, "Images at a time, whose statistics are "
         "compared.", lower_bound=1),
    Flag("integer", "batches", 4, "How many batches are compared.", lower_bound=1),
    Flag("boolean", "table", False, "Show every activation and norm."),
    *weights_flags.of("checkpoint_path", "model_name", "preprocessing_name"),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> int:
    require(flag_values, "diagnose", "checkpoint_path")
    start_tensorflow(flag_values.debug)
    from slimnets.inspection.diagnosis import diagnose
    from slimnets.inspection.diagnosis_picture import plot_diagnosis
    from slimnets.inspection.plot import checked_path, figure_class

    if flag_values.output:
        checked_path(flag_values.output)
        figure_class()
    trained = weights_flags.open_trained(flag_values)
    trained.check_task("classification")
    found = diagnose(trained.network, _batches(flag_values, trained))
    if flag_values.table:
        print(f"{found.table()}\n")
    print(found)
    if flag_values.output:
        plot_diagnosis(found, flag_values.output)
        print(f"written to {flag_values.output}")
    return int(bool(found))


def _batches(flag_values: flags.FlagValues, trained) -> list:
    """Batches of images from all over the split, and the logits of their labels."""
    import tensorflow as tf

    from slimnets.data.bad_records import explained_errors
    from slimnets.training.evaluation_data import batches_for, classes_of, dataset_for

    given = {name: flag_values[name].value for name in OF_DATASETS}
    dataset, _ = dataset_for(
        trained, flag_values.dataset_name, given.pop("dataset_dir"), **given
    )
    split = flag_values.dataset_split_name or dataset.train_split
    number = dataset.source(split).number
    wanted = flag_values.batches * flag_values.batch_size
    apart = tf.distribute.InputContext(num_input_pipelines=max(1, number // wanted))
    size, limit = min(flag_values.batch_size, number), flag_values.max_bad_records
    batches = batches_for(trained, dataset, split, size, limit, apart)
    places = tf.constant(classes_of(trained, dataset))
    with explained_errors():
        found = list(batches.take(flag_values.batches))
    if found and found[0][1].dtype.is_floating:
        raise UsageError("diagnose is for images of one label each")
    return [(images, tf.gather(places, labels)) for images, labels in found]
