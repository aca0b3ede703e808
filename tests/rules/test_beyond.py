"""Derivatives that JAX refuses or gets wrong: against numbers and the other mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import MissingRule
from tests.rules import cases_contraction as contraction
from tests.rules import cases_indexing as indexing
from tests.rules import cases_reduction as reduction
from tests.rules import cases_windows as windows
from tests.rules.case import distinct, normal

STEP = 1e-5


def started(operation, padding):
    """Windows with a start value that changes the result; the start moves it, too."""

    def call(x, start):
        return lax.reduce_window(x, start, operation, (2, 2), (1, 2), padding, (1, 2))

    return call


CLIPPED = indexing.scattered(lax.scatter_max, indexing.OUTSIDE, mode="clip")
CALLS = {
    "dilated pooling": (windows.extreme(lax.max, windows.DILATED), windows.ORDERED),
    "any window": (reduction.windows, (normal(3, 5),)),
    "paired windows": (reduction.paired_windows, (distinct(3, 4), normal(3, 4))),
    "started windows": (started(lax.add, "SAME"), (normal(3, 4), normal())),
    "started products": (
        started(lambda a, b: a + b + a * b, ((1, 2), (2, 1))),
        (normal(3, 4), normal()),
    ),
    "sums of groups": (
        contraction.ragged(contraction.SUMS),
        (normal(6, 4), normal(6, 2)),
    ),
    "rows of groups": (
        contraction.ragged(contraction.ROWS),
        (normal(6, 4), normal(3, 4, 2)),
    ),
    "clipped maxima": (CLIPPED, (distinct(5, 3), normal(4, 3))),
}


@pytest.mark.parametrize("name", CALLS)
def test_both_modes_and_orders(name):
    """The gradient of a nonlinear function of the outputs, and its derivative."""
    call, samplers = CALLS[name]
    rng = np.random.default_rng(3)
    xs = tuple(sampler(rng, np.float64) for sampler in samplers)
    x_dots = tuple(normal(*x.shape)(rng, np.float64) for x in xs)

    def scalar(*xs):
        return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(call(*xs)))

    gradient = jax.jit(jaxbp.grad(scalar, tuple(range(len(xs)))))
    along = sum(jnp.sum(a * b) for a, b in zip(gradient(*xs), x_dots, strict=True))
    pushed = jaxbp.jvp(scalar, xs, x_dots)[1]
    np.testing.assert_allclose(along, pushed, rtol=1e-10)
    np.testing.assert_allclose(pushed, difference(scalar, xs, x_dots), rtol=1e-6)
    turned = jaxbp.jvp(gradient, xs, x_dots)[1]
    expected = difference(gradient, xs, x_dots)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), turned, expected
    )


def difference(function, xs, x_dots):
    """The central difference of `function` along `x_dots`."""
    high, low = (
        function(*(x + sign * STEP * d for x, d in zip(xs, x_dots, strict=True)))
        for sign in (1, -1)
    )
    return jax.tree.map(lambda a, b: (a - b) / (2 * STEP), high, low)


def test_reduce_counts_its_start_value():
    """The value stays what it is without differentiation, and the start moves it."""

    def call(x, start):
        return lax.reduce(x, start, reduction.log_mean, (0,))

    x, start = jnp.array([1.0, 2.0, 3.0]), jnp.array(0.5)
    y, slopes = jaxbp.value_and_grad(call, (0, 1))(x, start)
    np.testing.assert_allclose(y, call(x, start))
    np.testing.assert_allclose(slopes[1], 24.0)  # (1 + x_1)(1 + x_2)(1 + x_3)


@pytest.mark.parametrize(
    "operation", [lax.add, lax.mul, lax.max], ids=["add", "mul", "max"]
)
def test_windows_count_their_start_value_once(operation):
    """What lies in the padding does not count, though the start is not neutral."""
    x, start = jnp.arange(6.0).reshape(2, 3), jnp.array(2.0)
    call = started(operation, ((1, 2), (2, 1)))
    y, _ = jaxbp.jvp(call, (x, start), (x, start))
    np.testing.assert_array_equal(y, call(x, start))
    assert y[0, 0] == start  # a window of padding alone


@pytest.mark.parametrize("zeros", range(5))
def test_scatter_mul_at_repeated_places(zeros):
    """Against the product written out, to third order, also where factors are 0."""
    segments = jnp.array([0, 1, 0, 0, 2, 0])
    factors = jnp.array([0.7, 2.0, 1.3, -0.4, 0.5, 1.1])
    factors = factors.at[jnp.array([0, 2, 3, 5])[:zeros]].set(0)

    def by_segments(u):
        return jax.ops.segment_prod(u, segments, 3)

    def written(u):
        return jnp.stack([u[0] * u[2] * u[3] * u[5], u[1], u[4]])

    def derivatives(function, derivative):
        found = []
        for _ in range(3):
            function = derivative(function)
            found.append(function)
        return jax.jit(lambda u: [f(u) for f in found])(factors)

    expected = derivatives(written, jax.jacfwd)
    for derivative in (jaxbp.jacrev, jaxbp.jacfwd):
        found = derivatives(by_segments, derivative)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-15)


def test_scatter_mul_of_many_zeros():
    """The product of s, 2 s, ..., 5 s is 5! s^5: at 0 the first slope is the fifth."""

    def slope(s):
        factors = s * jnp.arange(1.0, 6.0)
        return jnp.ones(2).at[jnp.zeros(5, int)].mul(factors)[0]

    slopes = []
    for _ in range(5):
        slope = jaxbp.grad(slope)
        slopes.append(jax.jit(slope)(0.0))
    np.testing.assert_array_equal(slopes, [0, 0, 0, 0, 120 * 120])


def test_scatter_mul_drops_what_is_outside():
    """No overflow of what is dropped reaches a slope."""
    places = jnp.array([5, 0, 5, 0, 5])
    factors = jnp.array([1e200, 2.0, 1e200, 3.0, 1e200])

    def product(x, u):
        return x.at[places].mul(u, mode="drop").sum()

    slopes = jaxbp.grad(product, (0, 1))(jnp.array([7.0, 1.0]), factors)
    np.testing.assert_array_equal(slopes[0], [6, 1])
    np.testing.assert_array_equal(slopes[1], [0, 21, 0, 14, 0])


def test_scatter_apply_is_refused():
    places, shape = indexing.TWO[:, None], {"update_shape": (2, 3)}

    def applied(x):
        return lax.scatter_apply(x, places, jnp.sin, indexing.INTO_ROWS, **shape).sum()

    with pytest.raises(MissingRule, match="scatter_apply"):
        jaxbp.grad(applied)(jnp.ones((5, 3)))


def test_ragged_batches_are_refused():
    numbers = lax.RaggedDotDimensionNumbers((((2,), (1,)), ((0,), (0,))), [0], [])
    call = contraction.ragged(numbers, np.array([1, 1], np.int32))
    with pytest.raises(MissingRule, match="ragged axis is a batch"):
        jaxbp.grad(lambda x: call(x, jnp.ones((2, 4, 2))).sum())(jnp.ones((2, 3, 4)))
