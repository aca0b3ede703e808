"""jvp, vjp and linearize stand in for JAX's: arguments, types, aux, pytrees."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.dtypes import float0

from tests.transforms.standin import Parameters, Programs, same

program = Programs()
Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    same(program)


# Arguments and results -------------------------------------------------------


@program
def python_scalars(ad):
    def f(x, y):
        return x * y + 2, {"s": jnp.sin(x), "one": 1.0}

    y, pullback = ad.vjp(f, 1.5, 2)
    z, pushforward = ad.linearize(f, 1.5, 2.0)
    return (
        ad.jvp(f, (1.5, 2.0), (1.0, 0.5)),
        (y, pullback((1.0, {"s": 2.0, "one": 1.0}))),
        (z, pushforward(1.0, 2.0)),
    )


@program
def numpy_arrays(ad):
    x = np.arange(3.0, dtype=np.float32)
    y, pullback = ad.vjp(lambda x: x * x, x)
    return y, pullback(x), ad.jvp(lambda x: x * x, (x,), (np.ones_like(x),))


@program
def numpy_scalars(ad):
    x = np.float32(2.0)
    y, pullback = ad.vjp(lambda x: x**3, x)
    return y, pullback(np.float32(1.0)), ad.jvp(lambda x: x**3, (x,), (x,))


@program
def lists_of_primals(ad):
    return ad.jvp(lambda x, y: [x * y, (x,)], [1.0, 2.0], [3.0, 4.0])


@program
def pytrees(ad):
    def f(p, none, point):
        return Point(p["a"] * point.x, [p["b"], None, point.y * p["a"]])

    args = (
        {"a": jnp.ones(2), "b": jnp.zeros((1, 2))},
        None,
        Point(jnp.arange(2.0), jnp.ones(2)),
    )
    y, pullback = ad.vjp(f, *args)
    _, pushforward = ad.linearize(f, *args)
    return y, pullback(y), pushforward(*args), ad.jvp(f, args, args)


@program
def registered_dataclass(ad):
    def f(p, x):
        return Parameters(p.w @ x, p.b * 2, p.name + "!")

    p = Parameters(jnp.arange(4.0).reshape(2, 2), jnp.ones(2), "layer")
    y, pullback = ad.vjp(f, p, jnp.ones(2))
    return y, pullback(y), ad.jvp(f, (p, jnp.ones(2)), (p, jnp.ones(2)))


@program
def no_arguments(ad):
    y, pullback = ad.vjp(lambda: jnp.ones(2))
    return y, pullback(jnp.ones(2)), ad.jvp(lambda: 1.0, (), ())


@program
def no_results(ad):
    y, pullback = ad.vjp(lambda x: (), 1.0)
    return y, pullback(()), ad.jvp(lambda x: None, (1.0,), (1.0,))


@program
def constant_results(ad):
    y, pullback = ad.vjp(lambda x: (3.0, jnp.arange(2), "x" == "x"), jnp.ones(2))
    bar = (1.0, np.zeros(2, float0), np.zeros((), float0))
    return y, pullback(bar), ad.linearize(lambda x: 2, jnp.ones(2))[1](jnp.ones(2))


@program
def results_are_arguments(ad):
    y, pullback = ad.vjp(lambda x, y: (x, x, y), 1.0, jnp.ones(2))
    return y, pullback((1.0, 2.0, jnp.ones(2)))


@program
def callable_objects(ad):
    class Scale:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return self.by * x

        def method(self, x):
            return x / self.by

    scale = Scale(jnp.arange(3.0) + 1)
    partial = functools.partial(jnp.power, 2.0)
    return [
        ad.vjp(f, jnp.ones(3))[1](jnp.ones(3))
        for f in (scale, scale.method, partial, jax.jit(scale), jnp.sin)
    ]


@program
def empty_arrays(ad):
    x = jnp.zeros((0, 3))
    y, pullback = ad.vjp(lambda x: (x.sum(), jnp.sin(x) @ jnp.ones((3, 2))), x)
    return y, pullback((1.0, jnp.zeros((0, 2)))), ad.jvp(jnp.sum, (x,), (x,))


# Dtypes ----------------------------------------------------------------------


@program
def integers_have_float0_tangents(ad):
    def f(x, n):
        return x * n.astype(x.dtype), n + 1, n > 1

    n = jnp.arange(3)
    zero = np.zeros(3, float0)
    y, pullback = ad.vjp(f, jnp.ones(3), n)
    _, pushforward = ad.linearize(f, jnp.ones(3), n)
    return (
        y,
        pullback((jnp.ones(3), zero, zero)),
        pushforward(jnp.ones(3), zero),
        ad.jvp(f, (jnp.ones(3), n), (jnp.ones(3), zero)),
    )


@program
def float0_cotangent_may_have_a_shape_only(ad):
    _, pullback = ad.vjp(lambda n, x: (n * 2, x), 3, 2.0)
    return pullback((np.zeros((), float0), 1.0))


@program
def python_integers_and_booleans(ad):
    y, pullback = ad.vjp(lambda n, b, x: jnp.where(b, x, x * n), 3, True, 2.0)
    return y, pullback(1.0)


@program
def keys(ad):
    def f(key, x):
        return x * jax.random.normal(key, x.shape), jax.random.fold_in(key, 1)

    y, pullback = ad.vjp(f, jax.random.key(0), jnp.ones(3))
    zero = np.zeros((), float0)
    _, pushforward = ad.linearize(f, jax.random.key(0), jnp.ones(3))
    tangents = zero, jnp.ones(3)
    return (
        y,
        pullback((jnp.ones(3), zero)),
        pushforward(*tangents),
        ad.jvp(f, (jax.random.key(0), jnp.ones(3)), tangents),
    )


@program
def raw_keys(ad):
    def f(key, x):
        return x * jax.random.uniform(key, x.shape)

    _, pullback = ad.vjp(f, jax.random.PRNGKey(0), jnp.ones(3))
    return pullback(jnp.ones(3))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_narrow_dtypes(dtype):
    def narrow(ad):
        def f(x, w):
            return jnp.tanh(x @ w) * 2, x.sum()

        x = jnp.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3)
        w = jnp.linspace(0, 1, 6, dtype=dtype).reshape(3, 2)
        y, pullback = ad.vjp(f, x, w)
        return y, pullback(y), ad.jvp(f, (x, w), (x, w))

    same(narrow)


@pytest.mark.parametrize("x64", [False, True])
def test_without_and_with_64_bits(x64):
    def mixed(ad):
        with jax.enable_x64(x64), jax.numpy_dtype_promotion("standard"):
            x = np.linspace(0, 1, 3)  # float64 for numpy

            def f(x, n, s):
                return jnp.cumsum(x) * n + s, jnp.float32(1) * x.sum(), n * 2, s * 1.5

            y, pullback = ad.vjp(f, x, np.arange(3), 2.0)
            bar = jax.tree.map(_cotangent_like, y)
            jvp = ad.jvp(lambda x: x * 2 + 1, (jnp.ones(3),), (jnp.ones(3),))
            return y, pullback(bar), jvp, ad.grad(lambda s: s**2)(3.0)

    same(mixed)


def _cotangent_like(y):
    inexact = jnp.issubdtype(y.dtype, jnp.inexact)
    return jnp.ones_like(y) if inexact else np.zeros(y.shape, float0)


@program
def weak_types(ad):
    def f(x, s):
        return s, s * 2, x * s, jnp.float32(2) * s, s + jnp.ones((), jnp.float32)

    x = jnp.ones(2, jnp.bfloat16)
    y, pullback = ad.vjp(f, x, 3.0)
    return y, pullback(y), ad.jvp(f, (x, 3.0), (x, 1.0))


@program
def dtypes_change_on_the_way(ad):
    def f(x):
        return (x.astype(jnp.float32) ** 2).astype(jnp.bfloat16), x.astype(int)

    y, pullback = ad.vjp(f, jnp.arange(3.0))
    return y, pullback((y[0], np.zeros(3, float0)))


@program
def complex_products(ad):
    def f(z):
        return z**2 * jnp.conj(z), jnp.abs(z), z.real + z.imag**2

    z = jnp.array([1 + 2j, -0.5 + 1j])
    y, pullback = ad.vjp(f, z)
    return y, pullback(y), ad.jvp(f, (z,), (z * 1j,))


# Aux -------------------------------------------------------------------------


@program
def aux_of_every_kind(ad):
    def f(x):
        y = jnp.sin(x)
        return y, {"traced": y * 2, "text": "a", "none": None, "type": int, "n": 3}

    y, pullback, aux = ad.vjp(f, 1.0, has_aux=True)
    _, pushforward, more = ad.linearize(f, 1.0, has_aux=True)
    return (
        y,
        pullback(1.0),
        aux,
        pushforward(1.0),
        more,
        ad.jvp(f, (1.0,), (1.0,), has_aux=True),
    )


@program
def aux_in_a_list(ad):
    return ad.jvp(lambda x: [x, x + 1], (1.0,), (1.0,), has_aux=True)


@program
def aux_is_the_argument(ad):
    x = jnp.ones(2)
    y, _, aux = ad.vjp(lambda x: (x.sum(), x), x, has_aux=True)
    return y, aux


# Linear functions ------------------------------------------------------------


@program
def pullback_is_used_again(ad):
    _, pullback = ad.vjp(lambda x: jnp.sin(x) * x, jnp.arange(3.0))
    return pullback(jnp.ones(3)), pullback(jnp.arange(3.0))


@program
def pullback_under_vmap_and_jit(ad):
    _, pullback = ad.vjp(lambda x: jnp.sin(x) * x, jnp.arange(3.0))
    _, pushforward = ad.linearize(lambda x: jnp.sin(x) * x, jnp.arange(3.0))
    return [jax.vmap(jax.jit(f))(jnp.eye(3)) for f in (pullback, pushforward)]


@program
def pullback_crosses_jit(ad):
    @jax.jit
    def forward(x):
        return ad.vjp(lambda x: jnp.sin(x) * x, x)

    @jax.jit
    def backward(pullback, y_bar):
        return pullback(y_bar)

    y, pullback = forward(jnp.arange(3.0))
    return y, backward(pullback, jnp.ones(3)), pullback(y)


@program
def pushforward_crosses_jit(ad):
    y, push = jax.jit(lambda x: ad.linearize(lambda x: x**2 * 3.0, x))(2.0)
    return y, push(1.0), jax.jit(lambda push, t: push(t))(push, 2.0)


@program
def pullbacks_are_mapped(ad):
    y, pullbacks = jax.vmap(lambda x: ad.vjp(jnp.sin, x))(jnp.arange(3.0))
    return y, jax.vmap(lambda pullback: pullback(1.0))(pullbacks)


@program
def pullback_is_carried_by_a_scan(ad):
    _, pullback = ad.vjp(lambda x: jnp.tanh(x) * 2, jnp.arange(3.0))

    def step(carry, _):
        pullback, x_bar = carry
        (x_bar,) = pullback(x_bar)
        return (pullback, x_bar), x_bar.sum()

    (_, x_bar), sums = jax.lax.scan(step, (pullback, jnp.ones(3)), length=3)
    return x_bar, sums


@program
def pullbacks_are_stacked_by_a_scan(ad):
    def step(carry, x):
        y, pullback = ad.vjp(lambda c, x: jnp.sin(c) * x, carry, x)
        return y, pullback

    _, pullbacks = jax.lax.scan(step, 1.0, jnp.arange(1.0, 4.0))

    def back(y_bar, pullback):
        c_bar, x_bar = pullback(y_bar)
        return c_bar, x_bar

    return jax.lax.scan(back, 1.0, pullbacks, reverse=True)


@program
def pullback_with_python_scalar_residuals(ad):
    _, pullback = ad.vjp(lambda x: 3.0 * x * 2, 1.5)
    return pullback(1.0), jax.tree.map(lambda x: x, pullback)(1.0)


@program
def pullback_is_differentiated(ad):
    _, pullback = ad.vjp(lambda x: jnp.sin(x) * x, jnp.arange(3.0))
    z, again = ad.vjp(lambda y_bar: pullback(y_bar)[0], jnp.ones(3))
    return z, again(jnp.ones(3)), ad.jvp(pullback, (jnp.ones(3),), (jnp.ones(3),))


@program
def pullback_is_an_argument_of_grad(ad):
    _, pullback = ad.vjp(lambda x: jnp.sin(x) * x, jnp.arange(3.0))

    def loss(y_bar, pullback):
        return jnp.sum(pullback(y_bar)[0] ** 2)

    return ad.grad(loss)(jnp.ones(3), pullback)


@program
def residuals_are_differentiated(ad):
    f = lambda x: ad.vjp(lambda x: jnp.sin(x) ** 2, x)[1](1.0)[0]  # noqa: E731
    return ad.jvp(f, (1.5,), (1.0,)), ad.vjp(f, 1.5)[1](1.0)


@program
def inputs_without_tangents(ad):
    if not jax.__version_info__ >= (0, 11):
        return None
    f = lambda p, x: {"u": p["a"] * 2, "v": jnp.sin(x) * p["b"]}  # noqa: E731
    args = {"a": 1.0, "b": 2.0}, 3.0
    y, pullback = ad.vjp(f, *args, in_nzs=({"a": False, "b": True}, False))
    _, push = ad.linearize(f, *args, in_nzs=((True, False), False))
    flags = jax.tree.leaves((pullback.out_nzs, push.out_nzs))
    return y, flags, pullback({"u": 1.0, "v": 1.0}), push(*args)
