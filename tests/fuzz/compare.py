"""One question put to two modules, and whether their answers differ by rounding alone.

Answers nearer than a fixed few roundings agree. Where they are further apart, rounding
itself is the judge: both programs run again with every operation perturbed by as much
as it may round, and they disagree where the gap is beyond the spread of those runs.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from tests.fuzz.derivatives import FIRST, INSIDE, OUTSIDE
from tests.fuzz.interpret import evaluate
from tests.fuzz.programs import Program

RUNS = 6  # perturbed runs of each program
FACTOR = 32.0  # gaps allowed, in spreads: the sample of spreads is small
NEAR = 0.75  # answers within eps**NEAR of the largest element agree at once
MODULES = {"jax": jax, "jaxbp": jaxbp}


class Question(NamedTuple):
    """A derivative of a program by named modules.

    Fields:
      derivative: a function of `derivatives`.
      outer, inner, within: who takes the outer derivative, the inner one, and those
        inside of the program: "jax" or "jaxbp".
      inside, outside: what is put around the program and around the derivative.
      run: "staged" (traced, then evaluated), "live" (on actual values) or "compiled".
    """

    derivative: Callable
    outer: str
    inner: str
    within: str
    inside: str = "f"
    outside: str = "derivative"
    run: str = "staged"

    def by_jax(self):
        return self._replace(outer="jax", inner="jax", within="jax")

    def function(self, program: Program):
        """(ints, xs, x_dots, y_bars) -> answers."""
        f = program.function(MODULES[self.within])
        outer, inner = MODULES[self.outer], MODULES[self.inner]

        def ask(ints, xs, x_dots, y_bars):
            wrapped = INSIDE[self.inside](functools.partial(f, ints))
            derivative = self.derivative(outer, inner, wrapped)
            return OUTSIDE[self.outside](derivative)(xs, x_dots, y_bars)

        return ask


class Refused(Exception):
    """JAX itself does not differentiate the program, or finds no number."""


def operands(program: Program):
    """(ints, xs, x_dots, y_bars) of a program; the seeds are random."""
    ints, xs = tuple(program.ints.values()), tuple(program.xs.values())
    rng = np.random.default_rng(5)
    x_dots = tuple(seed(rng, x) for x in xs)
    return ints, xs, x_dots, [seed(rng, y) for y in program.ys]


def seed(rng, x):
    values = rng.uniform(-1, 1, x.shape).round(2)
    if jnp.issubdtype(x.dtype, np.complexfloating):
        values = values + 1j * rng.uniform(-1, 1, x.shape).round(2)
    return np.asarray(values, x.dtype)


def difference(program: Program, question: Question) -> str:
    """How the modules disagree on a program, in words; empty where they agree.

    Raises:
      Refused: JAX has no answer.
      Whatever the engine raises.
    """
    at = operands(program)
    flat = jax.tree.leaves(at)
    try:
        theirs = jax.make_jaxpr(question.by_jax().function(program))(*at)
        expected = evaluate(theirs, flat)
    except (NotImplementedError, ValueError, TypeError) as refusal:
        raise Refused(str(refusal)) from refusal
    if not all(np.all(np.isfinite(wide(b))) for b in expected):
        raise Refused("not finite")
    ask = question.function(program)
    ours = jax.make_jaxpr(ask)(*at)
    if [str(a) for a in ours.out_avals] != [str(b) for b in theirs.out_avals]:
        return f"types {ours.out_avals}, by JAX {theirs.out_avals}"
    found = RUN[question.run](ask, ours, at)
    if question.derivative in FIRST and question.run == "staged":
        own = [values(program, q, at) for q in (question, question.by_jax())]
        for place, (ours_own, theirs_own) in enumerate(zip(*own, strict=True)):
            # JAX's value may differ too: a custom rule may compute it otherwise.
            theirs_same = expected[place].tobytes() == theirs_own.tobytes()
            if theirs_same and found[place].tobytes() != ours_own.tobytes():
                return f"value {place}: jaxbp\n{found[place]}\nand f\n{ours_own}"
    if all(near(a, b) for a, b in zip(found, expected, strict=True)):
        return ""
    return beyond_rounding(ours, theirs, flat, found, expected)


def values(program: Program, question: Question, at) -> list:
    """The values of the program where it is not differentiated from outside."""
    ints, xs, *_ = at
    f = functools.partial(program.function(MODULES[question.within]), ints)
    made = jax.make_jaxpr(INSIDE[question.inside](f))(*xs)
    return evaluate(made, jax.tree.leaves(xs))


def _live(ask, program, at):
    return list(map(np.asarray, jax.tree.leaves(ask(*jax.tree.map(jnp.asarray, at)))))


RUN = {
    "staged": lambda ask, program, at: evaluate(program, jax.tree.leaves(at)),
    "live": _live,
    "compiled": lambda ask, program, at: _live(jax.jit(ask), program, at),
}


def near(a, b) -> bool:
    size = np.max(np.abs(wide(b)), initial=0)
    bound = float(jnp.finfo(b.dtype).eps) ** NEAR * size
    return bool(np.all(np.abs(wide(a) - wide(b)) <= bound))


def wide(x):
    return np.asarray(x).astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def beyond_rounding(ours, theirs, flat, found, expected) -> str:
    """Where the gap is beyond what rounding makes of either program."""
    rng = np.random.default_rng(0)
    spreads = [
        np.max(moves, axis=0)
        for moves in zip(
            *[
                [np.abs(wide(a) - wide(b)) for a, b in zip(run, centre, strict=True)]
                for program in (ours, theirs)
                for centre in [evaluate(program, flat)]
                for run in [evaluate(program, flat, rng) for _ in range(RUNS)]
            ],
            strict=True,
        )
    ]
    for place, (a, b) in enumerate(zip(found, expected, strict=True)):
        gap, tiny = np.abs(wide(a) - wide(b)), float(jnp.finfo(b.dtype).tiny)
        if not np.all(gap <= FACTOR * spreads[place] + tiny):  # NaN of ours is a gap
            return (
                f"answer {place}: jaxbp\n{a}\nand JAX\n{b}\nare {np.max(gap):.1e} "
                f"apart, of which rounding explains {np.max(spreads[place]):.1e}"
            )
    return ""
