"""custom_vjp in all its options, in reverse mode."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_derivatives import SymbolicZero

import jaxbp
from tests.control.test_custom import X, reverse
from tests.transforms.standin import Programs, same, same_values

program = Programs()


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    same(program)


def doubly_reversed(fwd=None, bwd=None, **options):
    """x, y -> sin(x) y with a backward rule that is recognisable: twice as large."""

    @jax.custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    def forward(x, y):
        return f(x, y), (x, y, 2.0)

    def backward(residuals, z_bar):
        x, y, two = residuals
        return two * jnp.cos(x) * y * z_bar, two * jnp.sin(x) * z_bar

    f.defvjp(fwd or forward, bwd or backward, **options)
    return f


@program
def vjp_rule(ad):
    return reverse(ad, doubly_reversed(), X, 2 * X)


@program
def vjp_rule_with_one_active_argument(ad):
    f = doubly_reversed()
    return ad.grad(lambda x: f(x, X).sum())(X), ad.grad(lambda y: f(X, y).sum())(X)


@program
def vjp_rule_without_active_arguments(ad):
    f = doubly_reversed()
    return ad.grad(lambda x: (f(X, X) * x).sum())(X), ad.jvp(
        lambda x: f(X, X) * x, (X,), (X,)
    )


@program
def vjp_rule_under_vmap_and_scan(ad):
    f = doubly_reversed()

    def loss(x):
        ys = jax.vmap(f, (0, None))(x, x[0])
        c, zs = jax.lax.scan(lambda c, x: (f(c, x), c), x[0], x)
        return ys.sum() * c + zs.sum()

    return ad.grad(loss)(X), jax.vmap(ad.grad(lambda x: f(x, x)))(X)


@program
def vjp_rule_in_branches_and_loops(ad):
    f = doubly_reversed()

    def loss(x):
        y = jax.lax.cond(x[0] < 1, lambda x: f(x, x), jnp.sin, x)
        return jax.lax.fori_loop(0, 3, lambda i, y: f(y, x), y).sum()

    return ad.grad(loss)(X), jax.jit(ad.grad(loss))(X)


@program
def vjp_rule_with_nondiff_argnums(ad):
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0, 2))
    def f(g, x, n):
        return g(x) ** n

    def backward(g, n, residuals, y_bar):
        (x,) = residuals
        return (3 * g(x) ** (n - 1) * y_bar,)

    f.defvjp(lambda g, x, n: (f(g, x, n), (x,)), backward)
    return reverse(ad, lambda x: f(jnp.sin, x, 3), X)


@program
def vjp_rule_with_symbolic_zeros(ad):
    seen = []

    @jax.custom_vjp
    def f(x, y):
        return x * y, x

    def forward(x, y):
        seen.append((x.perturbed, y.perturbed))
        return (x.value * y.value, x.value), (x.value, y.value)

    def backward(residuals, bars):
        (x, y), (z_bar, w_bar) = residuals, bars
        seen.append([type(b) is SymbolicZero for b in bars])
        x_bar = 2 * z_bar * y
        if type(w_bar) is not SymbolicZero:
            x_bar = x_bar + w_bar
        return x_bar, z_bar * x

    f.defvjp(forward, backward, symbolic_zeros=True)
    return ad.grad(lambda x: f(x, X)[0].sum())(X), ad.vjp(f, X, X)[1]((X, X)), seen


@program
def vjp_rule_with_optimized_remat(ad):
    f = doubly_reversed(optimize_remat=True)

    def loss(x):
        return jnp.sum(f(x, 2 * x) ** 2)

    wrapped = loss, jax.jit(loss), jax.checkpoint(loss), jax.checkpoint(jax.jit(loss))
    return [ad.grad(g)(X) for g in wrapped]


def test_second_order_of_optimized_remat():
    """JAX refuses it."""
    plain, optimized = doubly_reversed(), doubly_reversed(optimize_remat=True)

    def gradient(f, x):
        return jaxbp.grad(lambda x: jnp.sum(f(x, 2 * x) ** 2))(x)

    for ad in (jaxbp.jacfwd, jaxbp.jacrev):
        came = ad(functools.partial(gradient, optimized))(X)
        same_values(came, ad(functools.partial(gradient, plain))(X))


@program
def vjp_rule_that_gives_none(ad):
    f = doubly_reversed(bwd=lambda residuals, z_bar: (None, 3 * z_bar))
    return reverse(ad, f, X, 2 * X)


@program
def vjp_rule_of_pytrees(ad):
    @jax.custom_vjp
    def f(p, n):
        return [p["a"] * n, p["b"][0] ** 2], n + 1

    def backward(residuals, bars):
        p, n = residuals
        (a_bar, b_bar), _ = bars
        return {"a": a_bar * 5, "b": (b_bar * p["b"][0], None)}, None

    f.defvjp(lambda p, n: (f(p, n), (p, n)), backward)
    p = {"a": X, "b": (X, None)}
    return ad.grad(lambda p: sum(y.sum() for y in f(p, 3)[0]))(p)


@program
def vjp_rule_with_none_for_a_pytree(ad):
    @jax.custom_vjp
    def f(p, x):
        return p["a"] * x

    f.defvjp(lambda p, x: (f(p, x), p), lambda p, y_bar: (None, y_bar * p["a"] * 2))
    return ad.grad(lambda p, x: f(p, x).sum(), (0, 1))({"a": X, "b": X}, X)


@program
def vjp_rule_with_integer_argument_and_residuals(ad):
    @jax.custom_vjp
    def f(x, n):
        return x * n

    def backward(residuals, y_bar):
        n, text = residuals
        zero = np.zeros(np.shape(n), jax.dtypes.float0)
        return 2 * n * y_bar, zero

    f.defvjp(lambda x, n: (x * n, (n, None)), backward)
    return ad.grad(f)(2.0, 3), ad.vjp(f, 2.0, 3)[1](1.0)


@program
def vjp_rule_with_residuals_by_closure(ad):
    def outer(x):
        @jax.custom_vjp
        def f(y):
            return x * y

        f.defvjp(lambda y: (x * y, None), lambda _, y_bar: (3 * y_bar,))
        return f(2.0) * x

    return ad.grad(lambda x: jax.lax.stop_gradient(outer(1.0)) * x)(3.0)


@program
def vjp_rule_that_is_not_linear(ad):
    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, bar: (jnp.clip(bar, -1.0, 1.0),))
    return ad.grad(lambda x: jnp.sum(clipped(x) ** 2))(jnp.array([0.1, 9.0]))


@program
def vjp_rule_with_control_flow(ad):
    @jax.custom_vjp
    def f(x):
        return jnp.abs(x)

    f.defvjp(lambda x: (abs(x), x > 0), lambda up, b: (b if up else -2 * b,))
    return ad.grad(f)(2.0), ad.grad(f)(-2.0)


@program
def vjp_rules_within_vjp_rules(ad):
    inner = doubly_reversed()

    @jax.custom_vjp
    def f(x):
        return inner(x, x)

    def forward(x):
        y, pullback = ad.vjp(lambda x: inner(x, x), x)
        return y, pullback

    f.defvjp(forward, lambda pullback, y_bar: (3 * pullback(y_bar)[0],))
    return reverse(ad, f, X)


@program
def vjp_rule_by_keywords(ad):
    f = doubly_reversed()
    return ad.grad(lambda x: f(y=x, x=2 * x).sum())(X)


@program
def fixed_point(ad):
    @jax.custom_vjp
    def solve(a, x):
        return jax.lax.while_loop(
            lambda pair: jnp.abs(pair[0] - pair[1]) > 1e-14,
            lambda pair: (pair[1], 0.5 * (pair[1] + a / pair[1])),
            (x, x + 1),
        )[1]

    def backward(residuals, x_bar):
        a, x = residuals
        step = lambda a, x: 0.5 * (x + a / x)  # noqa: E731
        _, pullback = ad.vjp(step, a, x)
        u = x_bar / (1 - ad.grad(step, 1)(a, x))
        return pullback(u)[0], jnp.zeros_like(x)

    def forward(a, x):
        y = solve(a, x)
        return y, (a, y)

    solve.defvjp(forward, backward)
    return ad.grad(solve)(2.0, 1.0), ad.grad(ad.grad(solve))(2.0, 1.0)


@program
def wrong_vjp_rules(ad):
    errors = []
    for backward in (
        lambda r, b: b,
        lambda r, b: (b,),
        lambda r, b: (b, b, b),
        lambda r, b: (b[:1], b),
        lambda r, b: (b.astype("float32"), b),
        lambda r, b: (b, {"a": b}),
    ):
        f = doubly_reversed(bwd=backward)
        try:
            found = ad.grad(lambda x, f=f: f(x, x).sum())(X)
        except (TypeError, ValueError) as error:
            found = type(error).__mro__[-3].__name__
        errors.append(found)
    return errors


@program
def wrong_forward_rules(ad):
    errors = []
    for forward in (lambda x, y: x, lambda x, y: ((x, y), None), lambda x: (x, None)):
        f = doubly_reversed(fwd=forward)
        try:
            ad.vjp(f, X, X)
        except TypeError as error:
            errors.append(str(error)[:40])
    return errors


@program
def gradient_reversal(ad):
    @jax.custom_gradient
    def f(x):
        return x**2, lambda bar: -bar * x

    @jax.custom_gradient
    def g(x, y):
        z = x * y
        return (z, x), lambda bars: (bars[0] * y * 2, bars[1] + z)

    return reverse(ad, f, X), reverse(ad, g, X, X)


@program
def closure_converted(ad):
    def loss(x, w):
        def inner(y):
            return jnp.sin(x) * y * w

        converted, consts = jax.closure_convert(inner, x)
        return jnp.sum(converted(x * 2, *consts)), len(consts)

    return ad.grad(loss, (0, 1), has_aux=True)(X, 2 * X)


@program
def closure_converted_in_a_vjp_rule(ad):
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def apply(f, x, *consts):
        return f(x, *consts)

    def backward(f, residuals, y_bar):
        _, pullback = ad.vjp(f, *residuals)
        return tuple(2 * x_bar for x_bar in pullback(y_bar))

    apply.defvjp(lambda f, x, *c: (f(x, *c), (x, *c)), backward)

    def loss(w):
        converted, consts = jax.closure_convert(lambda x: jnp.sin(x * w), 2.0)
        return apply(converted, 2.0, *consts)

    return ad.grad(loss)(3.0), ad.grad(ad.grad(loss))(3.0)


# Newer options --------------------------------------------------------------------


@program
def vjp_rule_with_logs(ad):
    if not hasattr(jax.custom_vjp, "defvjp_with_logs"):
        return None
    f = jax.custom_vjp(lambda x: x**2)
    f.defvjp_with_logs(lambda x: (x**2, x), lambda x, b: ((5 * x * b,), {"bar": b}))
    return reverse(ad, f, X)


@program
def vjp_rule_with_accumulators(ad):
    if not hasattr(jax.custom_vjp, "defvjp_with_accums"):
        return None
    f = jax.custom_vjp(lambda x, y: x**2 * y)

    def backward(x, bar, x_accumulator, y_accumulator):
        x_accumulator.accum(5 * x * bar)
        x_accumulator.accum(x * bar)

    f.defvjp_with_accums(lambda x, y: (f(x, y), x), backward)
    return ad.grad(lambda x, y: f(x, y).sum(), (0, 1))(X, X)
