"""scan, while, fori and their kin stand in for JAX's in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from tests.transforms.standin import Programs, refused, same

X = jnp.array([0.3, 1.2, -0.7])
W = jnp.array([[0.5, -0.3, 0.1], [0.2, 0.4, -0.6], [-0.1, 0.7, 0.3]])
program = Programs()


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    """Each is a program of one array, with any pytree as its result."""

    def loss(x):
        out = jax.tree.leaves(program(x))
        floats = [y for y in out if jnp.issubdtype(y.dtype, jnp.inexact)]
        return sum(jnp.sum(jnp.sin(y)) for y in floats)

    def doors(ad):
        @jax.jit
        def jitted(x):
            hvp = ad.jvp(ad.grad(loss), (x,), (X,))
            return ad.jvp(program, (x,), (jnp.ones(3),)), hvp

        return jitted(X), ad.grad(loss)(X)

    same(doors)


OPTIONS = {
    "plain": {},
    "reverse": {"reverse": True},
    "unrolled": {"unroll": 2},
    "unrolled_whole": {"unroll": True},
    "split_transpose": {"_split_transpose": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_scan_options(options):
    def run(w, c, xs):
        def step(c, x):
            c = jnp.tanh(w @ c + x)
            return c, (c * x, x.sum())

        return lax.scan(step, c, xs, **options)

    def doors(ad):
        loss = lambda *a: sum(jnp.sum(y**2) for y in jax.tree.leaves(run(*a)))  # noqa: E731
        args = W, X, jnp.stack([X, 2 * X, -X, X * X])
        return (
            ad.jvp(run, args, args),
            ad.grad(loss, (0, 1, 2))(*args),
            jax.jit(ad.grad(loss, 2))(*args),
        )

    same(doors)


@pytest.mark.parametrize("residuals", ["stack", "recompute"])
def test_scan_under_the_switch(residuals):
    def run(x):
        return lax.scan(lambda c, _: (jnp.sin(c) * x, c), x, length=4)

    expected = jax.jacrev(run)(X)
    with jaxbp.loops(residuals=residuals):
        came = jaxbp.jacrev(run)(X)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-12), came, expected)


@program
def without_carry(x):
    return lax.scan(lambda c, x: (None, x**2), None, x)[1]


@program
def without_elements(x):
    return lax.scan(lambda c, _: (c * x, None), x, length=3)[0]


@program
def without_outputs_or_elements(x):
    return lax.scan(lambda c, _: (jnp.sin(c), ()), x, None, 2)[0]


@program
def of_length_zero(x):
    return lax.scan(lambda c, x: (c * x, c + x), x[0], x[:0])


@program
def of_length_one(x):
    return lax.scan(lambda c, x: (c * x, c + x), x[0], x[:1])


@program
def with_pytrees_and_integers(x):
    def step(carry, element):
        n, (a, none) = carry
        return (n + 1, (a * element["x"] * n, none)), {"n": n, "a": a}

    return lax.scan(step, (0, (x[0], None)), {"x": x, "i": jnp.arange(3)})


@program
def with_a_carry_that_starts_constant(x):
    return lax.scan(lambda c, x: (c + x**2, c), 0.0, x)


@program
def with_carries_that_become_active_in_turn(x):
    def step(carry, _):
        a, b, c = carry
        return (a, a * b, b + c), None

    return lax.scan(step, (x, jnp.ones(3), jnp.zeros(3)), length=4)[0]


@program
def with_swapped_carries(x):
    return lax.scan(lambda c, x: ((c[1], c[0] * x), c[0]), (x[0], 2.0), x)


@program
def with_elements_passed_on(x):
    return lax.scan(lambda c, x: (x, (c, x)), x[0], x)


@program
def with_outputs_that_do_not_depend(x):
    return lax.scan(lambda c, x: (c, (jnp.ones(2), c * 0 + 1, 3)), x[0], x)


@program
def with_closed_over_constants(x):
    big = jnp.outer(x, x)
    return lax.scan(lambda c, i: (big @ c, big[i]), x, jnp.arange(3))


@program
def with_random_keys(x):
    def step(key, x):
        key, used = jax.random.split(key)
        return key, x * jax.random.normal(used)

    return lax.scan(step, jax.random.key(0), x)[1]


@program
def nested(x):
    def outer(c, x):
        c, ys = lax.scan(lambda d, _: (jnp.sin(d) * x, d * c), c, length=2)
        return c, ys

    return lax.scan(outer, x[0], x)


@program
def with_a_branch_inside(x):
    def step(c, x):
        return lax.cond(x > 0, lambda c: c * x, lambda c: c + jnp.sin(x), c), c

    return lax.scan(step, x[0], x)


@program
def with_checkpoint(x):
    step = jax.checkpoint(lambda c, x: (jnp.sin(c * x), c**2))
    return lax.scan(step, x[0], x)


@program
def under_vmap(x):
    def run(a):
        return lax.scan(lambda c, b: (c * b, c + a), a, x)

    return jax.vmap(run)(x)


@program
def map_(x):
    return lax.map(lambda x: jnp.sin(x) * x, x)


@program
def map_in_batches(x):
    return lax.map(lambda x: jnp.sin(x) * x, x, batch_size=2)


@program
def associative_scan(x):
    return lax.associative_scan(jnp.multiply, x), lax.associative_scan(
        lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (x, x * x), reverse=True
    )


@program
def fori_with_static_bounds(x):
    return lax.fori_loop(1, 4, lambda i, c: c * x + i, x)


@program
def fori_over_an_array(x):
    return lax.fori_loop(0, 3, lambda i, c: c.at[i].multiply(c[i - 1]), x)


@program
def while_that_does_not_touch_the_input(x):
    n = lax.while_loop(lambda n: n < 5, lambda n: n + 2, 0)
    return x * n


@program
def reduce_in_python(x):
    return functools.reduce(lambda c, i: jnp.sin(c) * x[i], range(3), x[0])


def counts(x):
    step = lambda c: (c[0] + 1, c[1] * x)  # noqa: E731
    return lax.while_loop(lambda c: c[0] < 3, step, (0, x))[1]


def halts_by_value(x):
    return lax.while_loop(lambda c: c.sum() < 20, lambda c: c * 2 + x**2, x)


def halts_by_the_input(x):
    bound = 30 * (x.sum() + 1)
    return lax.while_loop(lambda c: c.sum() < bound, lambda c: c * c + 1, x)


def loops_of_several_lengths(x):
    def run(start):
        step = lambda c: (c[0] + 1, 1.5 * c[1] + 1 + start**2)  # noqa: E731
        return lax.while_loop(lambda c: c[1].sum() < 4, step, (0, start))[1]

    return jax.vmap(run)(x + 1)


def nested_whiles(x):
    def step(carry):
        n, c = carry
        return n + 1, lax.while_loop(lambda d: d.sum() < 9, lambda d: d * 3 + x**2, c)

    return lax.while_loop(lambda carry: carry[0] < 2, step, (0, x))[1]


def fori_with_computed_bounds(x):
    """No while loop where nothing is jitted: its bounds are known there."""
    stop = (x.sum() > 0).astype(int) + 2
    return lax.fori_loop(0, stop, lambda i, c: c * x, x)


WHILES = [
    counts,
    halts_by_value,
    halts_by_the_input,
    loops_of_several_lengths,
    nested_whiles,
    fori_with_computed_bounds,
]


@pytest.mark.parametrize("run", WHILES)
def test_while_in_forward_mode(run):
    same(lambda ad: ad.jvp(run, (X,), (jnp.ones(3),)))
    same(lambda ad: ad.jacfwd(run)(X))
    same(lambda ad: jax.jit(ad.jacfwd(ad.jacfwd(run)))(X))
    same(lambda ad: jax.vmap(ad.jacfwd(run))(jnp.stack([X, X + 1])))
    same(lambda ad: ad.linearize(run, X)[1](X))


@pytest.mark.parametrize("run", WHILES)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_while_in_reverse_mode_is_refused_where_that_is_asked_for(run, wrap):
    if wrap is not jax.jit and run is fori_with_computed_bounds:
        return same(lambda ad: ad.grad(lambda x: run(x).sum())(X))
    with jaxbp.options(strict_while=True):
        refused(lambda ad: wrap(ad.grad(lambda x: run(x).sum()))(X))
        with pytest.raises(ValueError, match="reverse-mode.*while_loop.*forward mode"):
            wrap(jaxbp.grad(lambda x: run(x).sum()))(X)


@pytest.mark.parametrize("run", WHILES)
def test_while_in_reverse_mode_is_as_in_forward_mode(run):
    np.testing.assert_allclose(jaxbp.jacrev(run)(X), jax.jacfwd(run)(X), 1e-12)


def test_forward_over_a_gradient_inside_a_while():
    def run(ad, x):
        gradient = ad.grad(lambda y: jnp.sum(y**4))
        body = lambda c: (c[0] + 1, c[1] - 0.1 * gradient(c[1]))  # noqa: E731
        return lax.while_loop(lambda c: c[0] < 3, body, (0, x))[1]

    same(lambda ad: ad.jvp(functools.partial(run, ad), (X,), (X,)))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_carry_that_follows_another_in_a_loop_without_a_step(reverse):
    def f(x):
        def step(carry, _):
            y = jnp.tanh(jnp.sin(carry[1]))
            return (y, y), carry[0]

        return jax.lax.scan(step, (x, x), None, length=0, reverse=reverse)[0]

    x = jnp.array([0.4, -0.6])
    _, pushforward = jax.jit(lambda x: jaxbp.linearize(f, x))(x)
    np.testing.assert_array_equal(pushforward(x)[1], x)
    np.testing.assert_array_equal(jaxbp.jacrev(f)(x)[0], jnp.eye(2))


def test_a_carry_is_made_of_invariants_alone():
    def f(x):
        def body(_, carry):
            y = 0.3 + 0.1 * jnp.sin(x)
            return jnp.clip(y, -0.5, 0.5)

        return jax.lax.fori_loop(0, 2, body, x)

    x, x_dot, y_bar = (jnp.array(v) for v in ([0.4, -0.7], [0.6, 0.1], [-0.4, 0.9]))

    def pulled(ad):
        pushed = lambda x: ad.jvp(f, (x,), (x_dot,))[1]  # noqa: E731
        return jax.jit(lambda x: ad.vjp(pushed, x)[1](y_bar))(x)

    np.testing.assert_allclose(pulled(jaxbp)[0], pulled(jax)[0])
