"""Custom functions in the tangent part of a rule, their own or another's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.errors import InvalidArgument
from tests.transforms.standin import same, same_values

X = jnp.arange(1.0, 4.0)


@jax.custom_jvp
def recursive(x):
    return 2 * x


@recursive.defjvp
def recursive_jvp(primals, tangents):
    return recursive(*primals), recursive(*tangents)


@jax.custom_jvp
def cubed(x):
    return x**3


@cubed.defjvp
def cubed_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return cubed(x), 1.5 * x**2 * recursive(x_dot) / 2


@pytest.mark.parametrize("function", [recursive, cubed], ids=["own", "another's"])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_custom_function_of_a_tangent(function, wrap):
    def loss(x):
        return jnp.sum(jnp.sin(function(x)))

    same(lambda ad: wrap(ad.grad(loss))(X))
    same(lambda ad: wrap(lambda x: ad.linearize(loss, x)[1](x))(X))
    same(lambda ad: wrap(ad.hessian(loss))(X))


def plain(x, y):
    return jnp.sin(x) * y, 3


@jax.custom_vjp
def reversed_(x, y):
    return plain(x, y)


reversed_.defvjp(
    lambda x, y: (plain(x, y), (x, y)),
    lambda kept, bars: jax.vjp(lambda *xy: plain(*xy)[0], *kept)[1](bars[0]),
)


def squared(x):
    return reversed_(x, x**2)[0]


def by_rule(f, within):
    """`f` with a rule that is JAX's own pushforward of `within`."""
    ruled = jax.custom_jvp(f)
    ruled.defjvp(lambda primals, tangents: jax.jvp(within, primals, tangents))
    return ruled


def steps(x):
    return jax.lax.scan(lambda c, _: (squared(c), None), x, None, length=2)[0]


@pytest.mark.parametrize("within", [squared, jax.checkpoint(squared), steps])
def test_pushforward_of_a_custom_vjp_in_a_rule(within):
    """JAX transposes it through the backward rule, to second order too."""
    f = by_rule(within, within)

    def doors(ad):
        gradient = ad.grad(lambda x: jnp.sum(f(x)))
        return gradient(X), ad.grad(lambda x: jnp.sum(gradient(x)))(X)

    same(doors)


# JAX refuses its derivative: the judge is the same program without the rule.
PUSHED = {
    "by the point": lambda f: lambda x: jax.jvp(f, (x,), (X,))[1],
    "by the tangent": lambda f: lambda x: jax.jvp(f, (X,), (x,))[1],
    "linearized": lambda f: lambda x: jax.linearize(f, x)[1](jnp.cos(x)),
    "checkpoint": lambda f: jax.checkpoint(lambda x: jax.jvp(f, (x,), (x,))[1]),
}


@pytest.mark.parametrize("pushed", PUSHED.values(), ids=PUSHED)
def test_derivative_of_jax_s_pushforward_of_a_custom_vjp(pushed):
    def doors(ad, f):
        f = pushed(f)
        loss = lambda x: jnp.sum(f(x) ** 2)  # noqa: E731
        return ad.jvp(f, (X,), (X,)), ad.grad(loss)(X), ad.hessian(loss)(X)

    same_values(doors(jaxbp, squared), doors(jax, lambda x: plain(x, x**2)[0]))


def test_forward_mode_where_a_rule_pushes_a_custom_vjp():
    f = by_rule(squared, squared)
    plainly = lambda x: plain(x, x**2)[0]  # noqa: E731
    same_values(jaxbp.jvp(f, (X,), (X,)), jax.jvp(plainly, (X,), (X,)))
    with jaxbp.strict_custom_vjp(), pytest.raises(InvalidArgument, match="strict"):
        jaxbp.jvp(f, (X,), (X,))


def test_forward_mode_of_jax_over_a_checkpointed_custom_vjp():
    """Its value is that of the forward part, which JAX can push through."""

    def doors(ad, f):
        pull = lambda x: ad.vjp(jax.checkpoint(f), x)[1](X)[0]  # noqa: E731
        return jax.jvp(pull, (X,), (X,))

    same_values(doors(jaxbp, squared), doors(jax, squared))


def test_constant_of_a_checkpointed_custom_vjp():
    """It is an operand of the equation, which its rule does not let move."""
    f = jax.custom_vjp(lambda x: x * np.arange(3.0))
    f.defvjp(lambda x: (x * np.arange(3.0), None), lambda _, bar: (2 * bar,))
    same(lambda ad: ad.grad(jax.checkpoint(lambda x: jnp.sum(f(x) ** 2)))(X))


def test_checkpoint_in_a_rule_moves_what_moves_alone():
    """A value that the rule multiplies with a tangent is none itself."""

    def f(x):
        y = jnp.sin(x)
        return jax.checkpoint(lambda _, y: y)(y, y) * y

    same(lambda ad: ad.grad(lambda x: jnp.sum(by_rule(f, f)(x)))(X))


def test_jit_in_a_rule_in_a_checkpoint():
    """Of its outputs, those that no tangent reaches are values still."""

    def f(x):
        bend = jax.jit(lambda x: jnp.where(x > 0, x, jnp.expm1(x)))
        return jax.vjp(lambda x: bend(jnp.sin(x)), x)[1](x)[0]

    same(lambda ad: ad.hessian(lambda x: jnp.sum(jax.checkpoint(by_rule(f, f))(x)))(X))
