"""A kind of rule: linear in some operands, curved in the others, as `solve(a, b)` is.

While only the linear operands carry tangents, the primitive is its own derivative; as
soon as another does, the pushforward says how.
"""

from collections.abc import Callable

from .registry import General, Linear, register


class Mixed:
    """Linear in the operands at `places`, `general` when others carry tangents."""

    def __init__(self, places, transpose, jvp):
        self.places = frozenset(places)
        self.linear = Linear(transpose, places)
        self.general = General(jvp)

    def __call__(self, walker, primitive, values, dots, params):
        moving = {place for place, dot in enumerate(dots) if dot is not None}
        rule = self.linear if moving <= self.places else self.general
        return rule(walker, primitive, values, dots, params)


def mixed(primitive, *, operands: tuple, transpose: Callable, jvp: Callable):
    """Declares a primitive linear in `operands`, but not in the others.

    Args:
      operands: places of the linear operands.
      transpose: as for `linear`.
      jvp: as for `general`; it may bind the primitive itself, with tangents in the
        linear operands only.
    """
    register(primitive, Mixed(operands, transpose, jvp))
