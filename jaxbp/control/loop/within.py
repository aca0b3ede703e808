"""A scan gone through backwards within a number of bytes.

    steps      0 1 2 | 3 4 5 | 6 7 8 | 9 10      blocks of 3
    kept       *               *      ======     * starts in 2 slots; the last tape
    backward   9 10 are pulled back; from the start at 6 the block 6 7 8 is taped and
               pulled; from the one at 0 the loop runs to 3, ...

How long blocks are and how many starts are kept follows from
the bytes, for the least number of steps in all (`treeverse`).
"""

from dataclasses import dataclass

import jax

from ... import ir, settings
from ...linear.base import Edge, LinearMap, filled
from ...linear.program import LinearProgram, Structure
from ...rules.registry import register
from ...walkers.forward import Pusher
from ...walkers.linearize import solid
from ..activity import Moving
from ..ref import carrying, scan_with_contents
from .scan import Scan
from .segmented import Segmented
from .whole import Whole


@carrying(scan_with_contents)
def scan_rule(walker, primitive, values, dots, params):
    """lax.scan: forward mode in one loop; reverse mode with a tape of all steps, or,
    where that is beyond the bytes that loops may keep, of a block at a time."""
    values, limit = solid(values), settings.current().loop_bytes
    if isinstance(walker, Pusher):
        return Scan(walker, values, dots, params).push()
    if limit is not None and params["length"] > 1:
        loop = Segmented.of(primitive, params, dots, settings.current())
        plan = loop.planned(values, limit)
        if plan.layout.blocks:
            return _record(plan, walker, values, dots)
    return Scan(walker, values, dots, params).record()


def _record(loop: Segmented, walker, values, dots):
    """The loop's outputs, and their slots."""
    outs, program, starts = loop.forward(values)
    again = Within(loop, program.structure)
    residuals = (*values, *starts, *program.tape)
    targets = tuple([i for i, moves in enumerate(loop.outs) if moves])
    edge = Edge(again, residuals, loop.ins, targets)
    return outs, walker.extend([edge], dots, outs)


@dataclass(slots=True, unsafe_hash=True)
class Within(LinearMap):
    """Residuals: the scan's operands, starts of blocks, and the last block's tape."""

    loop: Segmented
    last: Structure

    def push(self, residuals, x_dots):
        loop, count = self.loop, len(self.loop.active)
        dots: list = [None] * count
        for place, x_dot in zip(loop.ins, x_dots, strict=True):
            dots[place] = x_dot
        with settings.using(loop.options):
            _, y_dots = Pusher().apply(
                loop.primitive, residuals[:count], dots, dict(loop.params)
            )
        return [dot for dot, moves in zip(y_dots, loop.outs, strict=True) if moves]

    def pull(self, residuals, y_bars):
        loop, count = self.loop, len(self.loop.active)
        ends = [ir.typeof(value) for value in residuals[:count]]
        y_bars = filled(y_bars, loop.out_types(ends))
        with settings.using(loop.options):
            return pull_p.bind(*residuals, *y_bars, loop=loop, last=self.last)


def _pull(*given, loop: Segmented, last: Structure) -> list:
    count, ends = len(loop.active), len(given) - sum(loop.outs)
    states = count + ir.scan_counts(loop.params)[1]
    program = LinearProgram(last, given[states:ends])
    return loop.backward(given[:count], given[count:states], program, given[ends:])


def _pull_rule(walker, primitive, given, dots, params):
    """What is to be gone through backwards once more is the plain scan's way back: what
    was kept of the loop follows from its operands."""
    loop: Segmented = params["loop"]
    count, ends = len(loop.active), len(given) - sum(loop.outs)

    def plain(*given):
        length = loop.params["length"]
        _, program = loop.block(given[:count], length)
        found = iter(program.pull(Moving(loop.outs).whole(given[count:])))
        types = [ir.typeof(value) for value in given[:count]]
        whole = [next(found) if moves else None for moves in loop.active]
        return filled([whole[i] for i in loop.ins], [types[i] for i in loop.ins])

    values = [*given[:count], *given[ends:]]
    types = [ir.struct(ir.typeof(value)) for value in values]
    program = jax.make_jaxpr(plain)(*types)
    return walker.run(program, values, [*dots[:count], *dots[ends:]])


pull_p = Whole("scan_pull", _pull)
register(pull_p, _pull_rule)
register("scan", scan_rule)
