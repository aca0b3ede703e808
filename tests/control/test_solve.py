"""custom_linear_solve: solved again for tangents, transposed for cotangents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.scipy.sparse.linalg import cg

import jaxbp
from jaxbp.errors import MissingRule

RNG = np.random.default_rng(2)
A, B = RNG.normal(size=(3, 3)) + 3 * np.eye(3), RNG.normal(size=3)
RTOL = 1e-10  # a few hundred roundings: A is well conditioned


def solved(a, b, **options):
    """x in a x = b; any solver serves, here the inverse."""
    given = {"transpose_solve": lambda _, y: jnp.linalg.inv(a).T @ y} | options
    return lax.custom_linear_solve(
        lambda x: a @ x, b, lambda _, y: jnp.linalg.inv(a) @ y, **given
    )


def symmetric(a, b):
    return solved(a + a.T, b, transpose_solve=None, symmetric=True)


def with_aux(a, b):
    inverse = jnp.linalg.inv(a)
    return lax.custom_linear_solve(
        lambda x: a @ x,
        b,
        lambda _, y: (inverse @ y, jnp.sum(y)),
        lambda _, y: (inverse.T @ y, jnp.sum(y)),
        has_aux=True,
    )[0]


def of_a_tree(a, b):
    return two_systems(a, b, b[1:])


def two_systems(a, b, c):
    return lax.custom_linear_solve(
        lambda t: (a @ t[0], t[1] * a[0, 0]),
        (b, c),
        lambda _, t: (jnp.linalg.inv(a) @ t[0], t[1] / a[0, 0]),
        lambda _, t: (jnp.linalg.inv(a).T @ t[0], t[1] / a[0, 0]),
    )


def conjugate_gradients(a, b):
    return cg(a @ a.T, b, tol=1e-14)[0]


@pytest.mark.parametrize(
    "function", [solved, symmetric, with_aux, of_a_tree, conjugate_gradients]
)
@pytest.mark.parametrize("argnums", [(0,), (1,), (0, 1)])
def test_both_modes_and_second_order(function, argnums):
    def loss(*xs):
        args = [A, B]
        for place, x in zip(argnums, xs, strict=True):
            args[place] = x
        return sum(jnp.sum(y**3) for y in jax.tree.leaves(function(*args)))

    xs = tuple((A, B)[i] for i in argnums)
    x_dots = tuple(RNG.normal(size=x.shape) for x in xs)

    def derivatives(ad):
        places = tuple(range(len(xs)))
        gradient = ad.grad(loss, places)
        first = ad.jvp(loss, xs, x_dots)[1], gradient(*xs)
        return first, ad.jvp(gradient, xs, x_dots)[1]

    found, expected = jax.jit(lambda: (derivatives(jaxbp), derivatives(jax)))()
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=RTOL)


def test_one_of_two_right_hand_sides_carries_a_tangent():
    """JAX fails here: it expects all of them to."""
    found = jaxbp.grad(lambda b: jnp.sum(two_systems(A, b, jnp.ones(2))[0]))(B)
    np.testing.assert_allclose(found, np.linalg.inv(A).sum(axis=0), rtol=RTOL)


def test_reverse_mode_needs_the_transposed_solver():
    def function(b):
        return jnp.sum(solved(A, b, transpose_solve=None))

    assert jaxbp.jvp(function, (B,), (B,))[1] == pytest.approx(function(B))
    with pytest.raises(MissingRule, match="transpose_solve"):
        jaxbp.grad(function)(B)
