"""Carried arrays that a loop's step reads and writes by parts: they stay in place.

    R = R.at[i, j].set(f(R[i - 1, j], R[i, j - 1]))      a table, filled cell by cell

Alone, a compiler does this step in place. Beside it, derivatives use what was read
once more (it is kept, or multiplied with tangents), and the compiler would copy R. So
parts of such arrays are read as `linear.in_place` says.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax import lax

from ... import ir
from ...linear import in_place
from ...linear.base import Params, add
from ...walkers.forward import Pusher
from ...walkers.linearize import Recorder
from ...walkers.walker import Walker

_READS = ("dynamic_slice", "gather", "slice")
_WRITES = (
    *("dynamic_update_slice", "scatter", "scatter-add", "scatter-mul"),
    *("scatter-max", "scatter-min", "scatter-sub"),
)


@ir.once_per_program
def _writes(jaxpr) -> bool:
    """Whether a part of an array is written anywhere within."""
    for eqn in jaxpr.eqns:
        inside = [ir.inner(p)[0] for p in ir.inner_programs(eqn.params)]
        if eqn.primitive.name in _WRITES or any(map(_writes, inside)):
            return True
    return False


class InPlace(Walker):
    """A walker of a loop's body; what it reads of carried arrays, it reads first."""

    restores = False  # what it is written over is kept

    def __init__(self):
        super().__init__()
        self._carried: dict = {}  # id -> a carried array, or what a part was written to
        self._restored: set[int] = set()  # ids of those that are also read as a whole
        self.held: set[int] = set()  # ids of the invariants
        self.written: dict[int, Written] = {}  # by id of what was written

    def begin(self, body, variables: Sequence, values: Sequence, carried: slice):
        """Says what goes into `body`, before it is walked: first come invariants, then
        what is carried."""
        self.held = {id(value) for value in values[: carried.start]}
        if not _writes(body):
            return
        for var, value in zip(variables[carried], values[carried], strict=True):
            if in_place.is_part((), ir.typeof(value)):
                self._carried[id(value)] = value
                if self.restores and _is_read_whole(body, var):
                    self._restored.add(id(value))

    def equation(self, eqn, env):
        super().equation(eqn, env)
        name = eqn.primitive.name
        if not self._carried or name not in _READS + _WRITES:
            return
        value, *others = [ir.read(env, atom)[0] for atom in eqn.invars]
        if id(value) not in self._carried:
            return
        (out,) = eqn.outvars
        if name in _WRITES:
            restores = id(value) in self._restored
            found = _written(name, value, others, eqn.params, restores)
            if found is not None:
                env[out] = found.value, env[out][1]
            if found is not None or not _is_much(name, value, others):
                self._carried[id(env[out][0])] = env[out][0]
            if found is not None and restores:
                self._restored.add(id(found.value))
                self.written[id(found.value)] = found
        elif in_place.is_part(out.aval.shape, ir.typeof(value)):
            part = _read(name, value, others, out.aval.shape, eqn.params)
            if part is not None:
                env[out] = part, env[out][1]


def _is_much(name: str, value, others: Sequence) -> bool:
    """Whether a write is of so much of an array that it is as one made anew."""
    update = others[0 if name == "dynamic_update_slice" else 1]
    return 2 * ir.typeof(update).size > ir.typeof(value).size


def _read(name: str, value, others: Sequence, shape: tuple, params: dict):
    """The part that a reading equation gives; None where it may be read as it is."""
    if name == "gather":
        params = dict(params)
        numbers = params.pop("dimension_numbers")
        return in_place.read_at(value, others[0], numbers, **params)
    if name == "dynamic_slice":
        return in_place.read(value, others, shape)
    if params["strides"] is None:
        return in_place.read(value, params["start_indices"], shape)
    return None


def _written(name: str, value, others: Sequence, params: dict, restores: bool):
    """`value` with the one part that is written; None where there are others, or it is
    written as it should be."""
    if name == "dynamic_update_slice" and restores:
        update, *indices = others
        shape = ir.typeof(update).shape
        starts = [
            in_place.clipped(start, n - m)
            for start, n, m in zip(indices, value.shape, shape, strict=True)
        ]
        window, scatter = in_place.Window(starts, shape, None), None
    elif name in ("scatter", "scatter-add"):
        indices, update = others[:1], others[1]
        window = in_place.window_of(
            value.shape, indices[0], ir.typeof(update).shape, params
        )
        scatter = Params(params)
    else:
        return None
    if window is None or not in_place.is_part(window.shape, ir.typeof(value)):
        return None
    part = lax.reshape(update, window.shape)
    there = in_place.window if not restores else in_place.read
    there = there(value, window.starts, window.shape)
    part = window.chosen(add(there, part) if name == "scatter-add" else part, there)
    if restores:
        part = lax.add(part, in_place.zeros_after(there, part.dtype))
    new = in_place.write(value, part, window.starts)
    before = there if restores else None
    shape = ir.typeof(update).shape
    return Written(new, value, window.shape, scatter, shape, tuple(indices), before)


class Written(NamedTuple):
    """A part that was written: what came of it, and what undoes it.

    Fields:
      value, old: the array after and before.
      part: the shape of the part.
      params, update: of the scatter, or None, and the shape of what it writes.
      indices: its operands that say where.
      before: what stood there.
    """

    value: Any
    old: Any
    part: tuple
    params: Any
    update: tuple
    indices: tuple
    before: Any


def _is_read_whole(body, var) -> bool:
    """Whether a carry that is written by parts is also used otherwise than by parts."""
    versions = {var}
    for eqn in body.eqns:
        for place, atom in enumerate(eqn.invars):
            if isinstance(atom, ir.Literal) or atom not in versions:
                continue
            if place == 0 and eqn.primitive.name in _WRITES:
                versions.update(eqn.outvars)
            elif place != 0 or eqn.primitive.name not in _READS:
                return True
    return False


class StepRecorder(InPlace, Recorder):
    """Records a loop's step."""

    restores = True
    opens_calls = True  # what waits until after the loop is looked for


class StepPusher(InPlace, Pusher):
    """Carries tangents through a loop's step."""
