"""The derivative of a loop: one linear program, applied at every step.

    scan of c = sin(c) * w over 5 steps;  the step's tape: sin(c), cos needs c, and w
    residuals of the Loop   w: held once   c: stacked (5, ..)   sin(c): stacked (5, ..)
    `slices` of step 2:     c[2], sin(c)[2]           what `lax.scan` hands to a step
    `follows`: if the step's new carry is a residual too, it is the next step's old one:
    it is not stacked; `last` gives it for the last step, `before` for those before.

Residuals that do not change from step to step are held once; the others are stacked, or
computed again from those that are.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

from ... import ir
from ..base import LinearMap, add, filled
from ..program import LinearProgram, Structure
from .deferral import deferral, pull_but
from .narrowed import narrowed
from .one_function import as_one_function
from .restored import Restored


@dataclass(slots=True, unsafe_hash=True)
class Recipe:
    """A residual of all steps that is computed when it is asked for: static.

    Fields:
      make: makes it.
      places: of what it is made of, in the tape.
    """

    make: Any
    places: tuple[int, ...]


@dataclass(slots=True, unsafe_hash=True)
class Taped:
    """A step whose residuals are kept, but for those to be had from others.

    Fields:
      recipes: per residual kept: how it is made, or its place in the tape.
      structure: of the step's linear program.
      stacked: per residual kept: is it stacked, one a step.
      follows: per residual kept: the place of another whose value at the next step it
        is (a carry's new value is the next step's old one), or None. Of such a residual
        the last value alone is kept.
      derive: gives further residuals from those kept, or None.
      order: the step's tape, as places among those kept and then those derived.
      restored: carried arrays that are among those kept.
    """

    structure: Structure
    recipes: tuple[Recipe | int | None, ...]
    stacked: tuple[bool, ...]
    follows: tuple[int | None, ...]
    derive: Any
    order: tuple[int, ...]
    restored: tuple[Restored, ...] = ()

    def narrowed(self, held: int, carries: int, wanted: Sequence[bool]):
        """The step without what some of its outputs do not ask for, or None."""
        return narrowed(self, held, carries, wanted)

    def made(self, tape) -> list:
        """The residuals kept; None for a version of an array to be restored."""
        return [
            recipe
            if recipe is None
            else tape[recipe]
            if isinstance(recipe, int)
            else recipe.make(*[tape[place] for place in recipe.places])
            for recipe in self.recipes
        ]

    def arrays(self, residuals) -> list:
        """The arrays to be restored, after the loop."""
        return [residuals[one.last] for one in self.restored]

    def versions(self, residuals, slices, following, arrays):
        """The versions of these arrays that a step keeps, and what gives the arrays
        before the step from all that was computed with them."""
        kept = self._kept(residuals, slices, following)
        pairs = zip(self.restored, arrays, strict=True)
        before = [one.fill(x, kept) for one, x in pairs]
        found = [kept[place] for place in self._version_places()]
        return found, lambda results: [undone(results) for undone in before]

    def _version_places(self) -> list[int]:
        return [p for one in self.restored for p in one.versions if p is not None]

    def all_versions(self, residuals, scan, reverse: bool) -> list:
        """The versions at all steps."""
        if not self.restored:
            return []

        def step(carry, slices):
            arrays, following = carry
            found, before = self.versions(residuals, slices, following, arrays)
            return (before([]), self.before(slices)), found

        start = self.arrays(residuals), self.last(residuals)
        return scan(step, start, self.slices(residuals), not reverse)[1]

    def slices(self, residuals) -> list:
        return [r for r, moves in zip(residuals, self.stacked, strict=True) if moves]

    def last(self, residuals) -> list:
        """Those that follow others, at the last step."""
        pairs = zip(residuals, self.follows, strict=True)
        return [r for r, place in pairs if place is not None]

    def before(self, slices) -> list:
        """Those that follow others, at the step before the one of `slices`."""
        places = [place for place in self.follows if place is not None]
        return [slices[sum(self.stacked[:place])] for place in places]

    def ahead(self, residuals, reverse: bool) -> list:
        """Those that follow others, at all steps."""
        places = [place for place in self.follows if place is not None]
        found = []
        for place, last in zip(places, self.last(residuals), strict=True):
            stack, last = residuals[place], lax.expand_dims(last, (0,))
            count = stack.shape[0]
            if reverse:
                ends = [last, lax.slice_in_dim(stack, 0, max(count - 1, 0))]
            else:
                ends = [lax.slice_in_dim(stack, min(count, 1), count), last]
            whole = lax.concatenate(ends, 0)
            found.append(whole if count else lax.slice_in_dim(whole, 0, 0))
        return found

    def program(self, residuals, slices, following, versions=()) -> LinearProgram:
        kept = self._kept(residuals, slices, following)
        for place, version in zip(self._version_places(), versions, strict=True):
            kept[place] = version
        return LinearProgram(self.structure, self._tape(kept, self.derive))

    def _kept(self, residuals, slices, following) -> list:
        slices, following = iter(slices), iter(following)
        return [
            next(slices) if moves else held if place is None else next(following)
            for held, moves, place in zip(
                residuals, self.stacked, self.follows, strict=True
            )
        ]

    def _tape(self, kept, derive) -> list:
        whole = kept if derive is None else [*kept, *derive(kept)]
        return [whole[place] for place in self.order]

    def tape(self, residuals, reverse: bool) -> list:
        """The tapes of all steps: what changes has a leading axis of steps."""
        following = self.ahead(residuals, reverse)
        kept = self._kept(residuals, self.slices(residuals), following)
        derive = self.derive
        if self._derives_from_versions():
            return [kept[p] if p < len(kept) else None for p in self.order]
        if derive is not None:
            axes = [0 if moves else None for moves in self._moves()]
            derive = jax.vmap(derive, (axes,))
        return self._tape(kept, derive)

    def _moves(self) -> list[bool]:
        pairs = zip(self.stacked, self.follows, strict=True)
        return [moves or place is not None for moves, place in pairs]

    def waits(self) -> list[bool]:
        """Per place of the step's tape: is it there for all steps at once."""
        places = set(self._version_places())
        if self._derives_from_versions():
            places |= set(self.order).difference(range(len(self.recipes)))
        return [place not in places for place in self.order]

    def derived_bytes(self) -> list[int]:
        """Per place of the step's tape: the bytes it takes, where it is derived."""
        count = len(self.recipes)
        wanted = () if self.derive is None else self.derive.wanted
        return [
            ir.nbytes(wanted[place - count].aval) if place >= count else 0
            for place in self.order
        ]

    def _derives_from_versions(self) -> bool:
        given = [] if self.derive is None else [place for _, place in self.derive.given]
        return not set(self._version_places()).isdisjoint(given)

    def moves(self) -> list[bool]:
        """Per place of the step's tape: does it change from step to step."""
        kept = self._moves()
        return [place >= len(kept) or kept[place] for place in self.order]


@dataclass(slots=True, unsafe_hash=True)
class Loop(LinearMap):
    """A scan of a step's linear program.

    The step's inputs are ordered invariants, carries, elements; its outputs carries,
    elements. A step says what of the residuals it needs slice by slice, and makes its
    linear program from a slice: `Taped`, or one that runs the step again.

    Fields:
      wait_bytes: how many bytes of cotangents a step may stack, that they be contracted
        after the loop.
      is_small: the loop may be one function.
    """

    step: Any
    held_avals: tuple  # types of the invariants' tangents
    carry_avals: tuple
    length: int
    reverse: bool
    unroll: int | bool
    wait_bytes: int = 0
    is_small: bool = False

    @property
    def structures(self):
        found = getattr(self.step, "structure", None)
        return () if found is None else (found,)

    def narrowed(self, edge, needed):
        """Without carries that no output asked for depends on."""
        held, carries = len(self.held_avals), len(self.carry_avals)
        wanted = [slot in needed for slot in edge.outs]
        found = self.step.narrowed(held, carries, wanted)
        if found is None:
            return edge
        outs = [slot for slot, w in zip(edge.outs, found.outs, strict=True) if w]
        ins = [slot for slot, w in zip(edge.ins, found.ins, strict=True) if w]
        whole = (*self.held_avals, *self.carry_avals)
        kept = [a if w else None for a, w in zip(whole, found.ins, strict=False)]
        held_avals = tuple([a for a in kept[:held] if a is not None])
        carry_avals = tuple([a for a in kept[held:] if a is not None])
        fewer = dataclasses.replace(
            self, step=found.step, held_avals=held_avals, carry_avals=carry_avals
        )
        residuals = tuple([edge.residuals[place] for place in found.tape])
        return edge._replace(
            map=fewer, residuals=residuals, ins=tuple(ins), outs=tuple(outs)
        )

    def _scan(self, step, carry, xs, reverse):
        def run(carry, xs):
            return lax.scan(
                step, carry, xs, length=self.length, reverse=reverse, unroll=self.unroll
            )

        return as_one_function(run, carry, xs) if self.is_small else run(carry, xs)

    def at(self, residuals, number: int) -> LinearProgram:
        """The linear program of one step, counted as the elements are."""
        residuals = self.step.made(residuals)
        slices = [r[number] for r in self.step.slices(residuals)]
        following = [r[number] for r in self.step.ahead(residuals, self.reverse)]
        versions = self.step.all_versions(residuals, self._scan, self.reverse)
        versions = [v[number] for v in versions]
        return self.step.program(residuals, slices, following, versions)

    def push(self, residuals, x_dots):
        first = len(self.held_avals)
        last = first + len(self.carry_avals)
        held, residuals = x_dots[:first], self.step.made(residuals)

        def step(carry, xs):
            slices, following, versions, element_dots = xs
            program = self.step.program(residuals, slices, following, versions)
            outs = program.push([*held, *carry, *element_dots])
            count = len(carry)
            return filled(outs[:count], self.carry_avals), outs[count:]

        carry, ys = self._scan(
            step,
            filled(x_dots[first:last], self.carry_avals),
            (
                self.step.slices(residuals),
                self.step.ahead(residuals, self.reverse),
                self.step.all_versions(residuals, self._scan, self.reverse),
                list(x_dots[last:]),
            ),
            self.reverse,
        )
        return [*carry, *ys]

    def pull(self, residuals, y_bars):
        first, carries = len(self.held_avals), len(self.carry_avals)
        last = first + carries
        waiting, in_loop = self._deferral()
        residuals = self.step.made(residuals)
        totals = [
            filled([None], [aval])[0] if accumulates else None
            for aval, accumulates in zip(self.held_avals, in_loop, strict=True)
        ]

        def step(carry, xs):
            carry_bars, totals, following, arrays = carry
            slices, element_bars = xs
            versions, before = self.step.versions(residuals, slices, following, arrays)
            program = self.step.program(residuals, slices, following, versions)
            bars, later = pull_but(
                program, waiting, [*carry_bars, *element_bars], totals
            )
            totals = [
                bar if accumulates else None
                for bar, accumulates in zip(bars[:first], in_loop, strict=True)
            ]
            carry_bars = filled(bars[first:last], self.carry_avals)
            arrays = before([*bars, *later.values()])
            carry = carry_bars, totals, self.step.before(slices), arrays
            return carry, (bars[last:], later)

        start = filled(y_bars[:carries], self.carry_avals)
        (carry_bars, totals, *_), (element_bars, later) = self._scan(
            step,
            (start, totals, self.step.last(residuals), self.step.arrays(residuals)),
            (self.step.slices(residuals), list(y_bars[carries:])),
            not self.reverse,
        )
        if waiting:
            tape = self.step.tape(residuals, self.reverse)
            for candidate in waiting:
                place = self.step.structure.ins.index(candidate.edge.ins[0])
                totals[place] = add(totals[place], candidate.pull(tape, later))
        return [*totals, *carry_bars, *element_bars]

    def _deferral(self):
        """What waits until after the loop; invariants with other cotangents."""
        step, held = self.step, len(self.held_avals)
        if not isinstance(step, Taped):
            return [], [True] * held
        return deferral(
            step.structure,
            step.moves(),
            step.waits(),
            step.derived_bytes(),
            held,
            self.wait_bytes,
            self.length,
        )
