"""Boxes and arrows: a graph, or the steps of a computation on it, as a figure.

Sizes are in points, one data unit a point, so that every text fits its box whatever the
figure. Values are blue, tangents green, gradients vermilion.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgument
from .layered import Placement, layered
from .palette import COLOURS, INK

FONT, LINE, PAD = 9.0, 12.0, 6.0  # points
EDGE_FONT = 7.5
SPOTS = sorted([k * 0.035 for k in range(-11, 12)], key=abs)  # from an edge's middle
SAMPLES = [k / 24 for k in range(25)]  # along an edge, which texts keep clear of
CROSSED = 12.0  # what covering a point of another edge costs, in square points
TITLE = 26.0  # height of a panel's title
MARGIN = 14.0
LARGEST_SIDE = 30_000  # pixels that image formats hold with ease
MOST_NODES = 600
FILLS = {
    "input": ("#E3F0F9", COLOURS["blue"]),
    "constant": ("#F4F4F4", "#C8C8C8"),
    "operation": ("#FFFFFF", "#8C8C8C"),
    "output": ("#FCEBDD", COLOURS["vermilion"]),
    "faint": ("#FFFFFF", "#DADADA"),
}
TONES = {
    "ink": INK,
    "value": COLOURS["blue"],
    "tangent": COLOURS["green"],
    "gradient": COLOURS["vermilion"],
    "note": "#6E6E6E",
    "faint": "#BDBDBD",
}


@dataclass(frozen=True)
class Node:
    """A box.

    Attributes:
      lines: (text, tone) per line, the first one bold; tones are those of TONES.
      kind: "input", "constant", "operation", "output" or "faint".
    """

    lines: tuple[tuple[str, str], ...]
    kind: str = "operation"


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another, by index, with a text on it."""

    source: int
    target: int
    text: str = ""
    tone: str = "faint"
    backwards: bool = False  # the arrow's head is at the source


@dataclass(frozen=True)
class Graph:
    """What one panel shows.

    Attributes:
      nodes, edges: an acyclic graph.
      title: above it.
      legend: (text, tone) of words behind the title that say what the tones mean.
    """

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    title: str = ""
    legend: Sequence[tuple[str, str]] = ()

    def title_width(self) -> float:
        """Of title and legend, in points."""
        texts = sum(_width(text, FONT) + 10 for text, _ in self.legend)
        return _width(self.title, FONT + 2) + texts


@dataclass
class _Board:
    """Axes with what has been placed on them, for texts to keep clear of."""

    axes: Any
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)


def draw(panels: Sequence[Graph], columns: int = 1, heading: str = ""):
    """A matplotlib Figure of one or more graphs with the same nodes and edges.

    Panels show the same graph at several moments: it is laid out once, with room for
    the largest text of any.

    Args:
      panels: the graphs; nodes and edges correspond by place.
      columns: panels side by side.
      heading: above the figure.

    Raises:
      InvalidArgument: more than MOST_NODES nodes: no one could read it.
    """
    from matplotlib.figure import Figure

    count = len(panels[0].nodes)
    if count > MOST_NODES:
        raise InvalidArgument(
            f"a picture must have at most {MOST_NODES} nodes to be readable, but the "
            f"graph has {count}. Draw a smaller case."
        )
    placement = _placed(panels)
    rows = -(-len(panels) // columns)
    top = TITLE if any(p.title or p.legend for p in panels) else 0.0
    width = max(placement.width, *(p.title_width() for p in panels))
    cell = width + 2 * MARGIN, placement.height + 2 * MARGIN + top
    total = cell[0] * columns, cell[1] * rows + (TITLE if heading else 0.0)
    figure = Figure(figsize=(total[0] / 72, total[1] / 72))
    figure.set_dpi(min(160.0, LARGEST_SIDE * 72 / max(total)))
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        corner = column * cell[0], (rows - 1 - row) * cell[1]
        box = (
            corner[0] / total[0], corner[1] / total[1],
            cell[0] / total[0], cell[1] / total[1],
        )  # fmt: skip
        axes = figure.add_axes(box)
        left = (width - placement.width) / 2 + MARGIN
        axes.set(xlim=(-left, cell[0] - left), ylim=(-MARGIN, cell[1] - MARGIN))
        axes.set_axis_off()
        _panel(_Board(axes), panel, placement, cell[1] - MARGIN - 18, -left + MARGIN)
    if heading:
        at = (MARGIN / total[0], 1 - 8 / total[1])
        figure.text(
            *at, heading, va="top", fontsize=FONT + 3, fontweight="bold", color=INK
        )
    return figure


FORMATS = (".svg", ".png", ".pdf")


def check_format(path) -> None:
    """Raises InvalidArgument unless a figure can be saved under this name."""
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise InvalidArgument(
            f"a picture's file must end in .svg, .png or .pdf, but is called {path}."
        )


def save(figure, path) -> None:
    """Writes a figure as .svg, .png or .pdf, the same bytes for the same figure.

    Raises:
      InvalidArgument: another ending.
    """
    import matplotlib

    check_format(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    about = undated.get(Path(path).suffix.lower())
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "jaxbp", "svg.fonttype": "none"}):
        figure.savefig(path, dpi=figure.dpi, metadata=about)


def _placed(panels: Sequence[Graph]) -> Placement:
    sizes = [
        tuple(map(max, *(_size(p.nodes[i]) for p in panels), (0.0, 0.0)))
        for i in range(len(panels[0].nodes))
    ]
    texts = [_width(e.text, EDGE_FONT) for p in panels for e in p.edges]
    gap = max([40.0, *(text + 26.0 for text in texts)])
    return layered(sizes, [(e.source, e.target) for e in panels[0].edges], gap)


def _size(node: Node) -> tuple[float, float]:
    width = max((_width(text, FONT, i == 0) for i, (text, _) in enumerate(node.lines)))
    return width + 2 * PAD, LINE * len(node.lines) + PAD


@functools.lru_cache(maxsize=4096)
def _width(text: str, size: float, bold: bool = False) -> float:
    """The width of a text in points."""
    if not text:
        return 0.0
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


# One panel ------------------------------------------------------------------


def _panel(board: _Board, panel: Graph, placement: Placement, top, left) -> None:
    _heading(board, panel, top, left)
    for node, centre in zip(panel.nodes, placement.centres, strict=True):
        _box(board, node, centre)
    curves = [
        _curve(panel, placement, place, ends)
        for place, ends in enumerate(_ports(panel, placement))
    ]
    for edge, curve in zip(panel.edges, curves, strict=True):
        _arrow(board, edge, curve)
    sampled = [[_on(curve, t) for t in SAMPLES] for curve in curves]
    for i, (edge, curve) in enumerate(zip(panel.edges, curves, strict=True)):
        if edge.text:
            others = [p for j, points in enumerate(sampled) if j != i for p in points]
            _edge_text(board, edge, curve, np.array(others).reshape(-1, 2))


def _heading(board: _Board, panel: Graph, top: float, left: float) -> None:
    """The title, then the legend's words in their tones."""
    words = [(panel.title, "ink", FONT + 2)] if panel.title else []
    words += [(text, tone, FONT) for text, tone in panel.legend]
    for text, tone, size in words:
        board.axes.text(
            left, top, text, fontsize=size, color=TONES[tone], va="baseline", ha="left"
        )
        left += _width(text, size) + 10


def _box(board: _Board, node: Node, centre) -> None:
    from matplotlib.patches import FancyBboxPatch

    (x, y), (width, height) = centre, _size(node)
    fill, border = FILLS[node.kind]
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=4"
    board.axes.add_patch(
        FancyBboxPatch(
            corner, width, height, boxstyle=style, facecolor=fill, edgecolor=border,
            linewidth=0.9, zorder=3,
        )
    )  # fmt: skip
    board.taken.append((*corner, corner[0] + width, corner[1] + height))
    for i, (text, tone) in enumerate(node.lines):
        board.axes.text(
            x, y + LINE * ((len(node.lines) - 1) / 2 - i), text, ha="center",
            va="center_baseline", fontsize=FONT, color=TONES[tone], zorder=4,
            fontweight="bold" if i == 0 else "normal",
        )  # fmt: skip


def _ports(panel: Graph, placement: Placement):
    """Per edge the heights at which it leaves and enters: spread along the side."""
    ends = [[0.0, 0.0] for _ in panel.edges]
    for side in (0, 1):
        beside: dict[int, list[int]] = {}
        for place, edge in enumerate(panel.edges):
            beside.setdefault((edge.source, edge.target)[side], []).append(place)
        for node, places in beside.items():
            room = 0.62 * _size(panel.nodes[node])[1]
            y = placement.centres[node][1]
            places.sort(key=lambda p: -_next(panel, placement, p, side)[1])
            step = min(10.0, room / len(places))
            for i, place in enumerate(places):
                ends[place][side] = y + step * ((len(places) - 1) / 2 - i)
    return ends


def _next(panel: Graph, placement: Placement, place: int, side: int):
    """The point that an edge heads for from its source (0) or its target (1)."""
    way, edge = placement.ways[place], panel.edges[place]
    if way:
        return way[0] if side == 0 else way[-1]
    return placement.centres[edge.target if side == 0 else edge.source]


def _curve(panel: Graph, placement: Placement, place: int, ends):
    """The points that an edge passes, from side to side of its boxes."""
    edge = panel.edges[place]
    x0 = placement.centres[edge.source][0] + _size(panel.nodes[edge.source])[0] / 2
    x1 = placement.centres[edge.target][0] - _size(panel.nodes[edge.target])[0] / 2
    return [(x0, ends[0]), *placement.ways[place], (x1, ends[1])]


def _arrow(board: _Board, edge: Edge, curve) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    if edge.backwards:
        curve = curve[::-1]
    points, codes = [curve[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(curve):
        middle = (x0 + x1) / 2
        points += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    strong = edge.tone != "faint"
    board.axes.add_patch(
        FancyArrowPatch(
            path=Curve(points, codes), arrowstyle="-|>", mutation_scale=7,
            color=TONES[edge.tone] if strong else "#9A9A9A", shrinkA=0, shrinkB=0,
            linewidth=1.0 if strong else 0.8, zorder=2, alpha=0.9 if strong else 0.8,
        )
    )  # fmt: skip


def _edge_text(board: _Board, edge: Edge, curve, others: np.ndarray) -> None:
    """A text on its edge, at the place that covers least of boxes, texts and the other
    edges, of which `others` are points."""
    half = np.array([_width(edge.text, EDGE_FONT) + 3, EDGE_FONT * 1.25]) / 2
    spots = [_on(curve, 0.5 + off) for off in SPOTS]

    def cost(spot):
        (x, y), (w, h) = spot, half
        box = (x - w, y - h, x + w, y + h)
        crossed = np.all(np.abs(others - spot) < half, axis=1).sum()
        return sum(_overlap(box, b) for b in board.taken) + CROSSED * crossed

    best = min(spots, key=cost)
    board.taken.append((*(best - half), *(best + half)))
    board.axes.text(
        *best, edge.text, fontsize=EDGE_FONT, color=TONES[edge.tone], ha="center",
        va="center", zorder=2.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.88},
    )  # fmt: skip


def _on(curve, t: float) -> tuple[float, float]:
    """The point at the fraction t of a curve's width."""
    x = curve[0][0] + t * (curve[-1][0] - curve[0][0])
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x1 or (x1, y1) == curve[-1]:
            u = (x - x0) / (x1 - x0) if x1 > x0 else 0.5
            # x of the Bézier curve with horizontal ends is close to linear in its u.
            return x, y0 + (y1 - y0) * u * u * (3 - 2 * u)
    return x, curve[-1][1]


def _overlap(a, b) -> float:
    """The area that two boxes (left, bottom, right, top) share."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    up = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, up)
