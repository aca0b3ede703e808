"""Numbers near the largest and gradients below their own rounding: no false alarm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import check
from jaxbp.checks.closeness import norm
from jaxbp.checks.pattern import pattern


def squares(x):
    return jnp.sum(x**2)


def root_of_huge(x):
    return jnp.sum((1e20 * x) ** 2) ** 0.5


@pytest.mark.parametrize(
    ("f", "x", "dtype"),
    [
        (squares, [100.0, 200.0, 3.0], jnp.float16),  # a tangent as long as x: inf
        (jnp.exp, 11.0, jnp.float16),
        (root_of_huge, [0.01, 0.02], jnp.float32),  # XLA multiplies 1e20 by itself
        (lambda x: squares(1e9 * x) * 1e9, [1e4, 2e5], jnp.float32),
    ],
)
def test_tangents_that_overflow_are_asked_shorter(f, x, dtype):
    x = jnp.array(x, dtype)
    report = check(f, x, points=2)
    assert report, str(report)
    assert all(np.isfinite(row.other) for row in report.rows if row.point == 0)


def test_a_wrong_gradient_beside_the_largest_number_is_found():
    x = jnp.array([3e38], jnp.float32)
    report = check(jnp.sum, x, grad=lambda x: 2 * jnp.ones_like(x), points=1)
    assert report.verdict == "differ" and "2 times the right" in str(report)
    assert norm(np.array([3e200, -4e200])) == pytest.approx(5e200)
    assert norm(np.zeros(0)) == 0 and norm(np.array([np.inf])) == np.inf


def test_where_no_step_can_be_taken_it_says_so():
    """The next numbers of float64 lie outside the domain."""
    at_the_edge = check(jnp.arcsin, jnp.nextafter(1.0, 0.0), points=1)
    assert at_the_edge.verdict == "cannot tell" and not at_the_edge.failures
    assert "differences see nothing by `x`" in str(at_the_edge)
    assert "zero to rounding" not in str(at_the_edge)
    assert "What may tell: another point" in at_the_edge.notes[-1]


def versine(x):
    return jnp.sum((1 - jnp.cos(x)) / x**2)


def series(x):
    return -x / 12 + x**3 / 180


@pytest.mark.parametrize("grad", [series, None])
def test_an_engine_that_rounds_more_than_yours_is_no_witness(grad):
    """At 1e-3 the true derivative is -8e-5, and JAX says 46."""
    for x in (jnp.float32(1e-3), jnp.array([1e-3, 2e-3], jnp.float32)):
        report = check(versine, x, grad=grad)
        assert report.verdict == ("agree" if grad else "cannot tell"), str(report)
        assert "lost in its own rounding" in str(report) or grad
        assert "shifted" not in str(report) and "discontinuous" not in str(report)
    x = jnp.float32(0.5)
    assert check(versine, x, grad=series, rtol=1e-3)
    assert check(versine, x, grad=lambda x: -series(x)).verdict == "differ"


def coarse_beside_sine(slope):
    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    sine.defjvp(lambda p, t: (jnp.sin(p[0]), slope * jnp.cos(p[0]) * t[0]))
    return lambda x: x.astype(jnp.bfloat16).astype(x.dtype) + sine(x)


def test_a_sine_that_every_visible_step_averages_out():
    """The steps that move bfloat16(1e6) are thousands of periods long."""
    x = jnp.array(1e6 + 0.7)
    assert check(coarse_beside_sine(1.0), x).verdict != "differ"
    assert check(coarse_beside_sine(1.0), jnp.array(0.7)).verdict != "differ"


@pytest.mark.parametrize("near", [-0.41, 0.2, 0.49])
def test_stairs_far_from_zero(near):
    """Steps of a part of 1e6 climb many; shorter ones find the level that they see."""
    for stairs in (jnp.round, jnp.ceil, lambda x: jnp.round(x) + 0 * jnp.sin(x)):
        assert check(stairs, jnp.array(1e6 + near)).verdict != "differ"
    wrong = check(lambda x: x - 1e6, jnp.array(1e6 + near), grad=jnp.zeros_like)
    assert wrong.verdict == "differ"


@pytest.mark.parametrize("x", [709.5, 709.7, [709.5, 1.0, 2.0]])
def test_a_gradient_that_overflows_along_a_direction_as_long_as_x(x):
    assert check(lambda x: jnp.exp(x).sum(), jnp.array(x))
    wrong = check(lambda x: jnp.exp(x).sum(), jnp.array(x), grad=lambda x: -jnp.exp(x))
    assert wrong.verdict == "differ"


def test_waves_between_the_steps_that_bfloat16_shows():
    """Five numbers near 1,000: what is visible of bfloat16 is many periods long."""

    def f(x):
        waves = jnp.sum(jnp.sin(x) * jnp.cos(3 * x), axis=-1)
        return (0.3 + 0.02 * waves).astype(jnp.bfloat16).astype(x.dtype) + 1e-6 * waves

    for seed in (0, 14):
        near = np.random.default_rng(seed).normal(size=5)
        report = check(f, jnp.asarray(1000 + near, jnp.float32))
        assert report.verdict != "differ"


@pytest.mark.parametrize("seed", [0, 1])
def test_a_wave_of_which_no_step_is_a_part(seed):
    """Displaced by half its size, the epoch is thousands of periods away."""
    t = jnp.linspace(59000.0, 59010.0, 20, dtype=jnp.float32)

    def f(p):
        return jnp.sum(jnp.sin(2 * jnp.pi * (t - p[0]) / p[1]) * p[2])

    report = check(f, jnp.array([59001.3, 3.1, 1.2], jnp.float32), seed=seed)
    assert report.verdict != "differ"


def test_a_third_and_more_are_no_rounding_of_bfloat16():
    w = jax.random.normal(jax.random.key(1), (4, 4), jnp.bfloat16)
    f = lambda w: jnp.mean(jnp.tanh(w @ w.T) ** 2)  # noqa: E731
    assert check(f, w, grad=jax.grad(f))
    for factor in (1.5, 0.6):
        wrong = lambda w, k=factor: (k * jax.grad(f)(w)).astype(w.dtype)  # noqa: E731
        assert not check(f, w, grad=wrong)


@pytest.mark.parametrize("factor", [1.001, 1.0])
def test_what_another_leaf_rounds_does_not_hide_a_wrong_one(factor):
    """The sum of `loud` is rounded by 0.1, and stays as it is where `quiet` moves."""
    rule = jax.custom_jvp(lambda x: x * x)
    rule.defjvp(lambda x, x_dot: (x[0] * x[0], 2 * factor * x[0] * x_dot[0]))

    def f(loud, quiet):
        return jnp.sum(loud**2).astype(quiet.dtype) + 1e-3 * jnp.sum(rule(quiet))

    loud = jnp.linspace(100, 900, 40, dtype=jnp.float32)
    report = check(f, loud, jnp.array([1.5, -0.4, 2.0]), argnums=(0, 1))
    assert report.verdict == ("agree" if factor == 1 else "differ")


def test_no_mistake_is_named_of_what_is_the_same_to_rounding():
    right, error = np.array([1.0, 1.0 + 1e-7, 1.0]), np.full(3, 1e-6)
    x = np.arange(3.0)
    assert "shifted" not in pattern(right + [3e-7, 0, 5e-6], right, error, x, {3})
    square = np.full((2, 2), 2.0)
    wrong = square + np.array([[0, 0], [0, 5e-6]])
    said = pattern(wrong, square, np.full((2, 2), 1e-6), np.ones((2, 2)), {2})
    assert "transposed" not in said and "shifted" not in said
    turned = np.array([3.0, 1.0, 2.0])
    assert "shifted by 1" in pattern(turned, np.array([1.0, 2.0, 3.0]), error, x, {3})


def test_of_many_wrong_leaves_the_first_are_explained():
    """One wrong rule makes every leaf before it wrong."""

    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    sine.defjvp(lambda x, x_dot: (sine(*x), 2 * jnp.cos(x[0]) * x_dot[0]))
    x = {f"x{i:02}": jnp.float64(0.1 * i + 0.3) for i in range(11)}
    report = check(lambda x: sum(map(sine, x.values())), x)
    assert report.verdict == "differ" and len(report.findings) == 8
    assert "and 3 more, in the table" in report.headline
    assert {row.leaf for row in report.failures} >= {f"x['x{i:02}']" for i in range(11)}
    assert "`jaxbp.check_rules` names it" in str(report)


@pytest.mark.parametrize("factor", [1, 3, 10])
def test_what_underflows_in_one_mode_alone(factor):
    """A CPU takes products below 1e-38 for zero, before or after a factor."""
    z, tiny = jnp.array([0.3, -0.2, 0.8, 0.1, -1.1], jnp.float32), jnp.float32(5e-20)
    f = lambda w, b: factor * jnp.sum((tiny * (w * z + b)) ** 2)  # noqa: E731
    assert not check(f, z + 1, z).failures
