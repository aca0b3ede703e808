"""Random programs: every order of elimination gives the Jacobian that JAX gives."""

import functools

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase

from jaxbp.across import jacobian, order
from jaxbp.sparse import pattern
from tests.fuzz.compare import evaluate
from tests.fuzz.programs import programs

COUNT = 30
FLOAT64 = (np.dtype(np.float64),)


@pytest.fixture
def always_across(monkeypatch):
    """Orders of elimination are taken however slow they seem."""
    monkeypatch.setattr(order, "CLEARLY", np.inf)
    monkeypatch.setattr(order, "SEEN", -np.inf)


def staged(f, *args):
    """Traced, and its equations run one by one: nothing is compiled."""
    program, shape = jax.make_jaxpr(f, return_shape=True)(*args)
    return jax.tree.unflatten(jax.tree.structure(shape), evaluate(program, args))


def disagreement(program) -> float | None:
    """The largest difference to JAX, by the size of its largest entry."""
    xs = tuple(program.xs.values())
    ints = tuple(program.ints.values())
    places = tuple(range(len(xs)))
    if any(np.iscomplexobj(y) for y in program.ys):  # neither has their Jacobian
        return None
    if "float32" in program.source or "bfloat16" in program.source:
        return None  # what rounds coarsely rounds otherwise in either direction
    mode = jax.jacfwd if "jvp" in program.modes else jax.jacrev
    jaxs = functools.partial(program.function(jax), ints)
    try:
        wanted = staged(mode(jaxs, places), *xs)
    except Exception:  # JAX has no such derivative
        return None
    got = staged(jacobian(jaxs, places), *xs)
    whole = jax.tree.leaves(wanted)
    if len(whole) == len(xs):  # one output
        for place in places:
            holds_every_nonzero(jaxs, xs, place, whole[place])
    worst = 0.0
    pairs = zip(jax.tree.leaves(wanted), jax.tree.leaves(got), strict=True)
    for one, other in pairs:
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape and one.dtype == other.dtype
        finite = np.isfinite(one)
        gap = np.abs(one - other)[finite]
        scale = max(1.0, np.abs(one[finite]).max(initial=0.0))
        worst = max(worst, gap.max(initial=0.0) / scale)
    return worst


def holds_every_nonzero(f, xs, place, wanted):
    """The pattern by one argument, beside its Jacobian (*y, *x)."""
    found = pattern(f, *map(jax.numpy.asarray, xs), argnums=place)
    wanted = np.asarray(wanted).reshape(found.shape)
    nonzero = np.isfinite(wanted) & (wanted != 0)  # 0 x inf may be NaN of nothing
    assert found.dense()[nonzero].all()


def trial(count: int, seed: int, **options) -> int:
    """How many programs were compared; raises at a difference."""
    compared = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(programs(kinds=FLOAT64, **options))
    def compare(program):
        nonlocal compared
        gap = disagreement(program)
        assert gap is None or gap < 1e-9, f"{gap}\n{program.source}\n{program.xs}"
        compared += gap is not None

    compare()
    return compared


def test_random_programs(always_across):
    assert trial(COUNT, 11) > COUNT / 3
