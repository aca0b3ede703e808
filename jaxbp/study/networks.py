"""A small network as a picture: a number on every unit and on every edge."""

from collections.abc import Sequence

import numpy as np

from jaxbp.study import plots

NEAR, APART = 1.0, 1.7  # heights between units of a long and of a short column
TEXT_POINTS = 8.5


def draw_network(
    axis,
    columns: Sequence[tuple[Sequence[str], Sequence[float]]],
    edges: Sequence[np.ndarray],
    title: str,
    digits: int = 3,
) -> None:
    """Units in columns from left to right, blue edges for positive numbers, red ones
    for negative, thick ones for large.

    Args:
      columns: (names above or below the units, numbers in them) of each column.
      edges: between a column and the next, (units there, units here).
      digits: significant digits on the edges.
    """
    largest = max(np.abs(numbers).max() for numbers in edges)
    for left, numbers in enumerate(edges):
        there, here = numbers.shape
        for (i, j), number in np.ndenumerate(numbers):
            start, end = (left, height(j, here)), (left + 1, height(i, there))
            along = 0.3 + 0.05 * (j % 4) + 0.15 * (i % 3)  # no number on another
            _edge(axis, start, end, signed(f"{number:.{digits}g}"), number / largest,
                  along)  # fmt: skip
    for left, (names, numbers) in enumerate(columns):
        for k, (name, number) in enumerate(zip(names, numbers, strict=True)):
            below = 0 < k == len(names) - 1  # outside, where no edge runs
            place = left, height(k, len(names))
            _unit(axis, place, name, signed(f"{number:.3f}"), below)
    top = max(height(0, len(names)) for names, _ in columns)
    axis.set(title=title, xlim=(-0.35, len(columns) - 0.65))
    axis.set_ylim(-top - 0.75, top + 0.75)
    axis.axis("off")


def signed(text: str) -> str:
    """A number with a true minus."""
    return text.replace("-", "−")


def height(k: int, count: int) -> float:
    """Where unit k of a column of `count` stands; columns are centred at 0."""
    return (0.5 * (count - 1) - k) * (NEAR if count > 2 else APART)


def _edge(axis, start, end, text, share, along):
    colour = plots.COLOURS["blue" if share >= 0 else "vermilion"]
    style = dict(linewidth=0.5 + 2.5 * abs(share), alpha=0.55, zorder=1)
    axis.plot(*zip(start, end, strict=True), color=colour, **style)
    x, y = (a + along * (b - a) for a, b in zip(start, end, strict=True))
    box = dict(facecolor="white", edgecolor="none", pad=0.6)
    centred = dict(ha="center", va="center", fontsize=TEXT_POINTS - 0.5)
    axis.text(x, y, text, color=colour, bbox=box, **centred)


def _unit(axis, place, name, text, below):
    axis.scatter(*place, s=1100, color="white", edgecolor=plots.INK, zorder=2)
    axis.text(*place, text, ha="center", va="center", fontsize=TEXT_POINTS, zorder=3)
    offset, side = ((0, -20), "top") if below else ((0, 20), "bottom")
    axis.annotate(name, place, offset, textcoords="offset points", ha="center",
                  va=side, fontsize=TEXT_POINTS, color=plots.INK)  # fmt: skip
