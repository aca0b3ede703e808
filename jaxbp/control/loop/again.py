"""Whether a loop's step is run again going back, or what it computed is kept.

    kept:      every residual is written to a stack, and read from it
    run again: the carries are kept, and the step computes the rest from them once more

Both give the same numbers; which takes less time is predicted from what the step
computes and the sizes of it. It may be run again where it does nothing but elementwise
and structural operations, reductions and products of matrices, none with an invariant
whose cotangent is asked for (that waits for what is stacked: one product of all steps),
and its carries take fewer bytes than its residuals.

The prediction knows a few costs of a platform, in nanoseconds. Those of "cpu" were
fitted to loops of Runge-Kutta steps of 1 to 50,000 numbers, to stencils and to tables
filled row by row (XLA, two cores); of the others it is known only that arithmetic is
cheap beside memory and launches.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType

import jax

from ... import ir
from ...linear.loop.one_function import is_one_function
from ...rules import registry
from ..activity import CALLS, moves, spread

# Their derivative is zero, but to run them again is not cheap.
_RANDOM = ("random_bits", "rng_bit_generator", "rng_uniform", "threefry2x32")
# Their loops are slow where they take what others of their kind gave: compilers fuse
# these into each of them, and do them again for each.
_JOINING = (
    *("concatenate", "gather", "pad", "rev", "dynamic_update_slice"),
    *("scatter", "scatter-add"),
)
_FEW = 16  # numbers: so many that are stacked are set one by one
_REDUCING = ("reduce_max", "reduce_min", "reduce_sum")
_SHORT = 16  # terms: fewer are not added side by side
_KEEPING = ("reduce_max", "reduce_min", "abs")  # by rules of their own
_PERIODIC = ("sin", "cos", "tan", "pow", "atan2", "erf_inv", "digamma", "lgamma")
_SMOOTH = (
    *("exp", "exp2", "expm1", "log", "log1p", "tanh", "logistic"),
    *("cbrt", "erf", "erfc", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh"),
    "atanh",
)
# Every number of theirs comes of many.
_SPREADING = ("fft", "cumsum", "reduce_window_sum", "select_and_gather_add")
_SPREADING += ("select_and_scatter_add",)
_BETWEEN_DEVICES = (
    *("all_gather", "all_gather_invariant", "all_to_all", "ppermute", "psum"),
    *("psum_invariant", "ragged_all_to_all", "reduce_scatter"),
)
_DIVIDING = ("div", "rem", "sqrt", "rsqrt")


@dataclass(frozen=True)
class Costs:
    """Nanoseconds on a platform.

    Fields:
      periodic, smooth, dividing, arithmetic: of an operation of its kind, an element;
        what spreads over all elements is as dear as what is periodic.
      joining, again: of one that joins parts, of what is at hand, and of what comes
        from another one of the same step.
      short: of a term of a reduction over a few last axes' numbers, done one by one.
      product: of a term of a dot product.
      call: of an operation that is done for a few numbers.
      stack: to keep one residual and take it again, whatever its size.
      near, far: of a byte kept, where all steps' fit into `cache` bytes and where not.
    """

    periodic: float
    smooth: float
    dividing: float
    arithmetic: float
    joining: float
    again: float
    short: float
    product: float
    call: float
    stack: float
    near: float
    far: float
    cache: int


_CPU = Costs(
    periodic=4.0, smooth=1.0, dividing=0.1, arithmetic=0.03, joining=0.05, again=8.0,
    short=1.6, product=0.15, call=10.0, stack=220.0, near=0.05, far=0.4, cache=16 << 20,
)  # fmt: skip
_GPU = Costs(
    periodic=0.004, smooth=0.002, dividing=0.002, arithmetic=0.001, joining=0.004,
    again=0.004, short=0.002, product=0.0005, call=5.0, stack=2000.0, near=0.001,
    far=0.001, cache=1,
)  # fmt: skip
_TPU = Costs(
    periodic=0.004, smooth=0.002, dividing=0.002, arithmetic=0.001, joining=0.05,
    again=0.05, short=0.002, product=0.0005, call=5.0, stack=500.0, near=0.002,
    far=0.002, cache=1,
)  # fmt: skip
# Where the whole loop is one function, nothing is called, and to keep is a store.
_ONE_FUNCTION = dataclasses.replace(_CPU, again=2.0, call=3.0, stack=10.0)
_BY_PLATFORM = {"cpu": _CPU, "gpu": _GPU, "cuda": _GPU, "rocm": _GPU, "tpu": _TPU}


def _costs(*bodies) -> Costs:
    if all(map(is_one_function, bodies)):
        return _ONE_FUNCTION
    return _BY_PLATFORM.get(jax.default_backend(), _GPU)


class _Work:
    """What a step does: time to do it again, and what its slopes ask for.

    Fields:
      kept: per value that they ask for its bytes, each once.
    """

    def __init__(self, costs: Costs):
        self.costs = costs
        self.time: float = 0.0
        self.kept: dict = {}

    def add(
        self,
        body,
        done=frozenset(),
        joined=(),
        moving=None,
        free: Set = frozenset(),
        names: Mapping = MappingProxyType({}),
        path: tuple = (),
    ) -> Sequence[bool] | None:
        """Adds a body's equations; None where it should not be run again.

        Args:
          joined: its inputs that come from joining.
          moving, free: as in `recomputes`.
          names: of its variables that have one where it is called.
          path: the calls that it is in.

        Returns:
          Which of its outputs do.
        """
        found = {var for var, on in zip(body.invars, joined, strict=False) if on}

        def name(atom):
            return names.get(atom, (path, atom))

        for place, eqn in enumerate(body.eqns):
            if place in done:
                continue
            primitive, rule = eqn.primitive.name, registry.lookup(eqn.primitive)
            comes = [not isinstance(a, ir.Literal) and a in found for a in eqn.invars]
            if primitive in CALLS:
                inner = ir.inner(ir.called(eqn.params))[0]
                told = _told_inside(inner, eqn, moving, free)
                pairs = [*zip(inner.outvars, eqn.outvars, strict=True)]
                pairs += zip(inner.invars, eqn.invars, strict=True)
                inside = {
                    v: name(a)
                    for v, a in pairs
                    if not isinstance(v, ir.Literal) and not isinstance(a, ir.Literal)
                }
                calls = *path, place
                outs = self.add(inner, frozenset(), comes, *told, inside, calls)
                if outs is None:
                    return None
                found.update(v for v, on in zip(eqn.outvars, outs, strict=True) if on)
                continue
            if any(comes) or _joins(eqn):
                found.update(eqn.outvars)
            asked: Sequence = ()
            if isinstance(rule, registry.Elementwise):
                if rule.nonlinear and not _scales(eqn):
                    asked = _asked(eqn, rule, moving, free)
            elif primitive in _KEEPING:
                if moving is None or moves(eqn.invars[0], moving):
                    asked = [a for a in eqn.invars if not isinstance(a, ir.Literal)]
            elif isinstance(rule, registry.ZeroRule) or primitive == "sign":
                if primitive in _RANDOM:
                    return None
            elif primitive == "dot_general":
                held = _held(eqn, moving, free)
                if held is None:
                    return None
                asked = held
            elif not isinstance(rule, registry.Linear) or eqn.effects:
                return None
            elif primitive in _BETWEEN_DEVICES:
                return None
            self.kept |= {name(atom): ir.nbytes(atom.aval) for atom in asked}
            self.time += _time(self.costs, primitive, eqn, any(comes))
        return [not isinstance(a, ir.Literal) and a in found for a in body.outvars]


def _time(costs: Costs, name: str, eqn, joined: bool) -> float:
    if name == "dot_general":
        one, other, out = (v.aval for v in (*eqn.invars, *eqn.outvars))
        batch = math.prod([one.shape[a] for a in eqn.params["dimension_numbers"][1][0]])
        terms = math.sqrt(one.size * other.size * out.size / max(batch, 1))
        return costs.product * terms + costs.stack
    each, least = costs.arithmetic, 0.0
    if name in _PERIODIC or name in _SMOOTH:
        each = costs.periodic if name in _PERIODIC else costs.smooth
        least = costs.call * (2 if name in _PERIODIC else 1)
    elif name in _DIVIDING:
        each, least = costs.dividing, costs.call
    elif _joins(eqn) and joined:
        each, least = costs.again, 2 * costs.stack
    elif _joins(eqn):
        each, least = costs.joining, costs.call
    elif name in _SPREADING:
        each, least = costs.periodic, 4 * costs.stack
    elif name in _REDUCING and _is_short(eqn):
        each, least = costs.short, costs.call
    atoms = eqn.invars[:1] if name in _REDUCING else eqn.outvars
    return max(least, each * sum(math.prod(v.aval.shape) for v in atoms))


def _joins(eqn) -> bool:
    name = eqn.primitive.name
    stacks = name == "stack" and math.prod(eqn.outvars[0].aval.shape) > _FEW
    return stacks or name in _JOINING


def _is_short(eqn) -> bool:
    """Whether a reduction takes a few numbers that lie beside one another."""
    shape, axes = eqn.invars[0].aval.shape, set(eqn.params["axes"])
    last = itertools.takewhile(axes.__contains__, reversed(range(len(shape))))
    return 1 < math.prod(shape[axis] for axis in last) < _SHORT


def _scales(eqn) -> bool:
    """Whether it multiplies with a number that the program states."""
    names = eqn.primitive.name in ("mul", "div")
    return names and any(isinstance(a, ir.Literal) for a in eqn.invars[-2:])


def _asked(eqn, rule, moving: set | None, free: Set) -> list:
    """What the slopes of an elementwise equation ask for, and is not there anyway."""
    read = [
        eqn.outvars[0] if place < 0 else eqn.invars[place]
        for atom, partial in zip(eqn.invars, rule.partials, strict=True)
        if partial is not None and (moving is None or moves(atom, moving))
        for place in partial.places
    ]
    return [a for a in read if not isinstance(a, ir.Literal) and a not in free]


def _held(eqn, moving: set | None, free: Set) -> list | None:
    """What the two maps of a product ask for, and is not there anyway; None where what
    is asked for by an operand that is there for every step waits for all of them."""
    if moving is None or any(moves(a, moving) and a in free for a in eqn.invars):
        return None
    one, other = eqn.invars
    read = [b for a, b in ((one, other), (other, one)) if moves(a, moving)]
    return [a for a in read if not isinstance(a, ir.Literal) and a not in free]


def _told_inside(inner, eqn, moving: set | None, free: Set) -> tuple[set | None, Set]:
    """What moves in a program that is called, and what is there anyway."""
    if moving is None:
        return None, free
    pairs = list(zip(inner.invars, eqn.invars, strict=True))
    known = {v for v, a in pairs if isinstance(a, ir.Literal) or a in free}
    given = zip(inner.outvars, eqn.outvars, strict=True)
    known |= {a for a, v in given if not isinstance(a, ir.Literal) and v in free}
    inside = {v for v, a in pairs if moves(a, moving)}
    spread(inner, inside)
    return inside, known


def recomputes(
    body, done, carries, length: int, moving: set | None = None, free: Set = frozenset()
) -> bool:
    """Whether a step is better run again than remembered.

    Args:
      body: its jaxpr.
      done: places of equations that are done before the loop.
      carries: the values it starts from.
      length: the number of steps.
      moving: its variables that carry tangents; None: all may.
      free: those that are there for every step, kept or not.
    """
    costs = _costs(body)
    work = _Work(costs)
    if work.add(body, done, (), moving, free) is None:
        return False
    kept = sum(ir.nbytes(ir.typeof(value)) for value in carries)
    again = work.time + _stacking(costs, len(carries), kept, length)
    asked = sum(work.kept.values())
    stacked = _stacking(costs, len(work.kept), asked, length)
    return kept < asked and again < stacked


def branches_again(programs, pool, operands) -> bool:
    """Whether the branches of a step are better run again than remembered.

    What the branches keep is stacked at every step, whichever is taken.

    Args:
      programs: of the branches.
      pool: types of what they keep together.
      operands: types of those operands that the step would have to keep instead.
    """
    bodies = [ir.inner(program)[0] for program in programs]
    costs = _costs(*bodies)
    times = [_time_of(body, costs) for body in bodies]
    extra = sum(map(ir.nbytes, pool)) - sum(map(ir.nbytes, operands))
    spared = _stacking(costs, len(pool), max(extra, 0), 1)
    return extra > 0 and sum(times) / len(times) < 2 * spared


def _time_of(body, costs: Costs) -> float:
    """Time of elementwise and structural operations, and products; else infinity."""
    total = 0.0
    for eqn in body.eqns:
        name, rule = eqn.primitive.name, registry.lookup(eqn.primitive)
        if name in CALLS:
            total += _time_of(ir.inner(ir.called(eqn.params))[0], costs)
        elif name == "dot_general":
            total += _time(costs, name, eqn, False)
        elif isinstance(rule, _SIMPLE) and not eqn.effects and name not in _RANDOM:
            total += _time(costs, name, eqn, False)
        else:
            return math.inf
    return total


_SIMPLE = (registry.Elementwise, registry.Linear, registry.ZeroRule)


def _stacking(costs: Costs, count: int, nbytes: int, length: int) -> float:
    """Time to keep `count` arrays of `nbytes` at a step, and to take them again."""
    byte = costs.far if length * nbytes > costs.cache else costs.near
    few = nbytes <= 16 * count  # scalars: done beside others
    return count * (0.02 * costs.stack if few else costs.stack) + byte * nbytes


def is_dear(names: frozenset[str]) -> bool:
    """Whether one of these primitives takes many operations an element."""
    return not names.isdisjoint((*_PERIODIC, *_SMOOTH))
