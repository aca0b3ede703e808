"""A loop within fewer bytes than its whole tape takes: the ways to choose from."""

from collections.abc import Iterator

from .. import ir
from ..control.loop.segmented import Segmented
from ..control.loop.treeverse import Layout, layout
from ..settings import current
from .chain import Chain
from .schedule import Way

# Of a whole tape; the last is what is least.
_SHARES = (0.85, 0.7, 0.55, 0.42, 0.33, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03, 0.015, 0.0)
# A loop of unknown length: what it may keep, and runs of its step more, by half.
_WHILE_SHARES = ((0.25, 0.3), (1 / 16, 0.7))


def shorter_ways(
    chain: Chain, eqns, whole: Way, after: int, seconds: float
) -> Iterator[Way]:
    """Ways of a segment that take fewer bytes than `whole`, the fastest first.

    Args:
      eqns: of the segment.
      after: bytes of the state at its end.
      seconds: of one run.
    """
    loops = [e for e in eqns if any(chain.moves(list(_variables(e.invars))))]
    scans = [e for e in loops if is_long(e)]
    if scans:
        yield from _of_scan(chain, scans[0], whole, after, seconds)
    elif any(eqn.primitive.name == "while" for eqn in loops):
        kept = whole.tape_bytes - after
        for share, extra in _WHILE_SHARES:
            limit = int(share * kept)
            yield Way(after + limit, whole.pull_bytes, extra * seconds, limit)


def is_long(eqn) -> bool:
    """Whether it is a loop of known length, with a choice of what it keeps."""
    return eqn.primitive.name == "scan" and eqn.params["length"] > 1


def measured(chain: Chain, eqn) -> tuple[int, int]:
    """Bytes of what a step of a scan starts from, and of its tape."""
    dots = [True if on else None for on in _moves(chain, eqn.invars)]
    loop = Segmented.of(eqn.primitive, eqn.params, dots, current())
    return loop.measured([ir.struct(atom.aval) for atom in eqn.invars])


def layout_of(chain: Chain, eqn, limit: int | None) -> Layout:
    """How a scan is gone through within so many bytes."""
    length = eqn.params["length"]
    if limit is None:
        return Layout(length, 0, length, 0)
    return layout(length, *measured(chain, eqn), limit)


def _of_scan(chain: Chain, eqn, whole: Way, after: int, seconds: float):
    length, (state, tape) = eqn.params["length"], measured(chain, eqn)
    _, carries = ir.scan_counts(eqn.params)
    consts = eqn.invars[: len(eqn.invars) - carries - len(_rows(eqn))]
    # A block's share of a constant's cotangent is added to that of those before.
    sums = sum(ir.nbytes(a.aval) for a in consts if _moves(chain, [a])[0])
    # Of a step: what is kept of it, and what else lives while it is pulled back.
    whole_bytes = whole.tape_bytes + whole.pull_bytes - after
    wide = max(tape, whole_bytes // length)
    known: set = set()
    for share in _SHARES:
        limit = int(share * length * tape)
        found = layout(length, state, tape, limit)
        if not found.blocks or found in known:
            continue
        known.add(found)
        kept = found.slots * state + found.last * (whole.tape_bytes - after) // length
        peak = found.slots * state + max(found.steps, found.last) * wide + sums
        again = (found.runs / length - 1) * seconds
        yield Way(after + kept, max(after, peak - kept), again, limit)


def _rows(eqn) -> list:
    return ir.scan_split(eqn.invars, eqn.params)[2]


def _variables(atoms) -> Iterator:
    return (atom for atom in atoms if not isinstance(atom, ir.Literal))


def _moves(chain: Chain, atoms) -> list[bool]:
    return [not isinstance(a, ir.Literal) and a in chain.active for a in atoms]
