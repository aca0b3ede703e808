"""JAX's hi-primitives: their own rules, never those of what they lower to.

Every rule here is ten times what the value's derivative is, so that an answer says
where it comes from.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import MissingRule

hijax = pytest.importorskip("jax._src.hijax")  # the engine itself never imports it
if not hasattr(hijax, "custom_vjp3"):
    pytest.skip("this JAX has no custom_vjp3", allow_module_level=True)
HI_PRIMITIVE = getattr(hijax, "VJPHiPrimitive", None) or hijax.HiPrim  # from 0.12


@hijax.custom_vjp3
def sine(x, n, w):
    return jnp.sin(x) * jnp.astype(n, w.dtype) * w


sine.defvjp(
    lambda x, n, w: (sine(x, n, w), (x, n, w)),
    lambda r, y_bar: (10 * y_bar * jnp.cos(r[0]) * r[1].astype(float), None, None),
)


@hijax.custom_vjp3
def tenfold(x):
    return jnp.sin(x)


tenfold.defvjp(lambda x: (jnp.sin(x), x), lambda x, y_bar: (10 * y_bar * jnp.cos(x),))


class Hi(HI_PRIMITIVE):
    """x -> sin(x), with whatever rules a subclass defines."""

    def __init__(self, aval):
        self.in_avals, self.out_aval, self.params = (aval,), aval, {}
        super().__init__()

    def expand(self, x):
        return jnp.sin(x)

    def batch_dim_rule(self, axis_data, dims):
        return dims[0]

    @classmethod
    def of(cls, x):
        return cls(jax.typeof(x))(x)


class Pulls(Hi):
    def vjp_fwd(self, moving, x):
        return jnp.sin(x), x

    def vjp_bwd_retval(self, x, y_bar):
        return (10 * jnp.cos(x) * y_bar,)


class Adds(Pulls):
    vjp_bwd_retval = HI_PRIMITIVE.vjp_bwd_retval

    def vjp_bwd(self, x, y_bar, x_sum):
        x_sum.accum(4 * jnp.cos(x) * y_bar)
        x_sum.accum(6 * jnp.cos(x) * y_bar)


class Pushes(Hi):
    def jvp(self, primals, tangents):
        return jnp.sin(*primals), 10 * jnp.cos(*primals) * tangents[0]


class Linear(Hi):
    def lin(self, moving, x):
        return jnp.sin(x), jnp.cos(x)

    def linearized(self, slope, x_dot):
        return 10 * slope * x_dot


KINDS = {"custom": tenfold, **{c.__name__: c.of for c in (Pulls, Adds, Pushes, Linear)}}
AROUND = {
    "alone": lambda f: f,
    "jit": jax.jit,
    "scan": lambda f: (
        lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=1)[0]
    ),
    "branch": lambda f: lambda x: lax.cond(x > 0, f, lambda x: x, x),
    "loop": lambda f: lambda x: lax.fori_loop(0, 1, lambda i, c: f(c), x),
    "checkpoint": jax.checkpoint,
    "vmap": lambda f: lambda x: jax.vmap(f)(x[None])[0],
}
X = 0.7


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", KINDS)
def test_its_own_rule(kind, around):
    by_rule = hasattr(HI_PRIMITIVE, "batch") and kind != "custom"  # from 0.12
    if around == "vmap" and (by_rule or kind in ("Adds", "Linear")):
        pytest.skip("JAX maps no class with these rules alone")
    function = AROUND[around](KINDS[kind])
    expected = 10 * np.cos(X)
    for derivative in (jaxbp.grad, jaxbp.jacfwd):
        np.testing.assert_allclose(derivative(function)(X), expected)
        np.testing.assert_allclose(jax.jit(derivative(function))(X), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_second_order(kind):
    for outer in (jaxbp.grad, jaxbp.jacfwd, jax.grad):
        found = outer(jaxbp.grad(KINDS[kind]))(X)
        np.testing.assert_allclose(found, -10 * np.sin(X))


def test_inside_of_jax():
    """JAX's gradient of it, differentiated here: the program of its two functions."""
    found = jaxbp.grad(jax.grad(tenfold))(X)
    np.testing.assert_allclose(found, jax.grad(jax.grad(tenfold))(X))


def test_zero_cotangents_and_integers():
    found = jaxbp.grad(sine, (0, 2))(X, jnp.int32(2), jnp.ones(()))
    np.testing.assert_allclose(found, (20 * np.cos(X), 0.0))


def test_without_a_rule_it_is_refused():
    with pytest.raises(MissingRule, match="`Hi` defines no derivative"):
        jaxbp.grad(Hi.of)(X)
