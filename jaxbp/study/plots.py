"""One look for all figures: colour-blind-safe, labelled on the line, reproducible.

Colours are Okabe and Ito's; every contender keeps its colour in all figures. Lines
carry their name at their right end instead of a legend box. The SVG depends on the
rows alone: no date, no random ids.

Source: Okabe and Ito 2008, "Color Universal Design".
"""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from pathlib import Path
from textwrap import fill
from typing import Any

from ..drawing.palette import COLOURS, INK
from ..outputs import writing
from ..timing.clock import UNSTABLE
from .base import is_gap
from .labels import DIRECT, LABEL_POINTS, spread_labels
from .unstable import MARK, is_doubtful, is_unstable, steady

PANEL_INCHES = (5.0, 4.2)
UNSTABLE_POINT = "unstable"  # gid of such points
CHARACTERS_AN_INCH = 9.5  # of a figure's title
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "jaxbp",  # element ids repeat from run to run
    "svg.fonttype": "none",  # text stays text
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.formatter.min_exponent": 3,  # 2 to 900 are written as they are
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "savefig.dpi": 160,
}


def draw(
    plot: Callable,
    rows: Any,
    panels: int | tuple[int, int],
    title: str,
    inches: tuple[float, float] = PANEL_INCHES,
):
    """A figure of `panels` axes, in a row or in (rows, columns), each `inches` wide
    and high, drawn by `plot(rows, axes)` on the flat list of them."""
    import matplotlib
    from matplotlib.figure import Figure  # no global figure, no window

    with matplotlib.rc_context(STYLE):
        down, across = panels if isinstance(panels, tuple) else (1, panels)
        size = (inches[0] * across, inches[1] * down)
        figure = Figure(figsize=size, layout="constrained")
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        plot(rows, axes)
        for axis in axes:
            if not (axis.has_data() or axis.texts or axis.get_title(loc="left")):
                axis.set_visible(False)  # of two rows of panels, one may be left over
        _explain_hollow(figure, axes)
        title = fill(title, int(CHARACTERS_AN_INCH * size[0]))
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
        figure.draw_without_rendering()  # the layout, which label places depend on
        for axis in axes:
            spread_labels(axis)
    return figure


def _explain_hollow(figure, axes) -> None:
    marks = [a for a in axes for drawn in a.lines if drawn.get_gid() == UNSTABLE_POINT]
    if marks:
        said = f"hollow: quartiles more than {UNSTABLE:g} apart, no claim rests on it"
        figure.supxlabel(said, x=0.99, ha="right", fontsize=LABEL_POINTS, color=INK)


def save(figure, folder: Path) -> list[Path]:
    """Write figure.svg and figure.png; the SVG's bytes depend on the rows alone."""
    import matplotlib

    with matplotlib.rc_context(STYLE), writing("results", folder):
        figure.savefig(folder / "figure.svg", metadata={"Date": None})
        figure.savefig(folder / "figure.png")
    return [folder / "figure.svg", folder / "figure.png"]


def line(axis, x: Sequence, y: Sequence, label: str, colour: str, **style) -> None:
    """A line with markers, sorted by x, with its name, if any, at the right end.

    `colour` is a name from `COLOURS`; `style` goes to matplotlib's `plot`.
    """
    if not len(x):
        return
    colour = COLOURS[colour]
    x, y = zip(*sorted(zip(x, y, strict=True)), strict=True)
    axis.plot(x, y, color=colour, **{"marker": "o", **style})
    if not label:
        return
    axis.annotate(
        label,
        (x[-1], y[-1]),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=LABEL_POINTS,
        gid=DIRECT,
    )


def lines(
    axis,
    rows: Sequence,
    x: str,
    y: str,
    colours: Mapping[Any, str],
    by: str = "method",
    named: Callable[[Any], str] = str,
    **style,
) -> None:
    """A line of column `y` over column `x` for each entry of column `by`.

    Args:
      rows: those with a stated gap, or without `y`, are left out.
      colours: entry -> colour, in the order of drawing.
      named: entry -> label.
    """
    drawn: dict[str, list] = {}  # label of a line: its points
    for entry, colour in colours.items():
        shown = [
            row
            for row in rows
            if row.get(by) == entry and not is_gap(row) and row.get(y) is not None
        ]
        xs, ys = [row[x] for row in shown], [row[y] for row in shown]
        same = next((n for n, points in drawn.items() if _alike(points, xs, ys)), None)
        if same is not None:  # it would hide the other: one line with two names
            _rename(axis, same, f"{same}\n= {named(entry)}")
            drawn[f"{same}\n= {named(entry)}"] = drawn.pop(same)
            continue
        line(axis, xs, ys, named(entry), colour, **style)
        if named(entry):
            drawn[named(entry)] = list(zip(xs, ys, strict=True))
        quartile_bars(axis, shown, x, y, colour)
        doubtful = [row for row in shown if is_doubtful(row, y)]
        mark_unstable(axis, doubtful, x, y, colour)


ALIKE = 1.01  # values nearer than this are one point to the eye


def _alike(points: Sequence, xs: Sequence, ys: Sequence) -> bool:
    """Whether a line would lie on one that is drawn."""
    if [x for x, _ in points] != list(xs) or len(points) < 2:
        return False
    pairs = zip((y for _, y in points), ys, strict=True)
    return all(max(a, b) <= ALIKE * min(a, b) for a, b in pairs)


def _rename(axis, label: str, new: str) -> None:
    for text in axis.texts:
        if text.get_gid() == DIRECT and text.get_text() == label:
            text.set_text(new)


def quartile_bars(axis, rows: Sequence, x: str, y: str, colour: str) -> None:
    """A thin bar from lower to upper quartile, where a row has them."""
    known = [row for row in rows if f"{y}_q25" in row]
    ends = ([row[f"{y}_{q}"] for row in known] for q in ("q25", "q75"))
    at = [row[x] for row in known]
    axis.vlines(at, *ends, color=COLOURS[colour], alpha=0.4, linewidth=1.2)


def mark_unstable(axis, rows: Sequence, x: str, y: str, colour: str, **style) -> None:
    """Hollow points for rows that prove nothing; `style` as of the points marked."""
    for row in rows:
        axis.plot(
            [row[x]], [row[y]], color=COLOURS[colour], markerfacecolor="white",
            gid=UNSTABLE_POINT, zorder=3, **{"marker": "o", **style},
        )  # fmt: skip


def ratio_dots(axis, names: Sequence[str], rows: Sequence, column: str, colour: str):
    """One dot a row at its ratio with its quartiles as a bar, a line at 1 and one at
    the geometric mean of the steady ones; the best row stands at the top."""
    colour = COLOURS[colour]
    places = range(len(rows))
    ratios = [row[column] for row in rows]
    lower = [row[f"{column}_q25"] for row in rows]
    upper = [row[f"{column}_q75"] for row in rows]
    axis.hlines(places, lower, upper, color=colour, alpha=0.35, linewidth=3.5)
    axis.plot(ratios, places, "o", color=colour)
    for place, row in zip(places, rows, strict=True):
        if is_unstable(row):
            axis.plot(
                [row[column]], [place], "o", color=colour, markerfacecolor="white",
                gid=UNSTABLE_POINT,
            )  # fmt: skip
    axis.axvline(1, color=INK, linewidth=0.8)
    told = [row[column] for row in steady(rows)]
    centre = exp(mean([log(ratio) for ratio in told])) if told else 1.0
    axis.axvline(centre, color=colour, linewidth=1.2, linestyle=":")
    axis.set_yticks(places, names)
    axis.set_xlabel(f"geometric mean of {len(told)} steady: {centre:.2f} (dotted)")
    axis.invert_yaxis()


def heat_map(
    axis, cells: dict[tuple, float], names: tuple[str, str, str], doubtful=frozenset()
) -> None:
    """A ratio by two sizes, blue below 1 and vermilion above, each cell told.

    Args:
      cells: (row's size, column's size) -> ratio.
      names: of the rows, of the columns, of the ratio.
      doubtful: the cells whose ratio is not to be relied on; they are marked.
    """
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = (sorted(set(sizes)) for sizes in zip(*cells, strict=True))
    logs = [[log(cells.get((r, c), 1.0), 10) for c in columns] for r in rows]
    ends = (COLOURS["blue"], "#F7F7F7", COLOURS["vermilion"])
    colours = LinearSegmentedColormap.from_list("ratio", ends)
    limit = max(1.0, max(abs(value) for line in logs for value in line))
    image = axis.imshow(
        logs, cmap=colours, vmin=-limit, vmax=limit, origin="lower", aspect="auto"
    )
    for (r, c), ratio in cells.items():
        strong = abs(log(ratio, 10)) > 0.6 * limit
        axis.text(
            columns.index(c),
            rows.index(r),
            f"{ratio:.2g}" + f" {MARK}" * ((r, c) in doubtful),
            ha="center",
            va="center",
            fontsize=LABEL_POINTS,
            color="white" if strong else INK,
        )
    axis.set_yticks(range(len(rows)), rows)
    axis.set_xticks(range(len(columns)), columns)
    axis.set(ylabel=names[0], xlabel=names[1])
    axis.grid(False)
    axis.set_title(names[2])
    ticks = [-limit, -limit / 2, 0, limit / 2, limit]
    bar = axis.figure.colorbar(image, ax=axis, ticks=ticks, pad=0.02, aspect=35)
    bar.ax.set_yticklabels([f"{10**tick:.2g}" for tick in ticks])


def log_log(axis, x_label: str, y_label: str) -> None:
    """Logarithmic axes with their names; the y name stands above, to be read flat."""
    from matplotlib.ticker import LogFormatterSciNotation

    axis.set(xscale="log", yscale="log", xlabel=x_label)
    axis.set_title(y_label)
    # Names between powers of ten only where there are hardly any of these.
    few = LogFormatterSciNotation(minor_thresholds=(0.8, 0.4))
    axis.xaxis.set_minor_formatter(few)


def over_sizes(axis, x_label: str, title: str, y: str = "linear") -> None:
    """Sizes that double along x, written as they are; y linear from 0, or "log"."""
    from matplotlib.ticker import StrMethodFormatter

    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axis.set(xlabel=x_label, yscale=y)
    axis.set_title(title)
    if y == "linear":
        axis.set_ylim(bottom=0)


def in_bytes(axis) -> None:
    """Bytes along a logarithmic y as kB, MB and GB, not as powers of ten."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5, 6, 8)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(EngFormatter(unit="B"))


def note(axis, text: str, x: float = 0.02, y: float = 0.97) -> None:
    """A remark inside the axes, at its top left unless told otherwise."""
    axis.text(
        x, y, text, transform=axis.transAxes, va="top", fontsize=LABEL_POINTS, color=INK
    )


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)
