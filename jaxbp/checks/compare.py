"""Set every witness of a derivative side by side, leaf by leaf, point by point."""

import math
import numbers

import numpy as np

from ..errors import InvalidArgument
from .bench import Bench
from .closeness import wide
from .comparison import Comparison
from .differences import sizes_of
from .looks import Settings
from .rows import place

DISPLACEMENT = 0.1  # of the size of x; halved where f is not finite there
SHARED = 8  # leaves that get all the probes asked for; more of them share as many
QUARTER = 4  # a point that is not the first gets so many times fewer probes


def compare(
    f, args, witnesses, *, grad=None, value_and_grad=None, kwargs=None, argnums=None,
    has_aux=False, points=3, probes=32, seed=0, differences=True, rtol=None, atol=0.0,
):  # fmt: skip
    """Compare all witnesses of the derivative of `f` at `args` and near it.

    Args:
      f: pytrees to a pytree; any floating outputs, paired with a random cotangent.
      args: tuple of pytrees of concrete values.
      witnesses: sequence of Witness. The reverse mode of the first one is judged,
        unless `grad` or `value_and_grad` is given; its forward mode where only that
        can differentiate `f`.
      grad: a user's gradient of a scalar `f`, called like `f`; it is then judged.
      value_and_grad: the same with the value in front, which is compared too.
      kwargs, argnums, has_aux: as in `Subject`.
      points: how many points; those after the first are displaced at random.
      probes: directions per leaf at the first point, a quarter as many at the others;
        trees of more than 8 leaves share 8 times as many.
      seed: of cotangents, points and directions.
      differences: whether to compare with central differences.
      rtol: allowed relative disagreement, of exact derivatives and of differences
        beside their noise; default `closeness.rtol` and `closeness.difference_rtol`.
      atol: allowed absolute disagreement of an element.

    Returns:
      Report.

    Raises:
      InvalidArgument: nothing to differentiate; `grad` for an `f` that is not scalar;
        a setting that makes no sense.
      StructureMismatch, ShapeMismatch: what `grad` returned does not fit.

    Cost: per leaf and probe, about 20 evaluations of f and one pushforward per witness;
    per point, 5 pullbacks per witness. All compiled unless f needs its values: one
    program for each mode of each witness and one for f's values, whatever the leaves.
    """
    sensible(points, probes, rtol, atol, seed)
    bench = Bench(f, args, witnesses, kwargs, argnums, has_aux)
    return compare_at(
        bench, grad=grad, value_and_grad=value_and_grad, points=points, probes=probes,
        seed=seed, differences=differences, rtol=rtol, atol=atol,
    )  # fmt: skip


def compare_at(
    bench, *, grad=None, value_and_grad=None, points=3, probes=32, seed=0,
    differences=True, rtol=None, atol=0.0, progress=None,
):  # fmt: skip
    """`compare` of what is on a Bench, where that is; arguments and errors as there.

    Args:
      bench: Bench.
      progress: called as progress(done, total) as the work goes on.
    """
    sensible(points, probes, rtol, atol, seed)
    subject, settings = bench.subject, Settings(rtol, atol, differences)
    check = Comparison(bench, np.random.default_rng(seed), settings)
    if grad is not None or value_and_grad is not None:
        check.judge_given(grad, value_and_grad)
    leaves = max(len(subject.x), 1)
    count = max(1, min(probes, probes * SHARED // leaves))
    for point in range(points):
        if progress:
            progress(point, points)
        xs = subject.x if point == 0 else displaced(check, point)
        if xs is not None:
            check.look(point, xs, count if point == 0 else max(count // QUARTER, 1))
        if not check.report.points or check.report.stochastic:
            break
    check.conclude()
    return check.report


def displaced(check, point):
    """Leaves near the given ones where f is finite; None if none was found."""
    subject = check.subject
    for halving in range(8):
        share = DISPLACEMENT / 2**halving
        xs = [_shifted(x, share, check.rng) for x in subject.x]
        y = subject.evaluate(xs)
        if all(np.isfinite(wide(leaf)).all() for leaf in y):
            return xs
    check.report.notes.append(
        f"{place(point)} was left out: `{check.name}` was not finite at 8 tries nearer "
        "and nearer to the point given."
    )
    return None


def _shifted(x, share, rng):
    shift = share * sizes_of(x, one_by_one=True) * rng.normal(size=x.shape)
    return np.asarray(wide(x) + shift).astype(x.dtype)


def sensible(points, probes, rtol, atol, seed=0):
    """Refuses settings under which nothing would be looked at, or all would pass."""
    for name, value in (("points", points), ("probes", probes)):
        if not isinstance(value, numbers.Integral) or value < 1:
            raise InvalidArgument(
                f"`{name}` must be a whole number from 1, but is {value!r}: with none "
                "nothing would be looked at."
            )
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise InvalidArgument(f"`seed` must be a whole number from 0, but is {seed!r}.")
    if rtol is not None and not (
        isinstance(rtol, numbers.Real) and 0 <= float(rtol) < 1
    ):
        raise InvalidArgument(
            f"`rtol` must be a number from 0 and below 1, but is {rtol!r}: by a share "
            "of 1 any two slopes agree."
        )
    if not isinstance(atol, numbers.Real) or not 0 <= float(atol) < math.inf:
        raise InvalidArgument(
            f"`atol` must be a finite number from 0, but is {atol!r}."
        )
