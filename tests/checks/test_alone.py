"""One element of many whose rule is wrong by a thousandth, in float32."""

import jax
import jax.numpy as jnp
import pytest

import jaxbp


def summed_sines(factor, place=()):
    """A sum of sines whose rule multiplies the slope, at a place or everywhere."""

    @jax.custom_vjp
    def sines(x):
        return jnp.sin(x)

    def backward(x, y_bar):
        return ((y_bar * jnp.cos(x)).at[place].multiply(factor),)

    sines.defvjp(lambda x: (jnp.sin(x), x), backward)
    return lambda x: jnp.sum(sines(x))


@pytest.mark.parametrize("n, factor", [(150, 1.001), (1500, 1.001), (20_000, 1.005)])
def test_is_found_whatever_the_others_add_up_to(n, factor):
    x = jnp.full(n, 0.1, jnp.float32)
    report = jaxbp.check(summed_sines(factor, n // 3), x, points=1)
    assert report.verdict == "differ"
    assert report.findings[0].element == f"x[{n // 3}]"


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-5])
def test_constants_of_five_digits_are_no_such_element(factor):
    x = jnp.full(20_000, 0.1, jnp.float32)
    assert jaxbp.check(summed_sines(factor), x, points=1).verdict == "agree"
