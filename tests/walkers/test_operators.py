"""Operators on traced values mean what they mean under JAX."""

import itertools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

PARTNERS = {
    "float": 2.5,
    "int": 3,
    "bool": True,
    "complex": 1j,
    "large": 4e4,
    "infinite": float("inf"),
    "numpy_scalar": np.float32(2),
    "numpy_array": np.ones(3, np.float32),
    "same": jnp.ones(3, jnp.float32),
    "scalar": jnp.float32(2),
    "weak": jnp.asarray(2.0),
    "wider": jnp.ones(3, jnp.float64),
    "integers": jnp.arange(3),
    "matrix": jnp.ones((2, 3), jnp.float32),
}
OPERANDS = {
    "float32": jnp.arange(1.0, 4, dtype=jnp.float32),
    "bfloat16": jnp.arange(1.0, 4, dtype=jnp.bfloat16),
    "weak": jnp.asarray(2.0),
}


def types(ad, function, x):
    """Types of value and tangent, or the error."""

    def run(x):
        return ad.jvp(function, (x,), (x,))

    try:
        jaxpr = jax.make_jaxpr(run)(x)
    except (TypeError, ValueError) as error:
        return type(error)
    return [(a.shape, a.dtype, a.weak_type) for a in jaxpr.out_avals]


@pytest.mark.parametrize("promotion", ["standard", "strict"])
@pytest.mark.parametrize("operand", OPERANDS)
def test_operators_have_the_types_of_jax(operand, promotion):
    x = OPERANDS[operand]
    cases = itertools.product(PARTNERS.items(), (operator.sub, operator.truediv))
    with jax.numpy_dtype_promotion(promotion), jax.numpy_rank_promotion("allow"):
        for (name, y), act in cases:
            for function in (lambda x: act(x, y), lambda x: act(y, x)):  # noqa: B023
                ours, theirs = (types(ad, function, x) for ad in (jaxbp, jax))
                assert (name, ours) == (name, theirs)


def test_operators_have_the_values_of_jax():
    def run(x, y):
        z = 1.5 / (x * y + y - x) - (y - x) * (y / x) + 2 * (x / 3) - (x - 1)
        return jnp.sum(z * 0.5 + (1 - z) * (2 + x) / (3 * y) - x * y)

    args = OPERANDS["float32"], PARTNERS["same"] + 1
    came, expected = (jax.jit(ad.grad(run, (0, 1)))(*args) for ad in (jaxbp, jax))
    np.testing.assert_allclose(came, expected, 1e-5)
