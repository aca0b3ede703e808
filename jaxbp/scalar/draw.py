"""The graph of a scalar computation: values on nodes, gradients on edges."""

from ..drawing import picture
from ..errors import InvalidArgument
from .tape import Value, order

SIGNS = {"*": "×", "-": "−", "/": "÷", "neg": "−x"}
LEGEND = {
    "gradients": (("value", "value"), ("gradient", "gradient")),
    "slopes": (("value", "value"), ("gradient; slopes on the arrows", "gradient")),
}
ON_EDGES = {
    "gradients": lambda value, slope: slope * value.grad,
    "slopes": lambda value, slope: slope,
}


def draw(output: Value, edges: str = "gradients", title: str = ""):
    """A matplotlib Figure of everything that `output` was computed from.

    A box tells the operation, the number and, below it, the gradient after
    `output.backward()`. Nothing is written on edges from unlabelled constants.

    Args:
      edges: "gradients": on an edge stands what it carries back, its slope times the
        gradient in front; a value's gradient is the sum over its edges. "slopes": the
        slope alone; a derivative is the sum over all paths of the product along each.
      title: above the graph.

    Raises:
      InvalidArgument: another word for `edges`, or a graph too large to be read.
    """
    if edges not in ON_EDGES:
        raise InvalidArgument(
            f'`edges` must be "gradients" or "slopes", but is {edges!r}.'
        )
    values = order(output)
    place = {value: i for i, value in enumerate(values)}
    arrows = [
        picture.Edge(place[parent], place[value], *_text(edges, value, parent, slope))
        for value in values
        for parent, slope in zip(value.parents, value.slopes, strict=True)
    ]
    nodes = [_box(value, value is output) for value in values]
    return picture.draw([picture.Graph(nodes, arrows, title, LEGEND[edges])])


def _constant(value: Value) -> bool:
    return not value.parents and not value.label


def _text(edges: str, value: Value, parent: Value, slope: float) -> tuple[str, str]:
    if _constant(parent):
        return "", "faint"
    return short(ON_EDGES[edges](value, slope)), "gradient"


def _box(value: Value, is_output: bool) -> picture.Node:
    if _constant(value):
        return picture.Node(((short(value.data), "note"),), "constant")
    op = SIGNS.get(value.op, value.op)
    head = f"{value.label} = {op}" if value.label and op else value.label or op
    lines = (
        (head, "ink"),
        (short(value.data), "value"),
        (short(value.grad), "gradient"),
    )
    kind = "output" if is_output else "operation" if value.parents else "input"
    return picture.Node(lines, kind)


def short(number: float) -> str:
    """Five digits, with a true minus; zero has no sign."""
    return f"{number + 0.0:.5g}".replace("-", "−")
