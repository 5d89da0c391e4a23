"""Where the boxes of an entity diagram stand, and how the arrows run between them: layers from left to right. Plain values, all pure.

After Sugiyama, Tagawa and Toda (1981): a box stands left of those that it refers to, long arrows pass between the boxes of the layers that
they cross, and the boxes of a layer are ordered by the middle of their neighbours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

HEAD, LINE = 34, 24  # pixels: the height of a box's head, and of each of its lines
GAP_X, GAP_Y, MARGIN = 110, 26, 16
WIDEST = 1500  # pixels beside one another before the next group goes below
SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Box:
    """A table: its name, how wide it is drawn, and how many lines it has below its head."""

    name: str
    width: int
    lines: int

    @property
    def height(self) -> int:
        return HEAD + LINE * self.lines


@dataclass(frozen=True, slots=True)
class Arrow:
    """A reference from a line of a box to a line of another, or of itself; lines count from 0."""

    source: str
    source_line: int
    target: str
    target_line: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """The left upper corner of each box by its name, the path of each arrow in their order, and the size of it all, in pixels."""

    corners: Mapping[str, tuple[int, int]]
    paths: tuple[str, ...]
    width: int
    height: int


Way = tuple[str, ...]  # what an arrow passes, from its source to its target: boxes at its ends, places between boxes elsewhere


def layout(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Drawing:
    """Places the boxes, those that hang together apart from the others."""
    corners: dict[str, tuple[int, int]] = {}
    ways: dict[Arrow, list[tuple[float, float]]] = {}
    x = y = MARGIN
    shelf = width = 0
    for group in sorted(groups(boxes, arrows), key=lambda g: (-len(g), g[0].name)):
        placed = _Group(group, [a for a in arrows if a.source in {box.name for box in group}])
        if x > MARGIN and x + placed.width > WIDEST:
            x, y, shelf = MARGIN, y + shelf + GAP_Y * 2, 0
        corners |= {name: (round(x + dx), round(y + dy)) for name, (dx, dy) in placed.corners.items()}
        ways |= {arrow: [(x + dx, y + dy) for dx, dy in points] for arrow, points in placed.bends.items()}
        x, shelf = x + round(placed.width) + GAP_X // 2, max(shelf, round(placed.height))
        width = max(width, x - GAP_X // 2 + MARGIN)
    by_name = {box.name: box for box in boxes}
    paths = tuple(_path(arrow, by_name, corners, ways.get(arrow, [])) for arrow in arrows)
    return Drawing(corners, paths, width, y + shelf + MARGIN)


def groups(boxes: Sequence[Box], arrows: Iterable[Arrow]) -> list[list[Box]]:
    """The boxes that hang together by arrows, each group in the given order."""
    leader = {box.name: box.name for box in boxes}

    def lead(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for arrow in arrows:
        leader[lead(arrow.source)] = lead(arrow.target)
    found: dict[str, list[Box]] = {}
    for box in boxes:
        found.setdefault(lead(box.name), []).append(box)
    return list(found.values())


class _Group:
    """Boxes that hang together, placed from their own left upper corner; `bends` are the points between the ends of long arrows."""

    def __init__(self, boxes: Sequence[Box], arrows: Sequence[Arrow]) -> None:
        self.sizes: dict[str, tuple[int, int]] = {box.name: (box.width, box.height) for box in boxes}
        self.ranks = _ranked([box.name for box in boxes], [(a.source, a.target) for a in arrows if a.source != a.target])
        self.ways = {arrow: self._way(arrow, number) for number, arrow in enumerate(arrows) if arrow.source != arrow.target}
        self.near = _neighbours(self.ways.values())
        last = max(self.ranks.values())
        self.layers = [[name for name, rank in self.ranks.items() if last - rank == place] for place in range(last + 1)]
        self._order()
        self._place()

    def _way(self, arrow: Arrow, number: int) -> Way:
        """The arrow's ends, and a place of its own in each layer between them."""
        start, end = self.ranks[arrow.source], self.ranks[arrow.target]
        step = 1 if end > start else -1
        between = []
        for rank in range(start + step, end, step):
            name = f"\0{number} {rank}"  # No table is called so.
            self.ranks[name], self.sizes[name] = rank, (0, 0)
            between.append(name)
        return arrow.source, *between, arrow.target

    def _order(self) -> None:
        """Each layer by the middle of its neighbours in the layer before, to and fro, so that few arrows cross."""
        for sweep in range(SWEEPS):
            layers = self.layers if sweep % 2 == 0 else self.layers[::-1]
            for before, layer in pairwise(layers):
                places = {name: place for place, name in enumerate(before)}
                middles = {name: [places[n] for n in self.near.get(name, ()) if n in places] for name in layer}
                own = {name: place for place, name in enumerate(layer)}
                layer.sort(key=lambda name, m=middles, o=own: (fmean(m[name]) if m[name] else o[name], o[name]))  # type: ignore[misc]

    def _place(self) -> None:
        tops = {name: top for layer in self.layers for name, top in self._stacked(layer, {}).items()}
        for sweep in range(SWEEPS):
            for layer in self.layers if sweep % 2 else self.layers[::-1]:
                tops |= self._stacked(layer, tops)
        highest = min(tops.values())
        widths = [max(self.sizes[name][0] for name in layer) for layer in self.layers]
        lefts = [sum(widths[:place]) + GAP_X * place for place in range(len(widths))]
        left = {name: lefts[place] for place, layer in enumerate(self.layers) for name in layer}
        right = {name: lefts[place] + widths[place] for place, layer in enumerate(self.layers) for name in layer}
        self.corners = {name: (left[name], top - highest) for name, top in tops.items() if not name.startswith("\0")}
        sides = {arrow: (left, right) if self.ranks[way[0]] > self.ranks[way[-1]] else (right, left) for arrow, way in self.ways.items()}
        self.bends = {
            arrow: [(side[name], tops[name] - highest) for name in way[1:-1] for side in sides[arrow]] for arrow, way in self.ways.items()
        }
        self.width = lefts[-1] + widths[-1]
        self.height = max(tops[name] - highest + self.sizes[name][1] for name in tops)

    def _stacked(self, layer: Sequence[str], tops: Mapping[str, float]) -> dict[str, float]:
        """The tops of a layer's boxes: each as near to the middle of its neighbours as the boxes above it let it."""
        found: dict[str, float] = {}
        wanted: list[float] = []
        edge = float("-inf")
        for name in layer:
            height = self.sizes[name][1]
            middles = [tops[n] + self.sizes[n][1] / 2 for n in self.near.get(name, ()) if n in tops]
            wish = fmean(middles) - height / 2 if middles else max(edge, 0.0)
            found[name] = max(wish, edge)
            wanted.append(wish)
            edge = found[name] + height + GAP_Y
        shift = fmean(w - t for w, t in zip(wanted, found.values(), strict=True))
        return {name: top + shift for name, top in found.items()}


def _ranked(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many layers each box stands left of the last: more than each that it refers to; a circle is cut where it costs least."""
    targets: dict[str, set[str]] = {name: set() for name in names}
    near: dict[str, set[str]] = {name: set() for name in names}
    for source, target in pairs:
        targets[source].add(target)
        near[source].add(target)
        near[target].add(source)
    ranks: dict[str, int] = {}
    while waiting := [name for name in names if name not in ranks]:
        chosen = min(waiting, key=lambda name: len(targets[name] - ranks.keys()))
        ranks[chosen] = 1 + max((ranks[name] for name in near[chosen] if name in ranks), default=-1)
    for name in sorted(names, key=lambda name: -ranks[name]):  # What more boxes refer to than it refers to stands next to them.
        left = [ranks[other] for other in near[name] if ranks[other] > ranks[name]]
        if len(left) * 2 > len(near[name]):
            ranks[name] = min(left) - 1
    return ranks


def _neighbours(ways: Iterable[Way]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for way in ways:
        for one, other in pairwise(way):
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
    return found


def _path(arrow: Arrow, boxes: Mapping[str, Box], corners: Mapping[str, tuple[int, int]], bends: Sequence[tuple[float, float]]) -> str:
    """An SVG path from the line that refers to the line that it refers to."""
    (x1, y1), (x2, y2) = corners[arrow.source], corners[arrow.target]
    y1, y2 = y1 + _middle(arrow.source_line), y2 + _middle(arrow.target_line)
    right1, right2 = x1 + boxes[arrow.source].width, x2 + boxes[arrow.target].width
    if arrow.source == arrow.target:
        return f"M{right1} {y1}C{right1 + 40} {y1} {right1 + 40} {y2} {right1} {y2}"
    start, end = ((right1, y1), (x2, y2)) if x1 < x2 else ((x1, y1), (right2, y2))
    points = [start, *bends, end]
    return f"M{start[0]} {start[1]}" + "".join(_curve(a, b) for a, b in pairwise(points))


def _middle(line: int) -> int:
    return HEAD + LINE * line + LINE // 2


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    half = (start[0] + end[0]) / 2
    return f"C{half:.0f} {start[1]:.0f} {half:.0f} {end[1]:.0f} {end[0]:.0f} {end[1]:.0f}"
