"""What carries tangents, and what is asked for: as fine as the equations."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.control.activity import moving_outputs
from jaxbp.walkers.linearize import linearize_flat

X = jnp.array([0.3, 1.2, -0.7])
W = jnp.array([[0.5, -0.3, 0.1], [0.2, 0.4, -0.6], [-0.1, 0.7, 0.3]])


def branch(x, z):
    return lax.cond(z[0] > 0, lambda: (x * 2, z), lambda: (x, z * z))


def steps(x, z):
    def step(c, _):
        return (jnp.sin(c[0]), jnp.cos(c[1])), c[0]

    (a, b), ys = lax.scan(step, (x, z), None, length=3)
    return a, b, ys


def trips(x, z):
    body = lambda c: (c[0] + 1, jnp.sin(c[1]), c[2] * c[1])  # noqa: E731
    _, a, b = lax.while_loop(lambda c: c[0] < 3, body, (0, x, z))
    return a, b


def again(x, z):
    return jax.checkpoint(lambda x, z: (jnp.sin(x), jnp.cos(z)))(x, z)


def nested(x, z):
    return lax.scan(lambda c, _: (jax.jit(branch)(*c), None), (x, z), None, length=2)[0]


@pytest.mark.parametrize(
    "function, by_first, by_second",
    [
        (branch, (0,), (1,)),
        (steps, (0, 2), (1,)),
        (trips, (0, 1), (1,)),
        (again, (0,), (1,)),
        (nested, (0,), (1,)),
    ],
)
def test_outputs_move_where_their_equations_do(function, by_first, by_second):
    program = jax.make_jaxpr(function)(X, X)
    assert moving_outputs(program, (True, False)) == by_first
    assert moving_outputs(program, (False, True)) == by_second


def descended(function, x, gradient):
    """A descent that remembers the value: where the gradient does not move with what
    is outside, the point does not."""

    def body(carry):
        x, value, slope, number = carry
        new = x - 0.1 * slope
        better = function(new) < value
        x = jnp.where(better, new, x)
        slope = lax.cond(better, lambda: gradient(x), lambda: slope)
        return x, jnp.where(better, function(new), value), slope, number + 1

    start = x, function(x), gradient(x), 0
    return lax.while_loop(lambda c: c[3] < 20, body, start)[0]


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_a_descent_inside_that_does_not_move_is_not_gone_through_backwards(kind):
    def inner(ad, f):
        if kind == "reverse":
            return ad.grad(f)
        rows = jnp.eye(len(X))
        return lambda x: jax.vmap(lambda e: ad.jvp(f, (x,), (e,))[1])(rows)

    def outer(ad, x):
        f = lambda z: jnp.sum((z - 1) ** 2) + jnp.sum(x**2)  # noqa: E731
        z = descended(f, jnp.zeros_like(X), inner(ad, f))
        return jnp.sum(x**2) - jnp.sum(z**2)

    # JAX goes back through the loop only because nothing in it moves.
    for derivative in ("grad", "jacfwd"):
        wanted = getattr(jax, derivative)(functools.partial(outer, jax))(X)
        found = getattr(jaxbp, derivative)(functools.partial(outer, jaxbp))(X)
        assert jnp.allclose(found, wanted)


# What is asked for ----------------------------------------------------------------


def logged(w, x):
    """An energy is carried along, and a trace stacked, that nothing reads."""

    def step(carry, x):
        h, energy, other = carry
        h = jnp.tanh(w @ h + x)
        s = jnp.exp(h) @ w
        return (h, energy + s @ s, jnp.sin(other) * energy), (s, energy)

    start = jnp.zeros(3), 0.0, jnp.zeros(3)
    return lax.scan(step, start, jnp.stack([x, -x, 2 * x, x * x]))[0]


def written(w, x):
    """A table is written beside, and read as a whole; a branch gives what none uses."""

    def step(carry, i):
        h, table = carry
        table = table.at[i].set(jnp.sum(h))
        h, _ = lax.cond(
            h[0] > 0, lambda h: (jnp.sin(w @ h), h * h), lambda h: (h * h, h), h
        )
        return (h, jnp.cos(table) @ jnp.ones(600) * table), table[0]

    table = jnp.zeros(600)
    return lax.scan(step, (x, table), jnp.arange(4))[0]


def repeated(w, x):
    """The same by a loop of unknown length."""

    def body(c):
        n, h, energy = c
        return n + 1, jnp.tanh(w @ h), energy * jnp.sin(h) + jnp.exp(w @ h)

    return lax.while_loop(lambda c: c[0] < 5, body, (0, x, jnp.zeros(3)))[1:]


def few(w, x):
    def step(carry, _):
        h, energy = carry
        for _ in range(8):
            h = h + 0.01 * jnp.sin(w[0] * h) * jnp.cos(h) - 0.1 * h * jnp.cos(h)
        return (h, energy + jnp.sum(jnp.exp(h))), None

    return lax.scan(step, (x, 0.0), None, length=40)[0]


def bounded(w, x):
    """`repeated`, for JAX."""

    def step(c, _):
        h, energy = c
        return (jnp.tanh(w @ h), energy * jnp.sin(h) + jnp.exp(w @ h)), None

    return lax.scan(step, (x, jnp.zeros(3)), None, length=5)[0]


JAXS = {repeated: bounded}


@pytest.mark.parametrize(
    "function, residuals",
    [
        *[(logged, how) for how in ("auto", "recompute")],
        *[(written, how) for how in ("auto", "recompute")],
        *[(repeated, "auto"), (few, "auto")],
    ],
)
def test_the_gradient_of_some_of_a_loops_outputs(function, residuals):
    options = jaxbp.Options(scan_residuals=residuals)
    for place in (0, 1):

        def loss(w, x, function=function, place=place):
            return jnp.sum(function(w, x)[place] ** 2)

        plain = functools.partial(loss, function=JAXS.get(function, function))
        wanted = jax.jit(jax.value_and_grad(plain, (0, 1)))(W, X)
        gradient = jaxbp.value_and_grad(loss, (0, 1), options=options)
        found = jax.jit(gradient)(W, X)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert jnp.isfinite(b).all() and jnp.allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("function", [logged, few])
def test_carries_that_nothing_asks_for_carry_no_cotangent(function):
    def first(w, x):
        return [function(w, x)[0]], []

    _, program, _ = linearize_flat(first, (W, X), (True, True))
    (loop,) = [e.map for e in program.structure.edges if hasattr(e.map, "carry_avals")]
    assert [aval.shape for aval in loop.carry_avals] == [(3,)]


def test_second_derivatives_of_some_of_a_loops_outputs():
    def loss(ad, function, w):
        inner = ad.grad(lambda x: jnp.sum(function(w, x)[0] ** 2))
        return jnp.sum(inner(X) ** 2)

    found = jax.jit(jaxbp.grad(functools.partial(loss, jaxbp, logged)))(W)
    wanted = jax.jit(jax.grad(functools.partial(loss, jax, logged)))(W)
    assert jnp.allclose(found, wanted, rtol=1e-4)
