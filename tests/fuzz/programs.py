"""Random programs: the tables of their statements, their inputs, and their source."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.fuzz import arrays, elementwise, flow, shapes
from tests.fuzz.scope import Scope, Unfit, Value, namespace

FAMILIES = {
    "analytic": elementwise.ANALYTIC,
    "real": elementwise.REAL_ONLY,
    "binary": elementwise.BINARY,
    "moves": shapes.MOVES,
    "reductions": arrays.REDUCTIONS,
    "contractions": arrays.CONTRACTIONS,
    "places": shapes.PLACES,
    "kinks": elementwise.KINKS,
    "stopped": elementwise.STOPPED,
    "special": elementwise.SPECIAL,
    "network": elementwise.NETWORK,
    "complex": elementwise.PARTS,
    "cumulative": arrays.CUMULATIVE,
    "windows": arrays.WINDOWS,
    "order": shapes.ORDER,
    "casts": elementwise.CASTS,
    "linalg": arrays.LINALG,
    "fourier": arrays.FOURIER,
    "loops": flow.LOOPS,
    "branches": flow.BRANCHES,
    "calls": flow.CALLS,
    "custom": flow.CUSTOM,
    "derivatives": flow.DERIVATIVES,
}
NESTED = ("loops", "branches", "calls", "custom", "derivatives")
MORE = 6  # one of so many draws, and one, ends a list of statements
DEEPEST = 2  # functions inside functions inside the program
SHAPES = [(3,), (), (2, 3), (3, 3), (1,), (2, 1), (1, 2, 3), (0,), (0, 3), (2, 2, 2)]
KINDS = [
    np.dtype(np.float64),
    np.dtype(np.complex128),
    np.dtype(np.float32),
    np.dtype(np.complex64),
    np.dtype(jnp.bfloat16),
]
PLACES = [[0, 1], [1, 1], [2, 0, 2], [0, 0, 1]]
RANGES = [(-1.5, 1.5), (0.3, 2.0)]


class Program(NamedTuple):
    """A function of integers and of differentiated arrays, as source, with its inputs.

    Fields:
      source: `def program(ints, x0, x1, ...)`, which returns a list of arrays.
      xs, ints: name -> numpy array.
      ys: what it returns there.
      modes: the modes in which JAX can differentiate it.
    """

    source: str
    xs: dict
    ints: dict
    ys: list
    modes: frozenset

    def function(self, ad):
        """program(ints, *xs), with the derivatives inside of it taken from `ad`."""
        space = namespace(ad)
        exec(self.source, space)
        return space["program"]


def grow(body, most):
    """Draws up to `most` statements for a scope."""
    for place in range(most):
        if not body.draw(statement(body, place)):
            break


@st.composite
def statement(draw, body, place):
    """Adds one statement, if it fits; False where the list ends.

    A strategy of its own, so that Hypothesis can leave it out as a whole.
    """
    if place and not draw(st.integers(0, MORE)):
        return False
    names = [name for name in FAMILIES if body.depth < DEEPEST or name not in NESTED]
    row = body.of(FAMILIES[body.of(names)])
    kept = len(body.statements), len(body.values), set(body.modes)
    try:
        body.state(row(body))
    except Unfit:
        del body.statements[kept[0] :], body.values[kept[1] :]
        body.modes.update(kept[2])
    return True


Scope.grow = staticmethod(grow)


def numbers(draw, shape, dtype):
    """Numbers of two decimals, which the printed source repeats exactly."""
    low, high = draw(st.sampled_from(RANGES))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.uniform(low, high, shape).round(2)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.uniform(-1, 1, shape).round(2)
    return np.asarray(x, dtype)


@st.composite
def programs(draw, most=8, kinds=tuple(KINDS)):
    """Programs of up to `most` statements."""
    main = draw(st.sampled_from(kinds))
    xs = []
    for place in range(draw(st.integers(1, 3))):
        shape = draw(st.sampled_from(SHAPES))
        dtype = main if place == 0 else draw(st.sampled_from([main, main, *kinds]))
        xs.append(Value(f"x{place}", numbers(draw, shape, dtype)))
    ints = [
        Value("i0", np.asarray(draw(st.integers(0, 2)), np.int32)),
        Value("i1", np.asarray(draw(st.sampled_from(PLACES)), np.int32)),
    ]
    scope = Scope(draw, [*ints, *xs])
    grow(scope, most)
    return program(scope, xs, ints)


def program(scope, xs, ints) -> Program:
    """The scope as a function of all that nothing else in it uses."""
    used = set().union(*[s.uses() for s in scope.statements])
    outs = [v for v in scope.values[len(xs) + len(ints) :] if v.name not in used]
    outs = [v for v in outs if jnp.issubdtype(v.dtype, np.inexact)]
    assume(outs)
    return Program(
        scope.source("program", outs, ["ints", *[v.name for v in xs]], unpack=ints),
        {v.name: v.array for v in xs},
        {v.name: v.array for v in ints},
        [v.array for v in outs],
        frozenset(scope.modes),
    )
