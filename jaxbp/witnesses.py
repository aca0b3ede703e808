"""`jaxbp.check`: is this gradient right? The comparison with every witness plugged in.

The comparison itself (`jaxbp.checks`) knows neither the engine nor JAX; they meet here.
"""

import jax
import jax.numpy as jnp
import numpy as np

from . import jvp, vjp
from .checks import Bench, Report, Witness, compare_at
from .checks.compare import sensible
from .checks.eager import NEEDS_VALUES
from .checks.progress import progress
from .errors import InvalidArgument, JaxbpError
from .rules.borrowed import noting

# What each says where it has no derivative to offer: no rule, a function of numpy's
# that needs its values; from JAX also forward mode of a custom_vjp, reverse mode of a
# while_loop.
NO_RULE = (JaxbpError, NotImplementedError, *NEEDS_VALUES)
ENGINE = Witness("engine", jvp, vjp, refusals=NO_RULE)
JAX = Witness("jax", jax.jvp, jax.vjp, refusals=(*NO_RULE, TypeError, ValueError))
PEERS = (ENGINE, JAX)


def check(
    f, *args, grad=None, value_and_grad=None, kwargs=None, argnums=None, has_aux=False,
    points=3, probes=32, seed=0, differences=True, rtol=None, atol=0.0,
    order=1,
) -> Report:  # fmt: skip
    """Compare the derivatives of `f` from five sources that know nothing of each other.

    Engine reverse, engine forward, JAX's reverse and forward mode, and central
    differences (steps over all decades of the dtype, their noise measured), at `args`
    and at displaced points; and the adjoint identity between the modes. Give your own
    gradient as `grad` or `value_and_grad`, and it is the one that is judged. Where only
    forward mode can differentiate `f`, the forward modes are set beside one another.

    A verdict is one of four: "agree", "differ", "not finite", or "cannot tell", where
    the gradient is as small as the rounding of f (the minimum of a fit) at every point
    looked at, or disagrees with the differences by hardly more than they may err. What
    the rounding of an `f` in less than float64 hides is looked for in float64: the
    programs of f and of its derivative, operation by operation.

    Args:
      f: called as `f(*args, **kwargs)`; pytrees in and out. A non-scalar output is
        paired with a random cotangent.
      *args: pytrees of concrete values. Leaves that are not floating or complex
        (integers, booleans, keys) are held fixed and named in the report.
      grad: a gradient of a scalar `f` to judge, called like `f`, returning what
        that of `jaxbp.grad` by `argnums` would.
      value_and_grad: the same with the value in front, which is compared too.
      kwargs: mapping of keyword arguments of `f`, held fixed.
      argnums: int or sequence: the arguments to differentiate. By default all; with
        `grad` or `value_and_grad` the first, as in `jax.grad`.
      has_aux: whether `f` returns (y, aux); `grad` may then return (grads, aux).
      points: number of points; those after the first are displaced by a tenth of the
        size of each element.
      probes: directions looked along in each leaf at the first point, a quarter as
        many at the others; more than 8 leaves share 8 times as many. A leaf with at
        most that many elements is looked at one element at a time; in a larger one
        every element is in exactly one direction.
      seed: int, of the random points, directions and cotangents.
      differences: False leaves central differences out, for an `f` whose derivative
        deliberately differs from its values (stop_gradient, straight-through).
      rtol: relative disagreement allowed, beside rounding and noise as they are
        measured. Default 2 eps^(2/3) between exact derivatives (7e-11 in float64, 5e-5
        in float32, 0.08 in bfloat16) and eps^(3/5) to differences (4e-10 and 7e-5; 0.12
        in bfloat16), of the coarsest dtype between the leaf and the output. In types of
        16 bits rounding alone is a percent: an error of a few may pass any `rtol`.
      atol: absolute disagreement allowed in each element.
      order: 2 checks the derivatives of the gradient as well: the engine's gradient is
        then the function, differentiated by the engine, by JAX and by differences.

    Returns:
      Report: true if all agree, false if anything differs or cannot be told (see
      `.verdict`); `print` shows the table, `.rows` holds the numbers, `.findings` says
      which element of which leaf is wrong and who says what, `.raise_if_wrong()` is for
      tests.

    Raises:
      InvalidArgument: traced or no floating arguments, no floating output, `grad` for
        an `f` that is not scalar, a setting that makes no sense, nobody who can
        differentiate `f`.
      StructureMismatch, ShapeMismatch: what `grad` returned is not like the arguments.

    Cost: about 20 evaluations of f and 2 pushforwards per leaf and probe, 10 pullbacks
    per point; compiled, unless f needs concrete values. A look in float64 compiles f
    and its derivative once more. Progress shows on a terminal from 2 s on.
    Source: closeness of ADBench; differences of Ridders 1982, their step by the
    balancing of Lepski 1991.
    """
    checker = Checker(f, kwargs=kwargs, argnums=argnums, has_aux=has_aux)
    return checker(
        *args, grad=grad, value_and_grad=value_and_grad, points=points, probes=probes,
        seed=seed, differences=differences, rtol=rtol, atol=atol, order=order,
    )  # fmt: skip


class Checker:
    """`check` of one function at many points: what was compiled for it is kept.

    Called with arguments like those before (of the same types, and equal where they
    are held fixed) it takes a small part of the first call's time; with others it
    compiles anew. As under `jax.jit`, `f` may read nothing that changes in between: a
    custom rule that was mended is seen by a new Checker only.

    Args:
      f, kwargs, argnums, has_aux: as in `check`.
    """

    def __init__(self, f, *, kwargs=None, argnums=None, has_aux=False):
        self.f, self.kwargs = f, kwargs
        self.argnums, self.has_aux = argnums, has_aux
        self._benches: dict = {}

    def __call__(
        self, *args, grad=None, value_and_grad=None, points=3, probes=32, seed=0,
        differences=True, rtol=None, atol=0.0, order=1,
    ) -> Report:  # fmt: skip
        """The Report at `args`; options as in `check`, with its errors."""
        if order not in (1, 2):
            raise InvalidArgument(f"`order` must be 1 or 2, but is {order!r}.")
        settings = {
            "points": points, "probes": probes, "seed": seed, "rtol": rtol,
            "atol": atol, "differences": differences,
        }  # fmt: skip
        with noting() as borrowed, progress("checking") as advance:
            sensible(points, probes, rtol, atol)
            bench = self._bench(args, grad is not None or value_and_grad is not None)
            report = compare_at(
                bench, grad=grad, value_and_grad=value_and_grad, progress=advance,
                **settings,
            )  # fmt: skip
            if order == 2 and not report.failures:
                second = self._second(bench.subject, seed)
                found = compare_at(second, progress=advance, **settings)
                report.add(found, bench.subject.names, "order 2")
        if borrowed:
            names = ", ".join(f"`{name}`" for name in sorted(borrowed))
            report.notes.append(
                f"The engine has no rule for {names} and borrowed JAX's: it is no "
                "witness of its own there."
            )
        return report

    def _bench(self, args, by_first):
        """The Bench at `args`: the one that was, if they are like those before."""
        argnums = 0 if self.argnums is None and by_first else self.argnums
        bench = self._benches.get(argnums)
        if bench is None or not bench.subject.move(args):
            bench = Bench(self.f, args, PEERS, self.kwargs, argnums, self.has_aux)
            self._benches = {argnums: bench}
        return bench

    def _second(self, subject, seed):
        """The Bench of the engine's gradient of `subject`."""
        xs, key = tuple(subject.device(subject.x)), (id(subject), seed)
        bench = self._benches.get(key)
        if bench is None or not bench.subject.move(xs):
            bench = self._benches[key] = Bench(_gradient(subject, seed), xs, PEERS)
        return bench


def _gradient(subject, seed):
    """xs -> the engine's gradient of <y_bar, f> for one y_bar."""
    rng = np.random.default_rng(seed)
    ones = [np.ones(y.shape) if subject.scalar else rng.normal(size=y.shape)
            for y in subject.y]  # fmt: skip
    y_bar = [
        jnp.asarray(b.astype(y.dtype)) for b, y in zip(ones, subject.y, strict=True)
    ]

    def gradient(*xs):
        return vjp(subject.outputs, *xs)[1](y_bar)

    return gradient
