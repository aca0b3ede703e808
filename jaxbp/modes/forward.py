"""Forward mode: primal and tangent go through the program together; nothing is kept."""

from collections.abc import Callable, Sequence

from ..linear.base import add
from .live import run_live
from .walk import Walker


class Pusher(Walker):
    """A walker whose dots are tangents: edges are applied at once."""

    def extend(self, edges, dots, outs):
        out: list = [None] * len(outs)
        for edge in edges:
            tangents = [dots[place] for place in edge.ins]
            pushed = edge.map.push(edge.residuals, tangents)
            for place, tangent in zip(edge.outs, pushed, strict=True):
                out[place] = add(out[place], tangent)
        return out

    def through(self, jvp, values, dots, params):
        found: list = []

        def rule():  # live: what only we evaluate may stand in a user's rule
            outs, tangents = jvp(values, dots, **params)
            found.extend(outs)
            return list(tangents), []

        tangents, _, _ = run_live(self, rule, [], [])
        return found, tangents


def push_forward(function: Callable, primals: Sequence, tangents: Sequence):
    """Values and tangents (None: zero) of `function(*primals) -> outs, extras`."""
    return run_live(Pusher(), function, primals, tangents)
