"""What a checkpoint and a network have in common, and what not: the text of it."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from slimnets.checkpoints.base import AVERAGE, Shape, WeightsReader
from slimnets.checkpoints.first_convolution import is_root_of_colours
from slimnets.checkpoints.networks import Network, name_of, sources_of, weights_of
from slimnets.listing import nearest

SHOWN = 8


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """The outcome of comparing a checkpoint with the variables it should fill.

    Attributes:
        source: the checkpoint's prefix.
        loaded: variable names that get a value, with the name of its tensor.
        missing: variables that the checkpoint does not have.
        unexpected: tensors that no variable takes.
        wrong_shape: variable names, with the tensor's shape and the variable's.
        excluded: variables that the caller asked to leave alone.
        ignored: tensors that only training needs (step, optimizer).
        adapted: variables whose weights are made for another number of channels.
        causes: likely reasons, in words.
    """

    source: str
    loaded: Mapping[str, str]
    missing: Sequence[str] = ()
    unexpected: Sequence[str] = ()
    wrong_shape: Mapping[str, tuple[Shape, Shape]] = dataclasses.field(
        default_factory=dict
    )
    excluded: Sequence[str] = ()
    ignored: Sequence[str] = ()
    adapted: Sequence[str] = ()
    causes: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether every variable got its tensor and every tensor its variable."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    @property
    def summary(self) -> str:
        """One line: how many of each, and the likely cause of a difference."""
        counts = [f"{len(self.loaded)} loaded"] + [
            f"{len(names)} {kind}"
            for kind, names in (
                ("missing", self.missing),
                ("unexpected", self.unexpected),
                ("of another shape", self.wrong_shape),
                ("excluded", self.excluded),
                ("adapted", self.adapted),
            )
            if names
        ]
        causes = "".join(f" Likely cause: {cause}." for cause in self.causes)
        return f"{self.source}: {', '.join(counts)}.{causes}"

    def __repr__(self) -> str:
        return f"<LoadReport {self.summary}>"

    def __str__(self) -> str:
        lines = [self.summary]
        lines += _listing(
            "Missing (variables that the checkpoint does not have)",
            [self._with_nearest(name) for name in self.missing[:SHOWN]],
            len(self.missing),
        )
        lines += _listing(
            "Unexpected (tensors that no variable takes)",
            self.unexpected[:SHOWN],
            len(self.unexpected),
        )
        shapes = [
            f"{name}: {list(theirs)} in the checkpoint, {list(ours)} here"
            for name, (theirs, ours) in self.wrong_shape.items()
        ]
        lines += _listing("Wrong shape", shapes[:SHOWN], len(shapes))
        return "\n".join(lines)

    def _with_nearest(self, name: str) -> str:
        near = nearest(name, self.unexpected, most=1)
        return f"{name} (nearest unexpected: {near})" if near else name


def _listing(title: str, entries: Sequence[str], total: int) -> list[str]:
    if not entries:
        return []
    rest = [f"    and {total - len(entries)} more"] if total > len(entries) else []
    return [f"  {title}:", *(f"    {entry}" for entry in entries), *rest]


def likely_causes(
    report: LoadReport, reader: WeightsReader, network: Network | None = None
) -> list[str]:
    """The well-known reasons for a difference, most telling first.

    A reason is one only if what it says explains what is missing or left over.
    """
    if report.complete:
        return []
    causes = (
        _another_network(reader, network),
        _outer_scope(report),
        _nothing(reader),
        _objects(report, reader),
        _averages(report),
        _normalizer(report),
        _classes(report),
        _head(report),
        _channels(report),
        _names(report, reader, network),
    )
    return [cause for cause in causes if cause]


def _another_network(reader: WeightsReader, network: Network | None) -> str | None:
    theirs = reader.metadata.get("model_name")
    if network is None or theirs is None or theirs == name_of(network):
        return None
    return f"it is of the network {theirs}, as its metadata says"


def _outer_scope(report: LoadReport) -> str | None:
    """A scope that only one of the two sides has around everything else."""
    for inner, outer, where, rename in (
        (report.missing, report.unexpected, "checkpoint", (r"{scope}/(.*)", r"\1")),
        (report.unexpected, report.missing, "network", (r"(.*)", r"{scope}/\1")),
    ):
        known = set(inner)
        scopes = {
            name[: -len(tail) - 1]
            for name in list(outer)[:1] + list(outer)[-1:]
            for tail in _tails(name)
            if tail in known
        }
        for scope in sorted(scopes):
            shared = sum(name.startswith(f"{scope}/") for name in outer)
            matched = sum(f"{scope}/{name}" in set(outer) for name in known)
            if matched and 2 * matched >= shared:
                pair = tuple(part.format(scope=scope) for part in rename)
                return f"an outer scope {scope!r} in the {where} (rename=[{pair!r}])"
    return None


def _tails(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[first:]) for first in range(1, len(parts))]


def _nothing(reader: WeightsReader) -> str | None:
    if set(reader) - reader.bookkeeping:
        return None
    if reader:
        return f"it holds no network, but {', '.join(list(reader)[:3])}"
    return (
        "it holds no variables: in a network that was exported for inference they are "
        "constants of its graph. Load what it was exported from"
    )


def _objects(report: LoadReport, reader: WeightsReader) -> str | None:
    """Paths for names: no name fits, though tensors of these shapes are there."""
    if not reader.object_based or reader.kind == "keras" or report.loaded:
        return None
    if not 0 < len(report.missing) <= len(report.unexpected):
        return None
    return "tf.train.Checkpoint wrote it, by object paths instead of by name"


def _averages(report: LoadReport) -> str | None:
    averages = (name for name in report.unexpected if name.endswith(AVERAGE))
    if {name.removesuffix(AVERAGE) for name in averages} & set(report.missing):
        pair = (rf"(.*){AVERAGE}", r"\1")
        return f"the checkpoint holds moving averages only (rename=[{pair!r}])"
    return None


def _normalizer(report: LoadReport) -> str | None:
    def layers(names: Sequence[str], ending: str) -> set[str]:
        matches = (re.fullmatch(f"(.*)/{ending}", name) for name in names)
        return {match.group(1) for match in matches if match}

    norm = "BatchNorm/(?:beta|gamma|moving_mean|moving_variance)"
    if layers(report.missing, "biases") & layers(report.unexpected, norm):
        return (
            "the checkpoint has BatchNorm where this network has biases: the network "
            "was built without its arg scope"
        )
    if layers(report.missing, norm) & layers(report.unexpected, "biases"):
        return (
            "the checkpoint has biases where this network has BatchNorm: what wrote it "
            "was built without the network's arg scope"
        )
    return None


def _classes(report: LoadReport) -> str | None:
    shapes = [
        shapes
        for name, shapes in report.wrong_shape.items()
        if not is_root_of_colours(name, *shapes)
    ]
    # Another width would show in what the next layer takes as well.
    if any(not (a and b and a[:-1] == b[:-1]) for a, b in shapes):
        return None
    ends = {(theirs[-1], ours[-1]) for theirs, ours in shapes}
    if len(ends) != 1:
        return None
    theirs, ours = ends.pop()
    background = ": one has a background class 0" if abs(theirs - ours) == 1 else ""
    return (
        f"{theirs} classes in the checkpoint, {ours} here{background} (build with "
        f"num_classes={theirs}, or exclude=['.*/logits/.*'] for a new head)"
    )


def _head(report: LoadReport) -> str | None:
    """Logits, and nothing else, that only one of the two sides has."""
    for names, others, has, lacks in (
        (report.unexpected, report.missing, "the checkpoint", "this network"),
        (report.missing, report.unexpected, "this network", "the checkpoint"),
    ):
        logits = all(re.fullmatch(r"(.*/)?logits/.*", name) for name in names)
        if names and logits and not others:
            return f"{has} has logits, {lacks} has none (exclude=['.*/logits/.*'])"
    return None


def _channels(report: LoadReport) -> str | None:
    for name, (theirs, ours) in report.wrong_shape.items():
        if is_root_of_colours(name, theirs, ours):
            modes = "'sum' or 'repeat'" if ours[2] == 1 else "'repeat'"
            return (
                f"images of 3 channels in the checkpoint, of {ours[2]} here "
                f"(adapt_root={modes})"
            )
    return None


def _names(
    report: LoadReport, reader: WeightsReader, network: Network | None
) -> str | None:
    """Why the names of another framework were not mapped."""
    if not report.missing or report.loaded or reader.kind == "tensorflow":
        return None
    if network is None:
        return (
            f"its names are of {reader.kind}, and what network the variables are of "
            "is not known (network='resnet50', for example)"
        )
    if not sources_of(network, reader.kind):
        own = weights_of(network) or "its own"
        return (
            f"{name_of(network)} loads {own} weights; it is not equal to any network "
            f"whose weights come as such a {reader.kind} file"
        )
    return None
