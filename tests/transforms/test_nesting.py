"""Any order, nested with JAX's transformations and with itself, in either order."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from tests.transforms.standin import Programs, same, same_values

X = jnp.array([0.3, 1.2, -0.7])


def f(x):
    return jnp.sum(jnp.sin(x) * jnp.exp(x[::-1])) * x[0]


def by_jvp(ad, f):
    """The gradient's sum, by forward mode."""
    return lambda x: ad.jvp(f, (x,), (jnp.ones_like(x),))[1]


def by_vjp(ad, f):
    return lambda x: ad.vjp(f, x)[1](jnp.ones(()))[0].sum()


def by_grad(ad, f):
    return lambda x: ad.grad(f)(x).sum()


def by_linearize(ad, f):
    return lambda x: ad.linearize(f, x)[1](jnp.ones_like(x))


MODES = [by_jvp, by_vjp, by_grad, by_linearize]
PAIRS = [(jaxbp, jax), (jax, jaxbp), (jaxbp, jaxbp)]
WRAPS = [
    lambda f: f,
    jax.jit,
    jax.checkpoint,
    lambda f: jax.jit(lambda x: jax.vmap(f)(jnp.stack([x, 2 * x])).sum()),
    lambda f: lambda x: jax.lax.cond(x[0] > 0, f, jnp.sum, x),
]
WRAP_NAMES = ["plain", "jit", "checkpoint", "vmap", "cond"]


@pytest.mark.parametrize("wrap", WRAPS, ids=WRAP_NAMES)
@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_second_order(inner, outer, wrap):
    place = MODES.index(inner) + MODES.index(outer) + WRAPS.index(wrap)
    first, second = PAIRS[place % len(PAIRS)]  # every pair meets every mode and wrap
    came = outer(second, wrap(inner(first, wrap(f))))(X)
    np.testing.assert_allclose(came, _expected(wrap), rtol=1e-12)


@functools.cache
def _expected(wrap):
    return by_grad(jax, wrap(by_grad(jax, wrap(f))))(X)


@pytest.mark.parametrize("modes", list(itertools.product(MODES[:3], repeat=3)))
def test_third_order_with_jax_in_between(modes):
    def derivative(modules):
        g = lambda x: jnp.sin(x) * x**3  # noqa: E731
        for mode, ad in zip(modes, modules, strict=True):
            g = mode(ad, g)
        return g(1.3)

    x = 1.3  # the third derivative of x^3 sin x
    expected = (6 - 9 * x**2) * np.sin(x) + (18 * x - x**3) * np.cos(x)
    orders = [jaxbp] * 3, [jaxbp, jax, jaxbp], [jax, jaxbp, jax]
    modules = orders[sum(map(MODES.index, modes)) % 3]
    np.testing.assert_allclose(derivative(modules), expected, rtol=1e-12)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_high_order(wrap):
    def derivative(ad, order):
        g = lambda x: jnp.exp(2 * x)  # noqa: E731
        for _ in range(order):
            g = wrap(ad.grad(g))
        return g(0.1)

    np.testing.assert_allclose(derivative(jaxbp, 6), 2**6 * np.exp(0.2), rtol=1e-12)


# Perturbation confusion -----------------------------------------------------------


program = Programs()


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    same(program)


@program
def siskind_pearlmutter(ad):
    """d/dx x (d/dy (x + y)) at 1 is 1, not 2."""
    inner = lambda x: ad.grad(lambda y: x + y)(1.0)  # noqa: E731
    return (
        ad.grad(lambda x: x * inner(x))(1.0),
        ad.jvp(lambda x: x * inner(x), (1.0,), (1.0,)),
        ad.grad(lambda x: x * ad.jvp(lambda y: x * y, (2.0,), (1.0,))[1])(3.0),
        ad.jvp(
            lambda x: x * ad.jvp(lambda y: x * y * y, (x,), (1.0,))[1], (3.0,), (1.0,)
        ),
    )


@program
def closed_over_tracers(ad):
    def outer(x):
        def inner(y):
            return jnp.sin(x) * y + x * x

        return (
            ad.grad(inner)(x)
            + jax.jit(inner)(2.0)
            + jax.jit(ad.grad(lambda y: inner(y) * x))(3.0)
            + jax.vmap(lambda y: inner(y))(jnp.arange(2.0)).sum()
            + jax.lax.scan(lambda c, _: (inner(c), None), x, length=2)[0]
            + jax.lax.cond(x > 0, inner, lambda y: y * x, x)
            + jax.checkpoint(inner)(x)
            + ad.jvp(inner, (x,), (x,))[1]
            + ad.vjp(inner, 1.0)[1](x)[0]
            + ad.linearize(inner, x)[1](x)
        )

    return (
        ad.grad(outer)(0.7),
        ad.grad(ad.grad(outer))(0.7),
        jax.jit(ad.grad(outer))(0.7),
    )


@program
def closed_over_in_a_while_loop(ad):
    def f(x):
        return jax.lax.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, x)
        )[1]

    return ad.jvp(f, (2.0,), (1.0,)), ad.jacfwd(ad.jacfwd(f))(2.0)


@program
def tangent_depends_on_the_point(ad):
    def f(x):
        return ad.jvp(jnp.sin, (x,), (x * x,))[1]

    return ad.grad(f)(0.5), ad.jvp(f, (0.5,), (1.0,)), ad.grad(ad.grad(f))(0.5)


@program
def cotangent_depends_on_the_point(ad):
    def f(x):
        y, pullback = ad.vjp(lambda x: jnp.sin(x) * x, x)
        return pullback(y * x)[0]

    return ad.grad(f)(0.5), ad.jvp(f, (0.5,), (1.0,)), ad.grad(ad.grad(f))(0.5)


@program
def pullback_of_the_outside_is_used_inside(ad):
    def f(x):
        _, pullback = ad.vjp(lambda y: y * y * x, x)
        return ad.grad(lambda z: pullback(z * x)[0] * z)(2.0)

    return ad.grad(f)(3.0), jax.jit(ad.grad(f))(3.0)


@program
def inner_value_flows_out_as_aux(ad):
    def f(x):
        _, aux = ad.grad(lambda y: (y * x, (y * x, x)), has_aux=True)(x)
        return aux[0] * aux[1]

    return ad.value_and_grad(f)(2.0)


@program
def only_the_outside_is_active(ad):
    def f(x, y):
        return ad.grad(lambda z: jnp.sum(x * 2) + z * y)(1.0) * x

    return ad.grad(f)(2.0, 3.0), ad.grad(f, 1)(2.0, 3.0)


@program
def integers_inside(ad):
    def f(x, n):
        return ad.vjp(lambda x, n: x ** n.astype(x.dtype), x, n)[1](x)[0]

    return ad.grad(f)(jnp.float64(2.0), jnp.arange(3)[2])


# jit, vmap ---------------------------------------------------------------------------


@program
def static_arguments(ad):
    @functools.partial(jax.jit, static_argnums=(1,), static_argnames=("mode",))
    def f(x, n, *, mode="a"):
        return x**n if mode == "a" else x * n

    return (
        ad.grad(lambda x: f(x, 3))(2.0),
        ad.grad(f)(2.0, 3, mode="b"),
        jax.jit(ad.grad(f), static_argnums=1)(2.0, 3),
        ad.jvp(lambda x: f(x, 2, mode="a"), (2.0,), (1.0,)),
    )


@program
def donated_and_inlined(ad):
    f = jax.jit(lambda x, y: (x * y).sum(), inline=True)
    return ad.grad(f, (0, 1))(X, X), ad.grad(jax.jit(jax.jit(f)))(X, X)


@program
def keyword_arguments_of_jit(ad):
    f = jax.jit(lambda x, *, p: jnp.sum(x * p["w"]))
    return ad.grad(lambda w: f(X, p={"w": w}))(X), ad.grad(f)(X, p={"w": X})


@program
def vmap_in_and_out_axes(ad):
    def loss(x, y):
        m = jax.vmap(lambda a, b: jnp.outer(a, b), (1, None), 2)(x, y)
        n = jax.vmap(jax.vmap(jnp.multiply, (0, None)), (None, 0))(x[0], y)
        return jnp.sum(m**2) + jnp.sum(n**3)

    x = jnp.arange(6.0).reshape(2, 3)
    return ad.grad(loss, (0, 1))(x, X), jax.vmap(ad.grad(loss), (None, 0))(x, X[None])


@program
def vmap_with_axis_name(ad):
    def step(x):
        return jnp.sin(x) * jax.lax.psum(x**2, "i") + jax.lax.pmean(x, "i")

    def loss(x):
        return jax.vmap(step, axis_name="i")(x).sum()

    inside = jax.vmap(ad.grad(step), axis_name="i")(X)
    return ad.grad(loss)(X), ad.jvp(loss, (X,), (X,)), inside


@program
def vmap_of_per_example_gradients(ad):
    def loss(w, x):
        return jnp.tanh(w @ x) ** 2

    xs = jnp.arange(6.0).reshape(2, 3)
    per_example = jax.vmap(ad.grad(loss), (None, 0))
    return per_example(X, xs), ad.jacfwd(lambda w: per_example(w, xs))(X)


@program
def hessian_vector_products_four_ways(ad):
    v = jnp.arange(3.0)
    return (
        ad.jvp(ad.grad(f), (X,), (v,))[1],
        ad.grad(lambda x: ad.grad(f)(x) @ v)(X),
        ad.grad(lambda x: ad.jvp(f, (x,), (v,))[1])(X),
        ad.vjp(ad.grad(f), X)[1](v)[0],
        ad.linearize(ad.grad(f), X)[1](v),
    )


@program
def meta_gradient(ad):
    """The gradient of an unrolled and of a scanned training by its learning rate."""

    def train(rate, steps):
        def step(w, _):
            return w - rate * ad.grad(f)(w), f(w)

        w, losses = jax.lax.scan(step, X, length=steps)
        for _ in range(2):
            w, _ = step(w, None)
        return f(w) + losses.sum()

    return ad.grad(train)(0.1, 3), ad.jvp(lambda r: train(r, 2), (0.1,), (1.0,))


@program
def eval_shape_and_make_jaxpr(ad):
    shape = jax.eval_shape(ad.grad(f), X)
    jaxpr = jax.make_jaxpr(ad.grad(f))(X)
    return shape.shape, shape.dtype, len(jaxpr.in_avals), jaxpr.out_avals[0].shape


@program
def aot_and_donation(ad):
    compiled = jax.jit(ad.value_and_grad(f)).lower(X).compile()
    return compiled(X)


@program
def debug_nans_off_and_disabled_jit(ad):
    with jax.disable_jit():
        return ad.grad(jax.jit(f))(X), ad.jvp(jax.jit(f), (X,), (X,))


@program
def stop_gradient(ad):
    def g(x):
        return jnp.sum(jax.lax.stop_gradient(x) * x) + jax.lax.stop_gradient(f(x))

    return ad.grad(g)(X), ad.grad(lambda x: ad.grad(g)(x).sum())(X)


@program
def callbacks(ad):
    seen = []

    def g(x):
        jax.debug.callback(lambda v: seen.append(float(v)), x[0])
        y = jax.pure_callback(
            lambda v: np.asarray(v) * 2, jax.typeof(X), jax.lax.stop_gradient(x)
        )
        return jnp.sum(y * x)

    found = ad.grad(g)(X), jax.jit(ad.grad(g))(X)
    jax.effects_barrier()
    return found, seen


def test_same_trace_is_not_entered_by_values_of_another():
    """Two gradients at once, each with the other's tracer closed over."""

    def outer(x):
        def inner(y):
            z = x * y
            return z * jaxbp.grad(lambda w: w * z * x)(y)

        return jax.grad(inner)(x)

    def plain(x):
        return jax.grad(lambda y: (x * y) * (x * y) * x)(x)

    expected = jax.grad(plain)(1.7)
    same_values(jaxbp.grad(outer)(1.7), jax.grad(outer)(1.7))
    np.testing.assert_allclose(plain(1.7), outer(1.7), rtol=1e-12)
    np.testing.assert_allclose(expected, jaxbp.grad(outer)(1.7), rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_a_loop_that_holds_its_argument_leaks_none(order):
    """The plan of a tape is static, and what the loop reads is another's tracer."""

    def times(x):
        return jax.lax.scan(lambda c, _: (c * x, None), x, None, length=3)[0].sum()

    x = jnp.arange(1.0, 4)
    with jax.checking_leaks():
        if order == 1:
            found = jax.jit(jaxbp.grad(times))(x)
        else:
            found = jax.jit(lambda x: jnp.diag(jaxbp.hessian(times)(x)))(x)
    np.testing.assert_allclose(found, 4 * x**3 if order == 1 else 12 * x**2)


def test_no_leaks_by_jax_s_own_check():
    with jax.checking_leaks():
        jaxbp.grad(f)(X)
        jax.jit(jaxbp.grad(f))(X)
        jaxbp.jvp(jax.jit(f), (X,), (X,))
        jax.vmap(jaxbp.grad(f))(X[None])
