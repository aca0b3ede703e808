"""A loop's step without carries that nothing which is asked for depends on.

    (h, e), ys = scan(step, ...), of which h alone is used: e is logged, say
    the cotangent of e is zero at every step, and so is what its pull would bring

What is left out is neither stacked by the loop nor carried by its derivatives.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..program import Structure, reaching, taped


class Fewer(NamedTuple):
    """A step that does less.

    Fields:
      step: that step.
      ins, outs: per input and output of the whole one: is it there.
      tape: places of its residuals in those of the whole one.
    """

    step: Any
    ins: list[bool]
    outs: list[bool]
    tape: Sequence[int]


def narrowed(step, held: int, carries: int, wanted: Sequence[bool]) -> Fewer | None:
    """A taped step with the outputs `wanted`, and with what these depend on.

    Args:
      held, carries: how many of its inputs are invariants, how many carries.

    Returns:
      That, or None where it is all of the step.
    """
    structure: Structure = step.structure
    outs = list(wanted)
    while True:
        slots = [s for s, w in zip(structure.outs, outs, strict=True) if w]
        edges, used = reaching(structure, slots)
        read = [slot in used for slot in structure.ins]
        grown = [
            w or r for w, r in zip(outs, read[held : held + carries], strict=False)
        ]
        grown += outs[carries:]
        if grown == outs:
            break
        outs = grown
    ins = [*read[:held], *outs[:carries], *read[held + carries :]]
    if all(outs) and all(ins):
        return None
    ends = [s for s, w in zip(structure.outs, outs, strict=True) if w]
    starts = [s for s, w in zip(structure.ins, ins, strict=True) if w]
    program = taped(edges, structure.avals, starts, ends)
    fewer, tape = _kept(step, program.structure, [step.order[i] for i in program.tape])
    return Fewer(fewer, ins, outs, tape)


def _kept(step, structure: Structure, order: list[int]):
    """The step with that structure, whose tape has `order`, and its residuals' places
    among those of the whole step."""
    count = len(step.recipes)
    derived = sorted({place for place in order if place >= count})
    derive = step.derive
    if derive is not None:
        derive = (
            derive.picked([place - count for place in derived]) if derived else None
        )
    kept = {place for place in order if place < count}
    if derive is not None:
        kept.update(place for _, place in derive.given)
    restored = [one for one in step.restored if not kept.isdisjoint(one.places())]
    for one in restored:
        kept.update(one.needs())
    kept.update(p for i in list(kept) if (p := step.follows[i]) is not None)
    places = sorted(kept)
    at = {place: i for i, place in enumerate(places)}
    at |= {place: len(places) + i for i, place in enumerate(derived)}
    recipes = [step.recipes[place] for place in places]
    tape = sorted({p for recipe in recipes for p in _sources(recipe)})
    moved = {place: i for i, place in enumerate(tape)}
    follows = [step.follows[place] for place in places]
    fewer = dataclasses.replace(
        step,
        structure=structure,
        recipes=tuple([_moved(recipe, moved) for recipe in recipes]),
        stacked=tuple([step.stacked[place] for place in places]),
        follows=tuple([None if p is None else at[p] for p in follows]),
        derive=None if derive is None else derive.at(at),
        order=tuple([at[place] for place in order]),
        restored=tuple([one.at(at) for one in restored]),
    )
    return fewer, tape


def _sources(recipe) -> Sequence[int]:
    if recipe is None:
        return ()
    return (recipe,) if isinstance(recipe, int) else recipe.places


def _moved(recipe, moved: dict):
    if recipe is None or isinstance(recipe, int):
        return None if recipe is None else moved[recipe]
    return dataclasses.replace(recipe, places=tuple([moved[p] for p in recipe.places]))
