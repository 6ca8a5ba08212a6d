"""The order of a picture's boxes: ranks from the top down, lanes beside them, columns.

Boxes stand in ranks, each below what feeds it; a connection that passes ranks keeps a
lane beside the boxes. Source: Sugiyama, Tagawa, Toda, Methods for Visual Understanding
of Hierarchical System Structures, IEEE Trans. SMC 11 (1981).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from slimnets.inspection.diagram.texts import Text


@dataclasses.dataclass(eq=False)
class Node:
    """A box, or, without a text, the place where a connection passes a rank.

    Attributes:
        rank: from the top.
        text: of a box.
        slot: from the left.
        targets: the nodes below to which lines go.
        ends: names of the boxes to which a lane leads.
    """

    rank: int
    text: Text | None = None
    slot: int = 0
    targets: list[Node] = dataclasses.field(default_factory=list)
    ends: set[str] = dataclasses.field(default_factory=set)


Ranks = list[list[Node]]


def ranked(texts: Sequence[Text]) -> Ranks:
    """Returns the boxes and lanes by rank, with their slots.

    A connection back to a box that came before, which folding can make, is left out.

    Args:
        texts: what the boxes say, in the order in which the layers were made.
    """
    nodes: dict[str, Node] = {}
    sources: dict[str, list[Node]] = {}
    for text in texts:
        feeding = [nodes[name] for name in text.inputs if name in nodes]
        rank = max((source.rank + 1 for source in feeding), default=0)
        nodes[text.name], sources[text.name] = Node(rank, text), feeding
    last = max(node.rank for node in nodes.values())
    ranks: list[list[Node]] = [[] for _ in range(last + 1)]
    for node in nodes.values():
        ranks[node.rank].append(node)
    lanes: dict[tuple[Node, int], Node] = {}
    for name, feeding in sources.items():
        for source in feeding:
            _connect(source, nodes[name], ranks, lanes)
    _set_slots(ranks)
    return ranks


def _connect(
    source: Node, target: Node, ranks: Ranks, lanes: dict[tuple[Node, int], Node]
) -> None:
    """Joins two boxes, by the source's lane where ranks lie between them."""
    before = source
    for rank in range(source.rank + 1, target.rank):
        lane = lanes.get((source, rank))
        if lane is None:
            lane = lanes[source, rank] = Node(rank)
            ranks[rank].append(lane)
            before.targets.append(lane)
        lane.ends.add(target.text.name)
        before = lane
    before.targets.append(target)


def _set_slots(ranks: Ranks) -> None:
    """Puts each node below what feeds it, boxes with the longest way before others."""
    length: dict[Node, int] = {}
    for node in itertools.chain.from_iterable(reversed(ranks)):
        below = max((length[target] for target in node.targets), default=0)
        length[node] = below + (node.text is not None)
    wanted: dict[Node, int] = {}
    going_on: set[Node] = set()  # Lanes that must not swap places.
    for rank in ranks:
        taken: set[int] = set()
        for node in sorted(
            rank, key=lambda n: (n not in going_on, n.text is None, -length[n])
        ):
            slots = itertools.count(wanted.get(node, 0))
            node.slot = next(slot for slot in slots if slot not in taken)
            taken.add(node.slot)
        for node in rank:
            for target in node.targets:
                wanted[target] = min(wanted.get(target, node.slot), node.slot)
                if node.text is None and target.text is None:
                    going_on.add(target)


def divisions(ranks: Ranks, most: int = 16) -> Iterator[list[Ranks]]:
    """Yields ways to divide ranks into 1, 2, ... columns of about one height.

    A column begins only where one box feeds all that follow.
    """
    cuts = [i for i, rank in enumerate(ranks[:-1], start=1) if feeder(rank)]
    seen = set()
    for count in range(1, min(len(cuts) + 1, most) + 1):
        tallest = math.ceil(len(ranks) / count)
        starts = [0]
        for cut, following in itertools.pairwise([*cuts, len(ranks)]):
            if following - starts[-1] > tallest:
                starts.append(cut)
        if tuple(starts) not in seen:
            seen.add(tuple(starts))
            ends = [*starts[1:], len(ranks)]
            yield [ranks[start:end] for start, end in zip(starts, ends, strict=True)]


def feeder(rank: Sequence[Node]) -> Node | None:
    """The one box of a rank that feeds all that follow, if there is such a box."""
    sources = [node for node in rank if node.targets]
    return sources[0] if len(sources) == 1 and sources[0].text else None
