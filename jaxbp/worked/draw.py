"""The steps of backpropagation as panels: values forward, errors back, new weights."""

from ..drawing import picture as boxes
from ..errors import InvalidArgument
from ..scalar.draw import short
from .rows import activation_name

MOST_UNITS = 40
COLUMNS = 2


def picture(worked):
    """A matplotlib Figure of the last step, a panel for each move.

    Panels: the forward values, with the weights on the edges; then from the last layer
    back the errors dE/dz of one more layer, with the weights' gradients on its edges;
    at the end the updated weights.

    Raises:
      InvalidArgument: more units than one could read.
    """
    units = sum(worked.net.sizes)
    if units > MOST_UNITS:
        raise InvalidArgument(
            f"a picture must have at most {MOST_UNITS} units to be readable, but the "
            f"network has {units}."
        )
    count = len(worked.net.sizes) - 1
    panels = [_forward(worked)]
    panels += [_backward(worked, layer) for layer in range(count, 0, -1)]
    panels.append(_updated(worked))
    return boxes.draw(panels, columns=COLUMNS, heading=worked.net.name)


class _Units:
    """The boxes of a network: inputs, the layers' units, the loss."""

    def __init__(self, worked):
        self.net, self.step = worked.net, worked.steps[-1]
        self.first = [0]
        for size in self.net.sizes:
            self.first.append(self.first[-1] + size)
        self.loss = self.first[-1]

    def edges(self, text, backwards: int | None = None) -> list[boxes.Edge]:
        """Every connection; text(layer, i, j) -> (text, tone) of the one to unit i of
        a layer from unit j below; those of the layer `backwards` point back."""
        found = []
        for k, layer in enumerate(self.step.layers, 1):
            for i, row in enumerate(layer.W):
                for j in range(len(row)):
                    source, target = self.first[k - 1] + j, self.first[k] + i
                    said, tone = text(k, i, j)
                    back = k == backwards
                    found.append(boxes.Edge(source, target, said, tone, back))
        last = len(self.net.sizes) - 1
        for i in range(self.net.sizes[-1]):
            back = backwards == last
            slope = self.step.layers[-1].a_bar[i]
            said = f"∂E/∂a {short(slope)}" if back else ""
            tone = "gradient" if back else "faint"
            found.append(boxes.Edge(self.first[last] + i, self.loss, said, tone, back))
        return found

    def nodes(self, lines, loss) -> list[boxes.Node]:
        """Boxes with a heading each; lines(layer, i) gives the lines below it."""
        found = []
        for k, size in enumerate(self.net.sizes):
            for i in range(size):
                name = f"a{k}[{i + 1}]" if k else f"x[{i + 1}]"
                below = lines(k, i) if k else [(short(self.net.inputs[i]), "value")]
                kind = "operation" if k else "input"
                found.append(boxes.Node(((name, "ink"), *below), kind))
        return [*found, boxes.Node((("E", "ink"), *loss), "output")]


def _forward(worked) -> boxes.Graph:
    units = _Units(worked)
    step, net = units.step, worked.net

    def lines(k, i):
        layer = step.layers[k - 1]
        name = activation_name(net.activations[k - 1])
        return [
            (f"z = {short(layer.z[i])}", "note"),
            (f"{name}: {short(layer.a[i])}", "value"),
        ]

    edges = units.edges(lambda k, i, j: (short(step.layers[k - 1].W_old[i][j]), "note"))
    nodes = units.nodes(lines, [(short(step.loss), "value")])
    return boxes.Graph(nodes, edges, "1 Feed forward", (("weights", "note"), VALUES))


VALUES, GRADIENTS = ("values", "value"), ("gradients", "gradient")


def _backward(worked, at: int) -> boxes.Graph:
    """The error of the layer `at`, those behind it known, those before it not yet."""
    units = _Units(worked)
    step, count = units.step, len(worked.net.sizes) - 1

    def lines(k, i):
        layer = step.layers[k - 1]
        value = (short(layer.a[i]), "value")
        if k < at:
            return [value]
        return [value, (f"∂E/∂z {short(layer.z_bar[i])}", "gradient")]

    def text(k, i, j):
        if k != at:
            return "", "faint"
        return short(step.layers[k - 1].W_bar[i][j]), "gradient"

    nodes = units.nodes(lines, [(short(step.loss), "value")])
    title = f"{count - at + 2} Errors back to layer {at}, gradients of W{at}"
    return boxes.Graph(nodes, units.edges(text, at), title, (VALUES, GRADIENTS))


def _updated(worked) -> boxes.Graph:
    units = _Units(worked)

    def lines(k, i):
        layer = units.step.layers[k - 1]
        if layer.b is None:
            return []
        shared = isinstance(layer.b, int | float)
        return [(f"b = {short(layer.b if shared else layer.b[i])}", "note")]

    def text(k, i, j):
        return short(units.step.layers[k - 1].W[i][j]), "note"

    nodes = units.nodes(lines, [(short(worked.loss_after), "value")])
    title = f"{len(worked.net.sizes) + 1} Updated weights and biases"
    return boxes.Graph(nodes, units.edges(text), title, (("new weights", "note"),))
