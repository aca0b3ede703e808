"""Why is a residual kept, and who reads it? Each map says it of what it holds.

An elementwise rule names by its slope's parameters what it reads, a linear primitive
tells by the place and type of an operand, and maps that hold linear programs hand the
question on to the maps inside, with their own lines.
"""

import inspect
from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

from .. import ir
from ..control.checkpoint import Checkpoint
from ..control.custom import Backward
from ..control.loop.counted import Counted
from ..control.loop.while_loop import Repeated, operands
from ..linear.base import LinearMap
from ..linear.branch import Branches
from ..linear.call import Call
from ..linear.diagonal import Broadcast, Diagonal
from ..linear.einsum import Einsum
from ..linear.loop.loop import Loop, Recipe, Taped
from ..linear.parts import Part
from ..linear.precision import InPrecision
from ..linear.primitive import JointlyThroughPrimitive, ThroughPrimitive
from ..linear.program import Structure
from ..linear.shard import Sharded
from ..rules import registry


class Reader(NamedTuple):
    """One use of a residual going back.

    Fields:
      why: it is kept.
      primitive: whose derivative reads it.
      line: `file:line (function)` of the user's code, "" where none is known.
    """

    why: str
    primitive: str
    line: str


def readers(structure: Structure, count: int) -> list[list[Reader]]:
    """Per place of a program's tape who reads it, each once.

    Args:
      count: of places.
    """
    found = _inside(structure, count, None)
    return [list(dict.fromkeys(each)) for each in found]


def _inside(structure: Structure, count: int, outer: ir.Origin | None) -> list[list]:
    found: list[list] = [[] for _ in range(count)]
    for edge in structure.edges:
        origin = ir.Origin.nearest(edge.origin, outer)
        held = _reasons(edge.map, edge.residuals, origin)
        for place, uses in zip(edge.residuals, held, strict=True):
            found[place] += uses
    return found


def _reader(why: str, origin: ir.Origin | None) -> Reader:
    if origin is None:
        return Reader(why, "", "")
    return Reader(why, origin.primitive, origin.call_line)


def _name(origin: ir.Origin | None) -> str:
    return "a map" if origin is None else f"`{origin.primitive}`"


@singledispatch
def _reasons(it: LinearMap, held: Sequence, origin) -> list[list[Reader]]:
    """Per residual of a map (`held`: their places) its uses."""
    return _all(f"read by the derivative of {_name(origin)}", held, origin)


def _all(why: str, held: Sequence, origin) -> list[list[Reader]]:
    return [[_reader(why, origin)] for _ in held]


# Maps of one equation ---------------------------------------------------------


@_reasons.register
def _(it: Diagonal, held, origin):
    name = "" if origin is None else origin.primitive
    rule = registry.table().get(name)
    partials = getattr(rule, "partials", ())
    every = [*partials, *getattr(rule, "further", ())]
    found = [p for p in every if p is not None and p.slope is it.slope]
    if not found:  # a factor of a formula that a rule or a user's function states
        if name == "select_n":
            return _all("condition of `select_n`: which case was taken", held, origin)
        return _all(f"factor in the derivative of {_name(origin)}", held, origin)
    (partial, *_), many = found, len(partials) > 1
    if _is_its_operand(it.slope):
        (read,) = partial.places
        if read not in (-1, partials.index(partial)):
            why = f"operand of `{name}` for the other operand's gradient"
        else:
            why = f"the slope of `{name}` is its {_operand(read, many)}"
        return _all(why, held, origin)
    return [
        [_reader(f"slope of `{name}` needs its {_operand(read, many)}", origin)]
        for read in partial.places
    ]


def _operand(place: int, many: bool) -> str:
    if place < 0:
        return "output"
    return f"operand {place + 1}" if many else "operand"


def _is_its_operand(slope) -> bool:
    """Does a slope hand on what it reads, and calculate nothing?"""
    if len(inspect.signature(slope).parameters) != 1:
        return False
    probe = object()
    try:
        return slope(probe) is probe
    except (AttributeError, TypeError):  # it calculates
        return False


@_reasons.register
def _(it: Broadcast, held, origin):
    return _reasons(it.inner, held, origin)


@_reasons.register
def _(it: ThroughPrimitive, held, origin):
    rule = registry.lookup(it.primitive)
    if isinstance(rule, registry.Bilinear) and len(held) == 1:
        why = f"operand of `{it.primitive.name}` for the other operand's gradient"
        return _all(why, held, origin)
    places = [p for p in range(len(held) + 1) if p != it.place]
    return [[_reader(_held_operand(it, p), origin)] for p in places]


@_reasons.register
def _(it: JointlyThroughPrimitive, held, origin):
    places = [p for p, aval in enumerate(it.avals) if aval is None]
    return [[_reader(_held_operand(it, p), origin)] for p in places]


# Of operands that say where elements come from or go to.
_ROLES = {
    ("select_n", 0): "condition",
    ("gather", 1): "indices",
    ("dynamic_slice", None): "start indices",
    ("dynamic_update_slice", None): "start indices",
}


def _held_operand(it, place: int) -> str:
    name = it.primitive.name
    role = _ROLES.get((name, place)) or _ROLES.get((name, None))
    if role is None and name.startswith("scatter") and place == 1:
        role = "indices"
    return f"{role or f'operand {place + 1}'} of `{name}`"


@_reasons.register
def _(it: Einsum, held, origin):
    return _all(f"coefficient of the derivative of {_name(origin)}", held, origin)


@_reasons.register
def _(it: Backward, held, origin):
    name = it.name.partition(" at ")[0]
    return _all(f"residual of the backward rule {name}", held, origin)


# Maps that hold programs ------------------------------------------------------


@_reasons.register
def _(it: InPrecision, held, origin):
    return _reasons(it.inner, held, origin)


@_reasons.register
def _(it: Part, held, origin):
    return _reasons(it.whole, held, origin)


@_reasons.register
def _(it: Call, held, origin):
    return _inside(it.walks.structure, len(held), origin)


@_reasons.register
def _(it: Sharded, held, origin):
    return _inside(it.structure, len(held), origin)


@_reasons.register
def _(it: Checkpoint, held, origin):
    count = len(it.active)
    why = ["input of a checkpoint, which runs again from it"] * count
    why += ["saved by a checkpoint's policy"] * (len(held) - count)
    return [[_reader(said, origin)] for said in why]


@_reasons.register
def _(it: Repeated, held, origin):
    count = operands(it.params)
    why = ["operand of a loop whose blocks run again"] * count
    why += ["where blocks of a loop start, to run again"] * (len(held) - count)
    return [[_reader(said, origin)] for said in why]


@_reasons.register
def _(it: Branches, held, origin):
    found: list[list] = [[] for _ in held]
    found[0] = [_reader("says which branch was taken", origin)]
    for structure, tape in zip(it.structures, it.tapes, strict=True):
        inner = _inside(structure, len(tape), origin)
        for place, uses in zip(tape, inner, strict=True):
            if place + 1 < len(found):
                found[place + 1] += uses
    return _completed(found, "its branch computes again from it", origin)


@_reasons.register
def _(it: Counted, held, origin):
    steps = _reader("number of steps of a loop", origin)
    return [[steps], *_reasons(it.loop, held[1:], origin)]


@_reasons.register
def _(it: Loop, held, origin):
    step = it.step
    if not isinstance(step, Taped):
        return _all("the steps of a loop run again from it", held, origin)
    kept = _of_kept(step, origin)
    found: list[list] = [[] for _ in held]
    for recipe, uses in zip(step.recipes, kept, strict=True):
        made_of = recipe.places if isinstance(recipe, Recipe) else [recipe]
        for place in made_of:
            if place is not None:
                found[place] += uses
    return _completed(found, "read by the steps of a loop", origin)


def _completed(found: list[list], why: str, origin) -> list[list]:
    """With a reason for what has none yet."""
    return [uses or [_reader(why, origin)] for uses in found]


def _of_kept(step: Taped, origin) -> list[list]:
    """Per residual that the step of a loop keeps its uses."""
    count = len(step.recipes)
    found: list[list] = [[] for _ in range(count)]
    inner = _inside(step.structure, len(step.order), origin)
    for place, uses in zip(step.order, inner, strict=True):
        if place < count:
            found[place] += uses
    if step.derive is not None:
        again = _reader("other residuals of a step are computed again from it", origin)
        for _, place in step.derive.given:
            found[place].append(again)
    for one in step.restored:
        whole = _reader("array after a loop, restored step by step", origin)
        part = _reader("what stood where a step of a loop wrote", origin)
        at = _reader("where a step of a loop wrote", origin)
        found[one.last].append(whole)
        for undo in one.undos:
            found[undo.before].append(part)
            for place in undo.indices:
                found[place].append(at)
    return found
