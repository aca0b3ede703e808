"""Forward mode through custom_vjp, and rules that call their own functions."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import InvalidArgument, NonlinearTangent
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
    with pytest.raises(NonlinearTangent, match="derivative rule must be linear"):
        jaxbp.jvp(f, (1.0,), (1.0,))


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
