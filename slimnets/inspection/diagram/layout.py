"""Where the boxes, frames and lines of a network's picture lie; draws nothing.

Lengths are in points, 1/72 inch; y grows downwards.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

from slimnets.inspection.diagram.ranks import Node, Ranks, divisions, feeder, ranked
from slimnets.inspection.diagram.scopes import Scope, scopes_of
from slimnets.inspection.diagram.texts import Text

# The width of a text, bold or not.
Measure = Callable[[str, bool], float]
Point = tuple[float, float]

TITLE_HEIGHT, LINE_HEIGHT = 11.0, 10.0
PADDING, GAP, LANE, GUTTER, MARGIN, HEAD = 5.0, 14.0, 18.0, 30.0, 12.0, 26.0
# What a frame takes at its left, where its name stands, and at its other sides.
FRAME, FRAME_SIDE = 14.0, 5.0
# Where a box's side takes a connection in and lets one out, as shares of its height;
# apart, so that two lanes of one slot are two lines.
_ENTRY, _EXIT = 0.3, 0.7
_APART = 2.0
_ASPECT = 1.4


@dataclasses.dataclass(frozen=True)
class Box:
    """A layer's place, by its upper left corner and size."""

    text: Text
    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Frame:
    """A scope's place; the label, which may be empty, stands upright at its left."""

    label: str
    level: int
    x: float
    y: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Line:
    """A connection, with a head at its end where it enters a box."""

    points: list[Point]
    head: bool


@dataclasses.dataclass
class Diagram:
    """A picture's size and parts."""

    width: float = MARGIN
    height: float = 0.0
    boxes: list[Box] = dataclasses.field(default_factory=list)
    frames: list[Frame] = dataclasses.field(default_factory=list)
    lines: list[Line] = dataclasses.field(default_factory=list)


def arrange(texts: Sequence[Text], measure: Measure) -> Diagram:
    """Returns the diagram whose page is small, and near to a screen's form.

    Args:
        texts: what the boxes say, in the order in which the layers were made.
        measure: the width of a text, bold or not.
    """
    scopes = scopes_of([text.name for text in texts])
    longest = max(
        max(measure(text.title, True), *(measure(line, False) for line in text.lines))
        for text in texts
    )
    lines = max(len(text.lines) for text in texts)
    size = (
        longest + 2 * PADDING,
        2 * PADDING + TITLE_HEIGHT + lines * LINE_HEIGHT,
    )
    pages = [
        _page(sections, scopes, size, measure) for sections in divisions(ranked(texts))
    ]
    return min(pages, key=_waste)


def _waste(page: Diagram) -> float:
    """How large a page is, and how far from a screen's form."""
    shape = abs(math.log(page.width / page.height / _ASPECT))
    return shape + math.log(page.width * page.height)


def _page(
    sections: list[Ranks], scopes: list[Scope], size: Point, measure: Measure
) -> Diagram:
    """Sets columns side by side, and joins each to the one before."""
    page = Diagram()
    end: Point | None = None
    for ranks in sections:
        column = _Column(ranks, scopes, size, page.width, from_before=end is not None)
        page.boxes += column.boxes.values()
        page.frames += column.frames(measure)
        page.lines += column.lines()
        if end is not None:
            page.lines.append(column.line_from(end))
        page.width = column.right
        page.height = max(page.height, column.bottom)
        last = feeder(ranks[-1])
        end = last and (column.x[last], column.y[last] + size[1])
    page.width += MARGIN
    page.height += MARGIN
    return page


class _Column:
    """The ranks that stand one below the other."""

    def __init__(self, ranks, scopes, size, left, from_before):
        self.size = size
        self.spans = _spans(scopes, ranks)
        self.levels = 1 + max((scope.level for scope in self.spans), default=-1)
        self.port = None
        self.left = left
        if from_before:
            self.left += GUTTER
            # Stands for the box at the last column's end.
            targets = [node for node in ranks[0] if _enters(node, ranks)]
            self.port = Node(-1, targets=targets)
        self.ranks = ranks
        self.x: dict[Node, float] = {}
        self.y: dict[Node, float] = {}
        self._place()
        self.boxes = {
            node: Box(node.text, self.x[node] - size[0] / 2, self.y[node], *size)
            for node in itertools.chain.from_iterable(ranks)
            if node.text is not None
        }

    def _place(self) -> None:
        """Sets the middle and the upper edge of every node."""
        nodes = list(itertools.chain.from_iterable(self.ranks))
        wide = {node.slot for node in nodes if node.text is not None}
        middles, x = {}, self.left + self.levels * FRAME
        for slot in range(1 + max(node.slot for node in nodes)):
            width = self.size[0] if slot in wide else LANE
            if slot in wide and slot > 0:
                x += LANE / 2 + self.levels * (FRAME if slot - 1 in wide else 0)
            middles[slot] = x + width / 2
            x += width
        self.right = x + self.levels * FRAME_SIDE
        y = MARGIN + HEAD
        if self.port is not None:
            self.x[self.port], self.y[self.port] = middles[0], y
            y += GAP + self.levels * FRAME_SIDE
        for index, rank in enumerate(self.ranks):
            for node in rank:
                self.x[node], self.y[node] = middles[node.slot], y
            y += self.size[1]
            # Room for the frames that end and begin below this rank.
            edges = {
                (begins, scope.level)
                for scope, (first, last) in self.spans.items()
                for begins in (False, True)
                if (first - 1 if begins else last) == index
            }
            self.bottom = y + self.levels * FRAME_SIDE
            y += GAP + len(edges) * FRAME_SIDE

    def frames(self, measure: Measure) -> list[Frame]:
        """Returns the frames around this column's share of each scope."""
        found = (self._frame(scope, measure) for scope in self.spans)
        return [frame for frame in found if frame is not None]

    def _frame(self, scope: Scope, measure: Measure) -> Frame | None:
        first, last = self.spans[scope]
        inside = [n for n in self.boxes if n.text.name in scope.members]
        lanes = [
            node
            for rank in self.ranks[first : last + 1]
            for node in rank
            if node.text is None and node.ends <= scope.members
        ]
        slots = {node.slot for node in (*inside, *lanes)}
        strangers = (
            node
            for rank in self.ranks[first : last + 1]
            for node in rank
            if node.text is not None and node not in inside
        )
        if any(min(slots) <= node.slot <= max(slots) for node in strangers):
            return None
        inset = self.levels - scope.level
        side = inset * FRAME_SIDE - 1
        x = min(self.boxes[node].x for node in inside) - inset * FRAME + 1
        right = max(self.boxes[node].x + self.size[0] for node in inside)
        right = max([right, *(self.x[node] + LANE / 4 for node in lanes)]) + side
        y = min(self.y[node] for node in inside) - side
        bottom = max(self.y[node] for node in inside) + self.size[1] + side
        label = _fitting(scope.label, bottom - y - 4, measure)
        return Frame(label, scope.level, x, y, right - x, bottom - y)

    def lines(self) -> list[Line]:
        """Returns the connections inside this column."""
        ranks = [[self.port], *self.ranks] if self.port else self.ranks
        return [
            self._line(node, target, rank, below)
            for rank, below in itertools.pairwise(ranks)
            for node in rank
            for target in node.targets
        ]

    def _line(self, node: Node, target: Node, rank, below) -> Line:
        height = self.size[1]
        box, goal = self.boxes.get(node), self.boxes.get(target)
        x, bottom = self.x[node], self.y[node] + (0 if node is self.port else height)
        to_x, top = self.x[target], self.y[target]
        end = (to_x, top if goal else top + height)
        if x == to_x:
            return Line([(x, bottom), end], goal is not None)
        if goal and x > to_x and _is_free(below, target.slot, node.slot):
            level = top + height * _ENTRY
            side = (goal.x + goal.width, level)
            return Line([(x, bottom), (x, level), side], True)
        leaves = box or node is self.port
        if leaves and to_x > x and _is_free(rank, node.slot, target.slot):
            level = box.y + height * _EXIT if box else bottom
            start = (box.x + box.width if box else x, level)
            return Line([start, (to_x, level), end], goal is not None)
        # Two lines that change sides in one gap keep apart.
        middle = (bottom + top) / 2 + (_APART if to_x > x else -_APART)
        return Line([(x, bottom), (x, middle), (to_x, middle), end], goal is not None)

    def line_from(self, start: Point) -> Line:
        """Returns the line from the end of the column before to this one's port."""
        x, y = start
        below, gutter = y + GAP / 2 + self.levels * FRAME_SIDE, self.left - GUTTER / 2
        port = (self.x[self.port], self.y[self.port])
        points = [start, (x, below), (gutter, below), (gutter, port[1]), port]
        return Line(points, False)


def _enters(node: Node, ranks: Ranks) -> bool:
    """Whether a column's first rank has this node from the column before."""
    return node.text is None or bool(node.text.inputs)


def _spans(scopes: list[Scope], ranks: Ranks) -> dict[Scope, tuple[int, int]]:
    """The first and last of the ranks that have members of each scope, if any have."""
    places = {
        node.text.name: index
        for index, rank in enumerate(ranks)
        for node in rank
        if node.text is not None
    }
    spans = {}
    for scope in scopes:
        found = scope.members & places.keys()
        if found:
            indices = [places[name] for name in found]
            spans[scope] = min(indices), max(indices)
    return spans


def _is_free(rank: Sequence[Node], left: int, right: int) -> bool:
    """Whether no node stands between a slot and another to its right, inclusive."""
    return not any(left < node.slot <= right for node in rank)


def _fitting(label: str, length: float, measure: Measure) -> str:
    """The label, without its inner scopes where those do not fit."""
    while label and measure(label, False) > length:
        label = label.rpartition("/")[0]
    return label
