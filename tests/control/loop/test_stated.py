"""What a loop's body computes from nothing but numbers: not kept at every step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

SQUARE = jnp.cos(jnp.arange(25.0)).reshape(5, 5) + 4 * jnp.eye(5)
LINE = jnp.sin(jnp.arange(5.0))


def masked(a, x):
    """A mask that is counted within a call."""

    def step(x, _):
        grown = jnp.tril(jnp.outer(x, x) + a)
        return jax.scipy.linalg.solve_triangular(grown, jnp.sin(x), lower=True), None

    return jnp.sum(lax.scan(step, x, None, length=6)[0] ** 2)


def bands(a, x):
    """Invariants put together with numbers; a system of three bands."""
    below, on, above = a[1:, 0], a[:, 1] + 5, a[:-1, 2]

    def step(x, _):
        below_on = jnp.concatenate([jnp.zeros(1), below])
        above_on = jnp.concatenate([above, jnp.zeros(1)])
        y = lax.linalg.tridiagonal_solve(below_on, on, above_on, x[:, None])
        return y[:, 0] + x, y[0]

    x, outs = lax.scan(step, x, None, length=6)
    return jnp.sum(x**2) + jnp.sum(outs**3)


def descents(a, x):
    """The gradient of squares, within a loop: linear, with numbers as coefficients."""

    def step(ad):
        def run(x, _):
            down = ad.grad(lambda x: jnp.sum(x**2) + x @ a[0] * 0.1)(x)
            return x - 0.1 * down, None

        return run

    def of(ad):
        return lambda a, x: jnp.sum(lax.scan(step(ad), x, None, length=6)[0] ** 2)

    return of(jaxbp)(a, x)


PROGRAMS = [masked, bands, descents]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_values(f):
    args = SQUARE, LINE
    expected = jax.grad(f, (0, 1))(*args)
    for found in (jaxbp.grad(f, (0, 1)), jax.jit(jaxbp.grad(f, (0, 1)))):
        for ours, theirs in zip(found(*args), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, 1e-11, 1e-13)
    batch = jax.vmap(jaxbp.grad(f), (None, 0))(SQUARE, jnp.stack([LINE, 2 * LINE]))
    np.testing.assert_allclose(batch[0], expected[0], 1e-11, 1e-13)


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_second_derivatives(f):
    v = jnp.cos(LINE)

    def product(ad):
        return jax.jit(
            lambda x: ad.jvp(lambda x: ad.grad(f, 1)(SQUARE, x), (x,), (v,))[1]
        )(LINE)

    np.testing.assert_allclose(product(jaxbp), product(jax), 1e-10, 1e-12)


@pytest.mark.parametrize(
    ("f", "kept"), [(masked, None), (bands, 1), (descents, 0)], ids=["mask", "x", "no"]
)
def test_what_is_kept(f, kept):
    """No integers, nor what is the same at every step."""
    program = jax.make_jaxpr(jaxbp.grad(f, (0, 1)))(SQUARE, LINE)
    stacks = [v.aval for eqn in _scans(program.jaxpr) for v in eqn.outvars]
    stacks = [a for a in stacks if a.shape[:1] == (6,)]
    assert all(jnp.issubdtype(aval.dtype, jnp.floating) for aval in stacks)
    large = [a for a in stacks if a.size >= 6 * 5]
    assert kept is None or len(large) == kept


def _scans(jaxpr):
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan" and not eqn.params["reverse"]:
            yield eqn
        for value in eqn.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and eqn.primitive.name != "scan":
                yield from _scans(inner)
