"""Carried arrays that a loop's step reads and writes by parts: they stay in place.

    R = R.at[i, j].set(f(R[i - 1, j], R[i, j - 1]))      a table, filled cell by cell

Alone, a compiler does this step in place. Beside it, derivatives use what was read
once more (it is kept, or multiplied with tangents), and the compiler would copy R. So
parts of such arrays are read as `linear.in_place` says.
"""

from collections.abc import Sequence

from jax import lax

from ... import ir
from ...linear import in_place
from ...linear.base import add
from ...rules.scatter import window_of
from ...walkers.forward import Pusher
from ...walkers.linearize import Recorder

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


class InPlace:
    """A walker of a loop's body; what it reads of carried arrays, it reads first."""

    def __init__(self):
        super().__init__()
        self._carried: dict = {}  # id -> a carried array, or what a part was written to

    def carries(self, body, values: Sequence) -> None:
        """Says which values are carried, before `body` is walked."""
        if _writes(body):
            large = [v for v in values if in_place.is_part((), ir.typeof(v))]
            self._carried = {id(value): value for value in large}

    def equation(self, eqn, env):
        super().equation(eqn, env)  # pyright: ignore[reportAttributeAccessIssue]
        name = eqn.primitive.name
        if not self._carried or name not in _READS + _WRITES:
            return
        value, *others = [ir.read(env, atom)[0] for atom in eqn.invars]
        if id(value) not in self._carried:
            return
        (out,) = eqn.outvars
        if name in _WRITES:
            written = _written(name, value, others, eqn.params)
            if written is not None:
                env[out] = written, env[out][1]
            self._carried[id(env[out][0])] = env[out][0]
        elif in_place.is_part(out.aval.shape, ir.typeof(value)):
            part = _read(name, value, others, out.aval.shape, eqn.params)
            if part is not None:
                env[out] = part, env[out][1]


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


def _written(name: str, value, others: Sequence, params: dict):
    """`value` with the one part that a scatter writes; None where it writes others."""
    if name not in ("scatter", "scatter-add"):
        return None
    indices, update = others
    window = window_of(value.shape, indices, ir.typeof(update).shape, params)
    if window is None or not in_place.is_part(window.shape, ir.typeof(value)):
        return None
    part = lax.reshape(update, window.shape)
    there = in_place.window(value, window.starts, window.shape)
    part = window.chosen(add(there, part) if name == "scatter-add" else part, there)
    return in_place.write(value, part, window.starts)


class StepRecorder(InPlace, Recorder):
    """Records a loop's step."""

    opens_calls = True  # what waits until after the loop is looked for


class StepPusher(InPlace, Pusher):
    """Carries tangents through a loop's step."""
