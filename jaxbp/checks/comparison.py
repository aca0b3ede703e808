"""The witnesses by name, and the report as it grows from point to point."""

import functools
from typing import Any

import numpy as np

from ..errors import InvalidArgument
from . import rounding
from .closeness import epsilon, wide
from .finding import stochastic, value_finding
from .judge import judge_slope
from .point import Point
from .refusal import reason
from .report import Report
from .rows import DIFFER, NOT_FINITE, UNDECIDED, YOURS, Row, place
from .second import look_wider
from .subject import hidden_arrays
from .witness import Given, by_forward_mode

MOST_BY_FORWARD = 4096  # elements whose gradient forward mode alone may assemble
ROUNDING = 1024  # of epsilon: two compiled programs for one value differ by less


class Comparison:
    """What `compare` works with.

    Args:
      bench: Bench, at the point to look at. rng: numpy Generator. settings: Settings.

    Attributes:
      subject, settings, rng, report.
      dtypes: the coarsest dtype between each leaf and the output. reaches: whether
        the output is computed from it.
      drawn: whether a draw by rejection depends on each leaf.
      has_custom_rules, rules_may_lie: whether f calls what has rules of its own, or
        holds a stop_gradient.
      values: Values of f. wider: Wider, or None.
      reverses: name -> (xs, y_bar) -> (y, x_bar). forwards: name -> Slopes.
    """

    def __init__(self, bench, rng, settings):
        self.subject, self.rng, self.settings = bench.subject, rng, settings
        self.dtypes, self.reaches = bench.dtypes, bench.reaches
        self.values, self.wider, self.drawn = bench.values, bench.wider, bench.drawn
        self.has_custom_rules = bench.has_custom_rules
        self.rules_may_lie = bench.rules_may_lie
        self.reverses, self.forwards = dict(bench.reverses), dict(bench.forwards)
        self.refusals = dict(bench.refusals)
        self.name = self.subject.name
        leaves = [
            (leaf.name, "" if leaf.obstacle else leaf.describe(), leaf.obstacle)
            for leaf in self.subject.leaves
        ]
        judged = next(iter(self.reverses), YOURS)
        self.report = Report(self.name, judged, leaves, points=0)
        self.report.notes += [
            f"`{name}` is a {kind}, for JAX one leaf and no pytree: what it holds was "
            "not looked at. `jax.tree_util.register_dataclass` makes it one."
            for name, kind in hidden_arrays(self.subject.leaves)
        ]
        self.value, self.refused = None, {}

    def judge_given(self, grad, value_and_grad):
        """Put the user's own gradient first: it is the one to be judged."""
        if grad is not None and value_and_grad is not None:
            raise InvalidArgument("give `grad` or `value_and_grad`, not both.")
        for name, given in (("grad", grad), ("value_and_grad", value_and_grad)):
            if given is not None and not callable(given):
                raise InvalidArgument(
                    f"`{name}` must be a function, called as `{self.name}` is, but is "
                    f"{given!r}."
                )
        if not self.subject.scalar:
            raise InvalidArgument(
                f"`grad` is a gradient of a real scalar, but `{self.name}` returns "
                f"{[(y.shape, str(y.dtype)) for y in self.subject.y]}. "
                "Check y_bar times f for a fixed y_bar instead."
            )
        if grad is None:
            self.value, grad = _split(value_and_grad, self.subject.has_aux)
        self.reverses = {YOURS: Given(grad, self.subject)} | self.reverses
        self.refusals[YOURS] = ()
        self.report.judged = YOURS

    def look(self, point, xs, count):
        """Compare everything at one point, along up to `count` directions a leaf."""
        y = self.subject.evaluate(xs)
        if self._not_finite(point, xs, y):
            return
        self.report.points += 1
        y_bar = [self._cotangent(leaf) for leaf in y]
        bars = self._gradients(point, xs, y, y_bar)
        if self.report.stochastic:
            return
        self.report.judged = next(iter(bars))
        self._compare_given_value(point, xs, y)
        with np.errstate(over="ignore", invalid="ignore"):  # near the largest number
            here = Point(self, point, xs, y, y_bar, bars)
            here.compare(count)
            look_wider(self, here, count)

    # What witnesses are asked ------------------------------------------------------

    def _gradients(self, point, xs, y, y_bar):
        """name -> x_bar of each reverse mode that does not refuse, or of the forward
        modes where none is left."""
        bars = {}
        for name in list(self.reverses):
            found = self.ask(name, self.reverses, self.reverses[name], xs, y_bar)
            if found is not None:
                own, bars[name] = found
                self._compare_value(point, name, xs, y, own)
                if self.report.stochastic:
                    break
        if not bars:
            self._take_forward_modes(xs, y_bar)
            bars = {name: self.gradient(name, xs, y_bar) for name in self.reverses}
        return bars

    def gradient(self, name, xs, y_bar):
        return self.reverses[name](xs, y_bar)[1]

    def again(self, name, xs, y_bar):
        """The gradient at one of several points near by."""
        reverse = self.reverses[name]
        return getattr(reverse, "again", reverse)(xs, y_bar)[1]

    def rounded(self, name, xs, y_bar):
        """A gradient several times, where every operation rounds at random; None where
        nobody can have it do so."""
        run = getattr(self.reverses[name], "rounded", None)
        return run and self._at_random(run, xs, y_bar)

    def rounded_before(self, name, xs, y_bar):
        """A gradient several times, where what was computed before rounds at random;
        None where that is not known."""
        run = getattr(self.reverses[name], "rounded_before", None)
        return run and self._at_random(run, xs, y_bar)

    def rounded_push(self, name, xs, y_bar, probe):
        """(n,) slopes by a forward mode along one direction, where every operation
        rounds at random; None where nobody can have it do so."""
        found = self._at_random(self.forwards[name].rounded, xs, y_bar, probe)
        return found and np.array(found)

    def _at_random(self, run, *operands):
        seeds = self.rng.integers(2**32, size=rounding.SHAKES, dtype=np.uint32)
        try:
            return [run(seed, *operands) for seed in seeds]
        except Exception:  # a gradient of numpy's; a primitive that takes no part
            return None

    def _take_forward_modes(self, xs, y_bar):
        """Let the forward modes assemble whole gradients, one element at a time."""
        size = sum(x.size for x in xs)
        if size <= MOST_BY_FORWARD:
            for name in list(self.forwards):
                assembled = by_forward_mode(self.forwards[name])
                if self.ask(name, self.forwards, assembled, xs, y_bar) is not None:
                    self.reverses[name] = assembled
                    self.refusals[name] = ()
        if not self.reverses:
            said = "\n".join(
                f"  {', '.join(n)}: {w}" for w, n in self._reasons().items()
            )
            many = (
                f" Forward mode was not asked: it would take {size} pushforwards; give "
                "`argnums`, or a smaller example."
            )
            raise InvalidArgument(
                f"no witness could differentiate `{self.name}`:\n{said}"
                + (many if size > MOST_BY_FORWARD else "")
            )
        self.report.notes.append(
            f"Only forward mode can differentiate `{self.name}`: its gradient was put "
            "together from one pushforward per element."
        )

    def push(self, name, *operands) -> Any:
        """What a forward mode says along directions; None once it has refused."""
        return self.ask(name, self.forwards, self.forwards[name], *operands)

    def push_uncompiled(self, name, xs, y_bar, probe):
        """(slope, 2-norm of its terms) along one direction, operation by operation."""
        return self.forwards[name].uncompiled(xs, y_bar, probe)

    def ask(self, name, table, witness, *operands):
        """What a witness answers, or None once it has refused; noted, not hidden."""
        try:
            return witness(*operands)
        except self.refusals[name] as error:
            table.pop(name, None)
            self.refused[name] = reason(error, self.name)
            return None

    def conclude(self):
        """Notes of who refused, those with one reason together."""
        for why, names in self._reasons().items():
            be = "was" if len(names) == 1 else "were"
            self.report.notes.append(f"{', '.join(names)} {be} left out. {why}")
        self.report.explain_rounding()
        self.report.explain_undecided()
        self.report.explain_precision()
        if self.report.verdict == UNDECIDED and self.report.undecided:
            self.report.notes.append(self._what_would_tell())

    def _what_would_tell(self):
        """Where to look next if nothing could be told here."""
        ways = ["another point"]
        rounds = min(map(epsilon, self.dtypes)) > epsilon(np.float64)
        if rounds and not self.report.drawn:
            ways.append(
                "arguments in float64 (`jax.config.update('jax_enable_x64', True)` "
                "first, or `--x64`)"
            )
        if self.has_custom_rules:
            ways.append(
                "`jaxbp.check_rules`, which holds each custom rule to its function's "
                "own operations"
            )
        *first, last = ways
        return f"What may tell: {', '.join(first)}{' or ' * bool(first)}{last}."

    def _reasons(self):
        """reason -> names of those who refused with it."""
        by_reason = {}
        for name, why in self.refused.items():
            by_reason.setdefault(why, []).append(name)
        return by_reason

    def _cotangent(self, y):
        """1 for a scalar f, whose gradient is then meant; random otherwise."""
        if self.subject.scalar:
            return np.ones((), y.dtype)
        draw = self.rng.normal(size=y.shape)
        if np.iscomplexobj(y):
            draw = draw + 1j * self.rng.normal(size=y.shape)
        return np.asarray(draw).astype(y.dtype)

    # Values ------------------------------------------------------------------------

    def _not_finite(self, point, xs, y):
        """Whether f itself is NaN or infinite at the point; named if so."""
        for name, leaf in zip(self.subject.output_names, y, strict=True):
            bad = np.argwhere(~np.isfinite(wide(leaf)))
            if len(bad):
                at = tuple(int(i) for i in bad[0])
                value = wide(leaf)[at].item()
                row = Row(
                    name, point, self.report.judged, "value", np.inf, at, value, value,
                    0.0, np.inf, NOT_FINITE,
                )  # fmt: skip
                self.report.rows.append(row)
                self.report.notes.append(
                    f"{row.element} is {value} at {place(point)} ({len(bad)} of "
                    f"{leaf.size} elements are not finite); no gradient was compared. "
                    f"{self._whence(xs)}"
                )
                return True
        return False

    def _whence(self, xs):
        """Where a NaN or an infinity in the output may come from."""
        names = zip(self.subject.names, xs, strict=True)
        bad = [f"`{name}`" for name, x in names if not np.isfinite(wide(x)).all()]
        if bad:
            return f"The arguments hold such elements already: {', '.join(bad)}."
        return "The arguments are finite: `jaxbp.trace` shows where the first arises."

    def _compare_value(self, point, name, xs, y, own):
        """The value that comes with a derivative must be f's own."""
        if own is None:
            return
        named = enumerate(zip(self.subject.output_names, own, y, strict=True))
        for number, (output, a, b) in named:
            if not a.size:
                continue
            eps = max(epsilon(b.dtype), *map(epsilon, self.dtypes))
            gap = np.abs(wide(a) - wide(b))
            at = np.unravel_index(int(np.argmax(gap)), gap.shape)
            where = {"leaf": f"value of {output}", "point": point, "judged": name}
            where["witness"] = "f"
            index = tuple(int(i) for i in at)
            ends = (float(np.real(wide(leaf)[at])) for leaf in (a, b))
            judged = functools.partial(judge_slope, where, index, 1.0, *ends)
            allowed = ROUNDING * eps * np.abs(wide(b)).max()
            found = judged(allowed)
            if found.verdict == DIFFER and stochastic(self.subject):
                self.report.be_stochastic(found)
                return
            if found.verdict == DIFFER:
                found = judged(allowed + self._moved_by_rounding(xs, number, y, at))
            if found.verdict == DIFFER:
                self.report.rows.append(found)
                self.report.findings.append(value_finding(found))

    def _moved_by_rounding(self, xs, number, y, at):
        """How far an output moves with the last places of the arguments, and of what is
        computed: a loss that was trained to 1e-32 is but the rounding of its residuals.

        Args:
          number, at: of the output, and of its element.
        """
        shaken = [
            self.subject.evaluate([rounding.shaken(x, self.rng) for x in xs])
            for _ in range(rounding.SHAKES)
        ]
        moved = max(
            np.abs(wide(other[number]) - wide(y[number])).max() for other in shaken
        )
        return rounding.SAFETY * max(moved, self._rounded_value(xs, number, y, at))

    def _rounded_value(self, xs, number, y, at):
        """How far an element moves as every operation of f rounds at random: what is 0
        in one program may be rounding in another, as of equal logarithms."""
        y_bar = [np.zeros_like(leaf) for leaf in y]
        y_bar[number][at] = 1
        runs = self.values.rounded(xs, y_bar, range(rounding.SHAKES))
        return 0.0 if runs is None else float(np.abs(runs).max())

    def _compare_given_value(self, point, xs, y):
        """The value that a user's value_and_grad returns beside f's own."""
        if self.value is None:
            return
        args = self.subject.arguments(self.subject.device(list(xs)))
        value = float(np.real(self.value(*args, **self.subject.kwargs)))
        own, dtype = float(y[0]), y[0].dtype
        allowed = self.settings.rtol(dtype) * max(abs(own), abs(value))
        if abs(value - own) > allowed:
            allowed += self._moved_by_rounding(xs, 0, y, ())
        where = {"leaf": "value", "point": point, "judged": YOURS, "witness": "f"}
        row = judge_slope(where, (), 1.0, value, own, allowed)
        self.report.rows.append(row)
        if row.failed:
            self.report.findings.append(value_finding(row))


def _split(value_and_grad, has_aux):
    """The two halves of a value_and_grad as two functions."""

    def value(*args, **kwargs):
        y = value_and_grad(*args, **kwargs)[0]
        return y[0] if has_aux and isinstance(y, tuple) else y

    return value, lambda *args, **kwargs: value_and_grad(*args, **kwargs)[1]
