"""Draws a network, or what it has learned and sees.

NAME is a registered network. By default its blocks are drawn, with shapes; --depth=2
shows units, --depth=0 every layer. With --filters, --feature_maps or --histograms the
picture is of a checkpoint, which knows its NAME itself if slimnets wrote it; with
--receptive_field it is of an image. --logdir writes the graph for TensorBoard.
"""

from collections.abc import Sequence

from absl import flags

from slimnets.cli import build_flags, weights_flags
from slimnets.cli.command import Flag, UsageError, is_given, require
from slimnets.quiet import start_tensorflow

ARGUMENTS = ("NAME",)
_CHECKPOINT = ("checkpoint_path", *weights_flags.NAMES)
_IMAGE = ("image", "eval_image_size")
# What can be drawn, and the flags that it takes.
_PICTURES = {
    "filters": ("output", *_CHECKPOINT),
    "feature_maps": ("output", *_CHECKPOINT, *_IMAGE, "preprocessing_name"),
    "histograms": ("output", *_CHECKPOINT, *_IMAGE, "preprocessing_name"),
    "receptive_field": ("output", *_IMAGE, "output_stride"),
    "logdir": build_flags.NAMES,
}
_NETWORK = ("output", "depth", *build_flags.NAMES)

# fmt: off
FLAGS = (
    Flag("string", "output", None, "The picture's file: .svg, .png or .pdf for a "
         "network, else .png."),
    Flag("string", "image", None, "An image's file."),
    Flag("string", "preprocessing_name", None, "How the image becomes the network's "
         "input."),
    Flag("string", "feature_maps", None, "Draw the channels of this end point (C2, "
         "block1, ...) for --image."),
    Flag("string", "receptive_field", None, "Draw on --image what the middle position "
         "of this level (C4) or end point sees."),
    Flag("string", "logdir", None, "Write the graph for TensorBoard to this folder "
         "instead of drawing."),
    Flag("boolean", "filters", False, "Draw the first layer's filters."),
    Flag("boolean", "histograms", False, "Draw histograms of the weights, and with "
         "--image of the units' activations."),
    Flag("integer", "depth", 1, "Scopes below the network's own that are drawn; 0 for "
         "all.", lower_bound=0),
    Flag("integer", "eval_image_size", None, "Height and width of the network's "
         "input.", lower_bound=1),
    *build_flags.FLAGS,
    *weights_flags.of("checkpoint_path"),
)
# fmt: on


def run(flag_values: flags.FlagValues, arguments: Sequence[str]) -> None:
    picture = _picture(flag_values)
    name = arguments[0] if arguments else None
    if name is None and "checkpoint_path" not in _PICTURES.get(picture, ()):
        raise UsageError("plot takes the NAME of one network (slimnets list)")
    if picture != "logdir":
        require(flag_values, "plot", "output")
    start_tensorflow(flag_values.debug)
    try:
        _DRAW[picture](flag_values, name)
    except KeyError as error:  # Of an end point; its text is a sentence.
        raise UsageError(str(error.args[0])) from error
    written = flag_values.logdir or flag_values.output
    print(f"written to {written}")


def _picture(flag_values: flags.FlagValues) -> str:
    """What is to be drawn; flags that it would ignore are errors."""
    wanted = [name for name in _PICTURES if flag_values[name].value]
    if len(wanted) > 1:
        raise UsageError(f"--{wanted[0]} and --{wanted[1]} are two pictures; ask twice")
    picture = wanted[0] if wanted else "network"
    takes = (*_PICTURES.get(picture, _NETWORK), picture, "debug", "flagfile")
    for name in flag_values:
        if name not in takes and is_given(flag_values[name]):
            title = f"--{picture}" if wanted else "the picture of a network"
            raise UsageError(f"--{name} has no meaning for {title}")
    return picture


def _network(flag_values: flags.FlagValues, name: str) -> None:
    options = build_flags.options(flag_values, name)
    from slimnets import inspection
    from slimnets.inspection.diagram.drawing import plot_network

    with build_flags.open_rules(flag_values):
        summary = inspection.summarize(name, **options)
    plot_network(summary, flag_values.output, depth=flag_values.depth or None)


def _logdir(flag_values: flags.FlagValues, name: str) -> None:
    options = build_flags.options(flag_values, name)
    from slimnets.inspection.boards import write_graph

    with build_flags.open_rules(flag_values):
        write_graph(name, flag_values.logdir, **options)


def _filters(flag_values: flags.FlagValues, name: str | None) -> None:
    from slimnets.inspection import observe, pictures

    weights = observe.weights_of(_trained(flag_values, name))
    first = next((k for k, v in weights.items() if v.ndim == 4), None)
    if first is None:
        raise UsageError("--filters are of convolutions of images; there are none")
    pictures.plot_filters(first, weights[first], flag_values.output)


def _feature_maps(flag_values: flags.FlagValues, name: str | None) -> None:
    require(flag_values, "plot --feature_maps", "image")
    from slimnets.inspection import pictures

    trained = _trained(flag_values, name)
    end_points = _activations(flag_values, trained)
    title = f"{trained.network.network_name} {flag_values.feature_maps}"
    values = end_points[flag_values.feature_maps][0]
    pictures.plot_feature_maps(title, values, flag_values.output)


def _histograms(flag_values: flags.FlagValues, name: str | None) -> None:
    from slimnets.inspection import observe, pictures

    trained = _trained(flag_values, name)
    groups = {"weights": pictures.by_unit(observe.weights_of(trained))}
    if flag_values.image:
        end_points = _activations(flag_values, trained)
        groups["activations"] = pictures.outside_units(end_points)
    pictures.plot_histograms(groups, flag_values.output)


def _receptive_field(flag_values: flags.FlagValues, name: str) -> None:
    require(flag_values, "plot --receptive_field", "image")
    from slimnets.inspection import observe, pictures

    pictures.plot_receptive_field(
        name,
        flag_values.receptive_field,
        observe.read_image(flag_values.image),
        flag_values.output,
        image_size=flag_values.eval_image_size,
        **build_flags.stride(flag_values, name),
    )


def _trained(flag_values: flags.FlagValues, name: str | None):
    require(flag_values, "plot", "checkpoint_path")
    return weights_flags.open_trained(flag_values, model_name=name)


def _activations(flag_values: flags.FlagValues, trained):
    from slimnets.inspection import observe

    image = observe.read_image(
        flag_values.image, trained.channels, trained.exif_orientation
    )
    return observe.activations(trained, image)


_DRAW = {
    "network": _network,
    "filters": _filters,
    "feature_maps": _feature_maps,
    "histograms": _histograms,
    "receptive_field": _receptive_field,
    "logdir": _logdir,
}
