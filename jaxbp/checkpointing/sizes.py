"""What each segment of a chain takes: bytes of its tape, of its pull; seconds."""

import math
from collections.abc import Sequence

import jax

from .. import ir
from ..costs import amount_of
from ..costs.flat import Flat, flatten, prune
from ..errors import JaxbpError
from ..settings import options
from ..transforms.products import vjp
from .chain import Chain, is_cheap
from .live import live_bytes_of
from .mincut import least_bytes
from .schedule import Segment, Way
from .ways import shorter_ways

_FLOPS_PER_S, _BYTES_PER_S = 5e10, 1e10  # of a common core: only ratios matter


def segments_of(chain: Chain) -> list[Segment]:
    """Per segment what it takes."""
    found, before = [], ()
    known: dict = {}
    for number, state in enumerate(chain.states):
        key = _signature(chain, number, before, state)
        if key not in known:
            known[key] = _segment(chain, number, before)
        found.append(known[key])
        before = state
    return found


def _signature(chain: Chain, number: int, before, state) -> str:
    """Equal for segments that are the same but for the names of their variables."""
    names: dict = {}

    def name(atom):
        if isinstance(atom, ir.Literal):
            return f"{atom.val}"
        place, moves = names.setdefault(atom, len(names)), atom in chain.active
        return f"{place}:{atom.aval.str_short()}{'*' if moves else ''}"

    lines = [
        f"{eqn.primitive} {list(map(name, eqn.invars))} "
        f"{list(map(name, eqn.outvars))} {_plain(eqn.params)}"
        for eqn in chain.equations(number)
    ]
    ends = [[name(v) for v in variables] for variables in (before, state)]
    return "\n".join([*lines, *map(str, ends)])


def _plain(params: dict) -> str:
    return str({k: str(v) if "jaxpr" not in k else id(v) for k, v in params.items()})


def _segment(chain: Chain, number: int, before) -> Segment:
    run, state = chain.segment(number), chain.states[number]
    eqns = chain.equations(number)
    read = dict.fromkeys(before)
    for eqn in eqns:
        read |= dict.fromkeys(a for a in eqn.invars if not isinstance(a, ir.Literal))
    made = {var for eqn in eqns for var in eqn.outvars}
    ins = [var for var in read if var not in made]
    on = chain.moves(ins)

    def outputs(values):
        found = run(dict(zip(ins, values, strict=True)))
        return [found[v] for v in state if ir.differentiable(v.aval)]

    types = [ir.struct(var.aval) for var in ins]
    program = jax.make_jaxpr(lambda *xs: outputs(xs))(*types)
    amount = amount_of(program)
    moved = amount.read_bytes.low + amount.written_bytes.low
    seconds = amount.flops.low / _FLOPS_PER_S + moved / _BYTES_PER_S
    seconds = seconds if math.isfinite(seconds) else 1.0
    after = sum(ir.nbytes(v.aval) for v in state if v not in before)  # beside the start
    start_bytes, ended = (sum(ir.nbytes(v.aval) for v in s) for s in (before, state))
    largest = max((ir.nbytes(v.aval) for e in eqns for v in e.outvars), default=0)
    bars = [ir.struct(ir.tangent_aval(v.aval)) for v in ir.inner(program)[0].outvars]
    least, beside = _of_gradient(outputs, types, bars, on)
    if least is None:  # it has no derivative here: as if all were kept
        made = [v for eqn in ir.inner(program)[0].eqns for v in eqn.outvars]
        least = sum(ir.nbytes(v.aval) for v in made)
    tape = after + least
    # One cotangent, in the other's place; or whatever the gradient needs.
    pulled = max(start_bytes, ended, beside + after - tape)
    whole = Way(tape, pulled)
    return Segment(
        state_bytes=start_bytes,
        run_bytes=start_bytes + max(ended, largest),
        seconds=seconds,
        ways=(whole, *shorter_ways(chain, eqns, whole, after, seconds)),
    )


def _of_gradient(outputs, types, bars, on) -> tuple[int | None, int]:
    """The least tape beside the segment's ends, and what lives while its gradient runs,
    its ends apart."""
    if not any(on):
        return 0, 0

    def moved(values):
        def f(*given):
            rest = iter(given)
            return outputs(
                [next(rest) if o else v for o, v in zip(on, values, strict=True)]
            )

        return vjp(f, *[v for o, v in zip(on, values, strict=True) if o])[:2]

    def gradient(values, y_bars):
        outs, pullback = moved(values)
        return pullback(y_bars), outs, pullback

    try:
        with options(open_calls=True):
            traced, shapes = jax.make_jaxpr(gradient, return_shape=True)(types, bars)
    except JaxbpError:
        return None, 0
    flat, tape = flatten(traced), len(shapes[-1].program.tape)
    ends = flat.outs[: len(flat.outs) - tape]
    kept = [place < len(ends) for place in range(len(flat.outs))]
    beside = live_bytes_of(prune(flat, kept)) - sum(ir.nbytes(v.aval) for v in ends)
    held = {*flat.ins, *ends[len(ends) - len(shapes[1]) :]}
    return _least(flat, held, flat.outs[len(ends) :]), beside


def _least(flat: Flat, ends: set, tape: Sequence) -> int:
    makers = {value: step for step in flat.steps for value in step.outs}

    def sources(value):
        step = makers.get(value)
        if step is None:
            return ()
        return step.ins if is_cheap(step.equation.primitive) else None

    def size(value):
        free = value in ends or value not in makers
        return 0 if free else ir.nbytes(value.aval)

    return least_bytes(tape, size, sources)
