"""The picture of a plan: what a gradient takes against how often it runs forward."""

from ..costs.tape_render import size
from ..drawing.palette import COLOURS


def picture(plan):
    """A matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    axes = figure.subplots()
    rows = sorted(
        [
            (row.measured_bytes or row.predicted_bytes, row.times_f, row.measured_bytes)
            for row in plan.rows
        ],
        key=lambda row: row[:2],
    )
    places = [row[:2] for row in rows]
    foreseen = [row[:2] for row in rows if row[2] is None]
    blue = COLOURS["blue"]
    axes.plot(*zip(*places, strict=True), "o-", color=blue, markersize=4)
    if foreseen:
        axes.plot(
            *zip(*foreseen, strict=True), "o", color=blue, markersize=4,
            markerfacecolor="white", label="predicted, not compiled",
        )  # fmt: skip
    axes.plot(
        [plan.measured_bytes], [plan.times_f], "o", color=COLOURS["vermilion"],
        markersize=8, label=f"taken: {size(plan.measured_bytes)}",
    )  # fmt: skip
    axes.axvline(plan.budget_bytes, color=COLOURS["black"], linewidth=0.8)
    axes.set_xlim(0, 1.1 * max(plan.measured_bytes, rows[-1][0]))
    axes.set_xlabel("bytes beside the arguments (the line: the budget)")
    axes.set_ylabel("forward work, times f")
    axes.xaxis.set_major_formatter(lambda number, _: size(int(number)))
    axes.legend(loc="upper right", frameon=False)
    figure.suptitle(f"Gradient of {plan.name}")
    return figure
