"""Sums before contractions: the same derivative from smaller products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.costs.stacked import inner_programs

N = 50
X = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
L = jnp.cos(jnp.arange(18.0)).reshape(2, 3, 3)
POINTS = jnp.sin(jnp.arange(3.0 * N)).reshape(N, 1, 3)


def loss(product):
    """Products with points less centres, which are repeated for every point."""
    return lambda x, l, points: jnp.sum(jnp.sin(product(points - x[None], l)))  # noqa: E741


MOVED = {
    "held_on_the_left": loss(lambda c, m: jnp.einsum("kij,nkj->nki", m, c)),
    "held_on_the_right": loss(lambda c, m: jnp.einsum("nkj,ij->nki", c, m[0])),
    "no_other_axis": loss(lambda c, m: c @ m[0, 0]),
    "both_contract": loss(lambda c, m: c @ m[0] + 2 * (c @ m[1])),
}
KEPT = {
    "repeated_axis_is_summed": loss(lambda c, m: jnp.einsum("nkj,nkj->k", c, POINTS)),
    "repeated_axis_is_matched": loss(lambda c, m: jnp.einsum("nkj,nkj->nk", c, c)),
    "points_move_as_well": lambda x, m, p: loss(lambda c, m: c @ m[0])(
        x, m, p * x[None, :1]
    ),
}


def product_sizes(program):
    """Elements of the result of every product in a program and inside it."""
    for eqn in program.jaxpr.eqns:
        if eqn.primitive.name == "dot_general":
            yield eqn.outvars[0].aval.size
        for inside in inner_programs(eqn):
            yield from product_sizes(inside)


@pytest.mark.parametrize("run", (MOVED | KEPT).values(), ids=MOVED | KEPT)
def test_the_derivative_is_the_same(run):
    args = X, L, POINTS
    push = jaxbp.linearize(lambda x: run(x, L, POINTS), X)[1]
    came = jax.jit(jaxbp.grad(run, (0, 1)))(*args), push(X + 1)
    expected = (
        jax.jit(jax.grad(run, (0, 1)))(*args),
        jnp.vdot(jax.grad(run)(*args), X + 1),
    )
    close = lambda a, b: np.testing.assert_allclose(a, b, 1e-11, 1e-13)  # noqa: E731
    jax.tree.map(close, came, expected)


@pytest.mark.parametrize("run", MOVED.values(), ids=MOVED)
@pytest.mark.parametrize("early", [True, False])
def test_no_product_of_the_pullback_has_the_repeated_axis(run, early):
    def large_products(f):
        with jaxbp.association(early):
            sizes = list(product_sizes(jax.make_jaxpr(f)(X)))
        return sum(size >= N for size in sizes)

    function = lambda x: run(x, L, POINTS)  # noqa: E731
    primal = large_products(function)
    assert large_products(jaxbp.grad(function)) == (primal if early else 2 * primal)


def test_a_call_that_ignores_its_repeated_tangent():
    """Its edge has no outputs: there is nothing to associate."""

    @jax.jit
    def inner(x):
        value, _ = jaxbp.linearize(lambda x: jax.lax.stop_gradient(jnp.sin(x)), x)
        return value

    def f(x):
        wide = jnp.broadcast_to(x, (4, 3))
        return jnp.sum(jax.checkpoint(inner)(wide)) + jnp.sum(wide @ jnp.ones((3, 2)))

    np.testing.assert_allclose(jax.jit(jaxbp.grad(f))(jnp.ones(3)), 8.0)


SPELLED = {
    "new axis": lambda x: x[None],
    "broadcast_to": lambda x: jnp.broadcast_to(x, (N, 3)),
    "tile": lambda x: jnp.tile(x, (N, 1)),
    "reshape": lambda x: x.reshape(1, 3),
    "twice": lambda x: 2 * x[None],
    "repeat": lambda x: jnp.repeat(x[None], N, 0),
}


@pytest.mark.parametrize("spelled", SPELLED)
def test_every_spelling_of_a_broadcast_is_seen(spelled):
    """The cotangent is contracted after its sum over the points, not point by point."""
    points, matrix = POINTS[:, 0], jnp.cos(jnp.arange(9.0)).reshape(3, 3)

    def f(x):
        return jnp.sum(jnp.sin((points - SPELLED[spelled](x)) @ matrix))

    program = jax.make_jaxpr(jaxbp.grad(f))(X[0])
    dots = [e for e in program.eqns if e.primitive.name == "dot_general"]
    assert [e.outvars[0].aval.shape for e in dots] == [(N, 3), (3,)]
    np.testing.assert_allclose(jaxbp.grad(f)(X[0]), jax.grad(f)(X[0]), rtol=1e-12)


def test_under_vmap_too():
    matrix = jnp.cos(jnp.arange(9.0)).reshape(3, 3)

    def f(x):
        return jnp.sum(jax.vmap(lambda p: jnp.sin((p - x) @ matrix))(POINTS[:, 0]))

    program = jax.make_jaxpr(jaxbp.grad(f))(X[0])
    dots = [e for e in program.eqns if e.primitive.name == "dot_general"]
    assert dots[-1].outvars[0].aval.size == 3
    np.testing.assert_allclose(jaxbp.grad(f)(X[0]), jax.grad(f)(X[0]), rtol=1e-12)
