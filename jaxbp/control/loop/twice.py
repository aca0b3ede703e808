"""The derivative of a loop's pullback, for reverse mode over reverse mode.

    F: the loop, x: its operands, y_bar: cotangents of its outputs
    P(x, y_bar) = J(x)^T y_bar        is the gradient by x of <y_bar, F(x)>
    so its derivative by x, H, is symmetric, and
    push:   x_dot, y_bar_dot  ->  H x_dot + J^T y_bar_dot
    pull:   v  ->  H v by x,  J v by y_bar

Both are pushforwards along the loop and its way back: no loop is transposed twice. It
holds where the body is differentiated by its own equations; functions with a rule of
their own, whose derivative may be what its author likes, are walked.
"""

from dataclasses import dataclass

from ... import ir, settings
from ...linear.base import Edge, LinearMap, Params
from ...rules.registry import register
from ...walkers.forward import push_forward
from ...walkers.primal import has_rules
from .blocks import Blocks, blocks_of
from .repetition import operands
from .sizes import Sizes
from .whole import Whole


def _pull(*residuals, blocks: Blocks, params: Params, ins, targets) -> list:
    first = len(residuals) - len(targets)
    count = operands(params)
    values, kept = residuals[:count], blocks.unflattened(residuals[count:first])
    return blocks.pull(values, kept, ins, targets, residuals[first:])


pull_p = Whole("while_pull", _pull)


def pull(blocks: Blocks, params: Params, residuals, ins, targets, y_bars) -> list:
    """One cotangent per operand of `ins`; None: it is zero whatever `y_bars` are.

    Args:
      residuals: the loop's operands, then what was kept.
    """
    pairs = [(i, y) for i, y in zip(targets, y_bars, strict=True) if y is not None]
    targets, y_bars = tuple([i for i, _ in pairs]), [y for _, y in pairs]
    run = _pull if has_rules(blocks.loop.body) else pull_p.bind
    read = _read(blocks, ins)
    found = run(
        *residuals, *y_bars, blocks=blocks, params=params, ins=read, targets=targets
    )
    at = dict(zip(read, found, strict=True))
    return [at.get(place) for place in ins]


def _read(blocks: Blocks, places) -> tuple[int, ...]:
    """Those of the operands that the body reads."""
    known = {*blocks.loop.held, *blocks.loop.moved}
    return tuple([place for place in places if place in known])


def _pull_rule(walker, primitive, given, dots, params):
    """The recorder's edge; `dots` of what is kept are None, since it has none."""
    outs = primitive.bind(*given, **params)
    targets, count = params["targets"], operands(params["params"])
    first = len(given) - len(targets)
    values = [*given[:count], *given[first:]]
    dots = [*dots[:count], *dots[first:]]
    moving = tuple([i for i, dot in enumerate(dots) if dot is not None])
    blocks: Blocks = params["blocks"]
    it = Twice(
        params["params"], params["ins"], targets, moving, count, blocks.sizes,
        blocks.options,
    )  # fmt: skip
    edge = Edge(it, tuple(values), moving, tuple(range(len(outs))))
    return outs, walker.extend([edge], dots, outs)


register(pull_p, _pull_rule)


@dataclass(slots=True, unsafe_hash=True)
class Twice(LinearMap):
    """Residuals: the loop's operands, then cotangents of its outputs.

    Fields:
      params: of the loop.
      ins, targets: its operands that have cotangents, and its outputs that do.
      given: which residuals carry tangents.
      count: of operands.
      sizes: of the loop's blocks.
    """

    params: Params
    ins: tuple[int, ...]
    targets: tuple[int, ...]
    given: tuple[int, ...]
    count: int
    sizes: Sizes
    options: settings.Options

    def push(self, residuals, x_dots):
        return self._along(residuals, self.given, x_dots, self.ins)

    def pull(self, residuals, y_bars):
        wanted = tuple([place for place in self.given if place < self.count])
        second = self._along(residuals, self.ins, y_bars, wanted)
        found = dict(zip(wanted, second, strict=True))
        if len(wanted) < len(self.given):
            pushed = self._pushed(residuals[: self.count], y_bars)
            found |= dict(enumerate(pushed, self.count))
        return [found[place] for place in self.given]

    def _along(self, residuals, places, dots, wanted) -> list:
        """The pullback's tangents, of the operands `wanted`."""
        active = [i if i in wanted else None for i in range(self.count)]
        blocks = blocks_of(self.params, active, self.options, self.sizes)
        read = _read(blocks, wanted)

        def run(*given):
            values, y_bars = given[: self.count], given[self.count :]
            kept = blocks.forward(values)[1]
            return blocks.pull(values, kept, read, self.targets, y_bars), []

        found = dict(zip(read, self._run(run, residuals, places, dots), strict=True))
        return [found.get(place) for place in wanted]

    def _pushed(self, values, dots) -> list:
        """The loop's own pushforward."""
        primitive = ir.primitive("while")
        assert primitive is not None

        def run(*given):
            return ir.evaluate(primitive, given, dict(self.params)), []

        tangents = self._run(run, values, self.ins, dots)
        return [tangents[i] for i in self.targets]

    def _run(self, run, values, places, dots) -> list:
        whole: list = [None] * len(values)
        for place, dot in zip(places, dots, strict=True):
            whole[place] = dot
        with settings.using(self.options):
            _, tangents, _ = push_forward(run, values, whole)
        return tangents
