"""Set every witness of a derivative side by side, leaf by leaf, point by point."""

import numpy as np

from ..errors import InvalidArgument
from .closeness import rtol, wide
from .differences import step_sizes
from .judge import judge_slope
from .point import Point
from .report import Report
from .rows import NOT_FINITE, YOURS, Row, place
from .subject import Subject
from .witness import given_gradient, pullback, pushforward

DISPLACEMENT = 0.1  # of the size of x; halved where f is not finite there


def compare(
    f, args, witnesses, *, grad=None, value_and_grad=None, kwargs=None, argnums=None,
    has_aux=False, points=3, probes=32, seed=0, differences=True, relative=None,
):  # fmt: skip
    """Compare all witnesses of the derivative of `f` at `args` and near it.

    Args:
      f: pytrees to a pytree; any floating outputs, paired with a random cotangent.
      args: tuple of pytrees of concrete values.
      witnesses: sequence of Witness. The reverse mode of the first one is judged,
        unless `grad` or `value_and_grad` is given.
      grad: a user's gradient of a scalar `f`, called like `f`; it is then judged.
      value_and_grad: the same with the value in front, which is compared too.
      kwargs, argnums, has_aux: as in `Subject`.
      points: how many points; those after the first are displaced at random.
      probes: directions per leaf at the first point; a quarter as many at the others.
      seed: of cotangents, points and directions.
      differences: whether to compare with central differences.
      relative: allowed relative disagreement of exact derivatives; default `rtol`.

    Returns:
      Report.

    Raises:
      InvalidArgument: nothing to differentiate; `grad` for an `f` that is not scalar.
      StructureMismatch, ShapeMismatch: what `grad` returned does not fit.

    Cost: per leaf and probe, 10 evaluations of f and one pushforward per witness; per
    point, one pullback per witness. All compiled unless f needs its values.
    """
    subject = Subject(f, args, kwargs, argnums, has_aux)
    check = _Comparison(subject, witnesses, np.random.default_rng(seed))
    check.relative, check.differences = relative, differences
    if grad is not None or value_and_grad is not None:
        check.judge_given(grad, value_and_grad)
    check.look(0, max(probes, 1))
    for point in range(1, points if check.report.points else 0):
        check.look(point, max(probes // 4, 1))
    return check.report


class _Comparison:
    """The witnesses by name and the report as it grows."""

    def __init__(self, subject, witnesses, rng):
        self.subject, self.rng = subject, rng
        self.relative, self.differences = None, True
        self.reverses, self.forwards, self.refusals = {}, {}, {}
        for witness in witnesses:
            reverse, forward = f"{witness.name} reverse", f"{witness.name} forward"
            self.reverses[reverse] = pullback(witness, subject)
            self.forwards[forward] = pushforward(witness, subject)
            self.refusals[reverse] = self.refusals[forward] = witness.refusals
        name = getattr(subject.f, "__name__", type(subject.f).__name__)
        leaves = [
            (leaf.name, "" if leaf.obstacle else leaf.describe(), leaf.obstacle)
            for leaf in subject.leaves
        ]
        judged = next(iter(self.reverses), YOURS)
        self.report = Report(name, judged, leaves, points=0)
        self.value = None

    def judge_given(self, grad, value_and_grad):
        """Put the user's own gradient first: it is the one to be judged."""
        if grad is not None and value_and_grad is not None:
            raise InvalidArgument("give `grad` or `value_and_grad`, not both.")
        if not self.subject.scalar:
            raise InvalidArgument(
                "`grad` is a gradient of a real scalar, but `f` returns "
                f"{[(y.shape, str(y.dtype)) for y in self.subject.y]}. "
                "Check y_bar times f for a fixed y_bar instead."
            )
        if grad is None:
            self.value, grad = _split(value_and_grad, self.subject.has_aux)
        given = given_gradient(grad, self.subject)
        self.reverses = {YOURS: given} | self.reverses
        self.refusals[YOURS] = ()
        self.report.judged = YOURS

    def look(self, point, count):
        """Compare everything at one point."""
        xs = self.subject.x if point == 0 else self._displaced(point)
        if xs is None:
            return
        y = self.subject.evaluate(xs)
        if self._not_finite(point, xs, y):
            return
        self.report.points += 1
        y_bar = [self._cotangent(leaf) for leaf in y]
        bars = self._gradients(xs, y_bar)
        if not bars:
            raise InvalidArgument(
                "no witness could differentiate `f`: " + " ".join(self.report.notes)
            )
        self.report.judged = next(iter(bars))
        self._compare_values(point, xs, y)
        forwards = self._willing_forwards(xs)
        here = Point(self, point, xs, y_bar, bars, forwards)
        here.compare_leaves(count)
        here.compare_adjoints()

    def _gradients(self, xs, y_bar):
        """name -> x_bar of each reverse mode that does not refuse."""
        bars = {}
        for name, reverse in list(self.reverses.items()):
            found = self._ask(name, self.reverses, reverse, xs, y_bar)
            if found is not None:
                bars[name] = found
        return bars

    def _willing_forwards(self, xs):
        """name -> (xs, x_dots) -> y_dot of the forward modes that do not refuse."""
        zeros = [np.zeros_like(x) for x in xs]
        for name, push in list(self.forwards.items()):
            self._ask(name, self.forwards, push, xs, zeros)
        return self.forwards

    def _ask(self, name, table, witness, *args):
        """What a witness answers, or None once it has refused; noted, not hidden."""
        try:
            return witness(*args)
        except self.refusals[name] as error:
            del table[name]
            said = str(error).strip().split("\n")[0][:200]
            self.report.notes.append(
                f"{name} was left out; it refused: {type(error).__name__}: {said}"
            )

    def _cotangent(self, y):
        """1 for a scalar f, whose gradient is then meant; random otherwise."""
        if self.subject.scalar:
            return np.ones((), y.dtype)
        draw = self.rng.normal(size=y.shape)
        if np.iscomplexobj(y):
            draw = draw + 1j * self.rng.normal(size=y.shape)
        return np.asarray(draw).astype(y.dtype)

    def _displaced(self, point):
        """Leaves near the given ones where f is finite; None if none was found."""
        for halving in range(8):
            share = DISPLACEMENT / 2**halving
            xs = [self._shifted(x, share) for x in self.subject.x]
            y = self.subject.evaluate(xs)
            if all(np.isfinite(wide(leaf)).all() for leaf in y):
                return xs
        self.report.notes.append(
            f"{place(point)} was left out: `f` was not finite at 8 tries nearer and "
            "nearer to the point given."
        )

    def _shifted(self, x, share):
        shift = share * step_sizes(x) * self.rng.normal(size=x.shape)
        return np.asarray(wide(x) + shift).astype(x.dtype)

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

    def _compare_values(self, point, xs, y):
        """The value that a user's value_and_grad returns beside f's own."""
        if self.value is None:
            return
        args = self.subject.arguments(self.subject.device(xs))
        value = float(np.real(self.value(*args, **self.subject.kwargs)))
        own, dtype = float(y[0]), y[0].dtype
        allowed = (self.relative or rtol(dtype)) * max(abs(own), abs(value))
        where = {"leaf": "value", "point": point, "judged": YOURS, "witness": "f"}
        self.report.rows.append(judge_slope(where, (), 1.0, value, own, allowed))


def _split(value_and_grad, has_aux):
    """The two halves of a value_and_grad as two functions."""

    def value(*args, **kwargs):
        y = value_and_grad(*args, **kwargs)[0]
        return y[0] if has_aux and isinstance(y, tuple) else y

    return value, lambda *args, **kwargs: value_and_grad(*args, **kwargs)[1]
