"""Forward mode through custom_vjp, and rules that call their own functions."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import InvalidArgument, NonlinearTangent, NoTranspose
from tests.modes.standin import same, same_values
from tests.modes.test_custom import X
from tests.modes.test_custom_vjp import doubly_reversed


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint])
def test_pushforward_is_the_transposed_pullback(wrap):
    f = wrap(doubly_reversed())
    _, y_dot = jaxbp.jvp(f, (X, 2 * X), (X, jnp.ones(2)))
    expected = 2 * (jnp.cos(X) * 2 * X * X + jnp.sin(X))
    same_values(y_dot, expected)
    same_values(jax.jit(jaxbp.linearize(f, X, 2 * X)[1])(X, jnp.ones(2)), expected)
    columns, rows = jaxbp.jacfwd(f)(X, X), jaxbp.jacrev(f)(X, X)
    same_values(columns, rows)


def test_forward_over_reverse_of_custom_vjp():
    f = doubly_reversed()

    def loss(x):
        return jnp.sum(f(x, x) ** 2)

    same_values(jaxbp.hessian(loss)(X), jax.jacrev(jax.jacrev(loss))(X))
    same_values(
        jaxbp.jacfwd(jaxbp.jacfwd(loss))(X), jaxbp.jacfwd(jaxbp.jacrev(loss))(X)
    )


def test_forward_mode_with_zeros_and_none():
    f = doubly_reversed(bwd=lambda residuals, z_bar: (None, 3 * z_bar))
    same_values(jaxbp.jvp(f, (X, X), (X, X))[1], 3 * X)
    same_values(jaxbp.jvp(lambda x: f(x, X), (X,), (X,))[1], 0 * X)


def test_forward_mode_where_the_rule_is_not_linear():
    f = jax.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, bar: (jnp.clip(bar, -1.0, 1.0),))
    text = "custom_vjp function `.*test_custom_forward.py:.*reverse mode.*custom_jvp"
    with pytest.raises(NonlinearTangent, match=text):
        jaxbp.jvp(f, (1.0,), (1.0,))


def test_a_branch_chosen_by_the_cotangent_is_not_linear():
    f = jax.custom_vjp(lambda x: x)
    clipped = lambda bar: lax.cond(bar > 1, lambda b: 1.0, lambda b: b, bar)  # noqa: E731
    f.defvjp(lambda x: (x, None), lambda _, bar: (clipped(bar),))
    with pytest.raises(NonlinearTangent, match="chooses its branch"):
        jaxbp.jvp(f, (1.0,), (3.0,))


@jax.custom_vjp
def fixed_point(a):
    """x = tanh(a x + 1/2)."""
    return iterated(lambda x: jnp.tanh(a * x + 0.5))


def iterated(step):
    """A number that a contraction leaves as it is."""
    return lax.while_loop(lambda x: abs(step(x) - x) > 1e-14, step, 0.0)


def fixed_point_bwd(residuals, x_bar):
    a, x = residuals
    slope = 1 - x * x
    return (slope * x * iterated(lambda u: x_bar + a * slope * u),)


def fixed_point_fwd(a):
    x = fixed_point(a)
    return x, (a, x)


fixed_point.defvjp(fixed_point_fwd, fixed_point_bwd)


def test_forward_mode_where_the_rule_iterates():
    """The function itself is pushed through: dx/da = s x / (1 - a s), s = 1 - x^2."""
    a = 0.7
    x = fixed_point(a)
    slope = 1 - x * x
    expected = slope * x / (1 - a * slope)

    def in_scan(a):
        return lax.scan(lambda c, _: (fixed_point(c), None), a, None, length=1)[0]

    for f in (fixed_point, jax.jit(fixed_point), in_scan, jax.checkpoint(fixed_point)):
        assert jaxbp.jacfwd(f)(a) == pytest.approx(expected)
        assert jaxbp.grad(f)(a) == pytest.approx(expected)
    step = 1e-5
    curved = (jaxbp.grad(fixed_point)(a + step) - jaxbp.grad(fixed_point)(a)) / step
    assert jaxbp.hessian(fixed_point)(a) == pytest.approx(float(curved), rel=1e-4)


def test_a_pushforward_kept_for_later_names_the_loop():
    with pytest.raises(NoTranspose, match=r"cotangent.*test_custom_forward.py:"):
        jaxbp.linearize(fixed_point, 0.7)[1](1.0)


def test_the_rule_that_gives_another_type_is_named():
    """JAX takes the cotangent, too, and fails as we do where it meets another."""
    f = jax.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, bar: (bar.astype(float),))
    with pytest.raises(TypeError) as found:
        jaxbp.grad(lambda x: f(x) + x)(jnp.float32(1.0))
    assert "test_custom_forward.py" in found.value.__notes__[-1]
    assert "cotangent of type float64 for argument 0" in found.value.__notes__[-1]


def test_strict_refuses_forward_mode_as_jax_does():
    f = doubly_reversed()
    for function in (f, jax.jit(f), lambda x, y: jax.vmap(f)(x, y)):
        jaxbp.jvp(function, (X, X), (X, X))  # allowed, and cached where it is jitted
        with pytest.raises(TypeError):
            jax.jvp(function, (X, X), (X, X))
        with jaxbp.strict_custom_vjp():
            with pytest.raises(InvalidArgument, match="forward-mode.*custom_vjp"):
                jaxbp.jvp(function, (X, X), (X, X))
            with pytest.raises(TypeError, match="strict_custom_vjp"):
                jaxbp.linearize(function, X, X)[1](X, X)
            same_values(
                jaxbp.grad(lambda x: f(x, x).sum())(X),
                2 * jax.grad(lambda x: (jnp.sin(x) * x).sum())(X),
            )
    assert jaxbp.jvp(f, (X, X), (X, X))


def test_a_rule_that_calls_its_own_function_is_the_same_in_a_scan():
    """To second order, where JAX's scan follows the plain function instead."""
    f = jax.custom_jvp(lambda x: x)
    f.defjvp(lambda primals, tangents: (f(*primals), primals[0] * tangents[0]))

    def scanned(x):
        return lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0]

    def second(run):
        return jaxbp.grad(jaxbp.grad(run))(0.7)

    # (f o f)' = f(x) x, and the derivative of that, f' being x by the rule: x + x^2.
    assert second(scanned) == second(lambda x: f(f(x))) == pytest.approx(0.7 + 0.7**2)


def test_a_rule_may_branch_on_a_residual_that_is_no_array():
    """Also where the function is compiled on its own within an eager gradient."""

    @jax.custom_vjp
    def double(x):
        return 2 * x

    def fwd(x):
        return double(x), (True, 2.0)

    def bwd(residuals, y_bar):
        doubles, factor = residuals
        return (factor * y_bar if doubles else y_bar,)

    double.defvjp(fwd, bwd)
    for f in (double, jax.jit(double)):
        same(lambda ad, f=f: ad.grad(f)(3.0))
