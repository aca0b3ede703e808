"""Where the names of lines stand: at their ends, on no other name and on no point."""

from ..graphs.spread import spread

LABEL_POINTS = 8.5
DIRECT = "direct-label"  # gid of a line's name


def spread_labels(axis) -> None:
    """Move direct labels up or down until none covers another; they stay beside
    their axes as far as there is room. One that would lie on a point of another line
    stands above or below its own end, or before it."""
    labels = [t for t in axis.texts if t.get_gid() == DIRECT]
    points = axis.figure.dpi / 72  # pixels a point
    crowd = _points_of_lines(axis)
    labels = [label for label in labels if not _stands_aside(label, crowd, points)]
    anchors = [axis.transData.transform(label.xy)[1] / points for label in labels]
    order = sorted(range(len(labels)), key=anchors.__getitem__)
    heights = [
        LABEL_POINTS * 1.25 * (1 + labels[i].get_text().count("\n")) for i in order
    ]
    gaps = [(a + b) / 2 for a, b in zip(heights, heights[1:], strict=False)]
    places = spread([anchors[i] for i in order], gaps, [1.0] * len(order))
    low, high = axis.bbox.y0 / points, axis.bbox.y1 / points
    for k in reversed(range(len(places))):  # from the top down, then from below up
        places[k] = min(places[k], high - heights[k] / 2)
        high = places[k] - heights[k] / 2
    for k, height in enumerate(heights):
        places[k] = max(places[k], low + height / 2)
        low = places[k] + height / 2
    for i, place in zip(order, places, strict=True):
        labels[i].xyann = (6, place - anchors[i])


def _points_of_lines(axis) -> list:
    """Where all points of all lines with markers stand, in pixels."""
    return [
        tuple(axis.transData.transform(point))
        for drawn in axis.lines
        if drawn.get_marker() not in ("", "None", None)
        for point in drawn.get_xydata()
    ]


def _stands_aside(label, crowd, points: float) -> bool:
    """Whether a label had to leave its place at the right of its line's end."""
    tries = ((6, 0, "left"), (0, 9, "center"), (0, -9, "center"), (-6, 0, "right"))
    for x, y, side in tries:
        label.xyann = (x, y)
        label.set_horizontalalignment(side)
        box = label.get_window_extent()
        inside = [
            p for p in crowd
            if box.x0 < p[0] < box.x1 and box.y0 - 2 < p[1] < box.y1 + 2
        ]  # fmt: skip
        if not inside:
            return (x, y) != (6, 0)
    label.xyann = (6, 0)
    label.set_horizontalalignment("left")
    return False
