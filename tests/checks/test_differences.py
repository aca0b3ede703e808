"""Slopes from values: accurate, honest about their error, aware of kinks."""

import ml_dtypes
import numpy as np
import pytest

from jaxbp.checks import ladder, slope
from jaxbp.checks.closeness import epsilon, wide
from jaxbp.checks.differences import LONGEST, sizes_of

SMOOTH = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2),
    "linear": (lambda x: 3 * x, lambda x: 3 + 0 * x),
}
# The error that eps^(2/3) of a difference leaves, with the constant of functions of
# size 1 to 10.
REACH = {np.float64: 1e-9, np.float32: 2e-3, np.float16: 5e-2, ml_dtypes.bfloat16: 0.3}


def looked(f, x, dtype=np.float64, direction=None, claimed=0.0):
    """The slope of `f` (rounded to `dtype`) at x per unit of x, by its own size."""
    x = np.asarray(x, dtype)
    direction = wide(abs(x) if direction is None else np.asarray(direction, dtype))
    steps = ladder(dtype)
    value = lambda v: float(wide(np.asarray(f(wide(v))).astype(dtype)))  # noqa: E731
    changes = []
    for h in (steps, -steps):
        there = [np.asarray(wide(x) + s * direction).astype(dtype) for s in h]
        astray = np.array([wide(v) - wide(x) for v in there]) - h * direction
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            moved = np.array([value(v) - value(x) for v in there])
        changes.append(moved - claimed * astray)
    return slope(steps, *changes, epsilon(dtype) * abs(value(x)) / 8).scaled(direction)


@pytest.mark.parametrize("dtype", REACH, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("at", [0.5, 1.25, 2.0])
def test_slope_and_its_error_bar(name, dtype, at):
    f, derivative = SMOOTH[name]
    truth = derivative(at)
    found = looked(f, at, dtype, claimed=truth)
    assert abs(found.value - truth) <= found.noise + 1e-14
    assert abs(found.value - truth) <= REACH[dtype] * max(1, abs(truth))
    assert not found.kink and not found.jump and not found.flat


@pytest.mark.parametrize("dtype", REACH, ids=lambda d: np.dtype(d).name)
def test_the_ladder_spans_what_a_dtype_resolves(dtype):
    steps = ladder(dtype)
    assert steps[0] == LONGEST and 8 * epsilon(dtype) <= steps[-1] < 256 * epsilon(
        dtype
    )
    assert np.all(np.log2(steps) % 1 == 0) and 3 <= len(steps) <= 12


@pytest.mark.parametrize("offset", [1e3, 1e5, 1e6, 58000.0])
@pytest.mark.parametrize("claimed", [1.0, 0.5, 0.0])
def test_long_steps_that_jump_over_periods_are_not_believed(offset, claimed):
    truth = np.cos(0.7)
    found = looked(lambda x: np.sin(x - offset), offset + 0.7, claimed=claimed * truth)
    assert abs(found.value - truth) <= found.noise + 1e-16 * offset
    assert found.noise < 1e-4 and not found.kink


@pytest.mark.parametrize("at, swing, kick", [(1e6, 3e5, 1e-6), (1e5, 1e5, 1e-7)])
def test_swings_on_a_large_slope_are_no_noise(at, swing, kick):
    """Long steps see the slope of the large part alone, as finely as may be."""
    rng, right = np.random.default_rng(0), []
    f = lambda t: 8e3 * t + np.sin(swing * t) + kick * rng.normal()  # noqa: E731
    for t in range(50):
        truth = 8e3 + swing * np.cos(swing * t)
        found = looked(lambda x: f(x - at), at + t)
        right.append(abs(found.value - truth) <= found.noise < abs(truth))
    assert np.mean(right) > 0.9  # as above


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_step_follows_the_size_of_x(scale):
    found = looked(lambda x: np.sin(x / scale), 0.7 * scale)
    assert found.value == pytest.approx(np.cos(0.7) / scale, rel=1e-9)


@pytest.mark.parametrize("sigma", [1e-12, 1e-8, 1e-4])
def test_noise_put_in_is_noticed(sigma):
    rng = np.random.default_rng(0)
    found = [looked(lambda x: np.exp(x) + sigma * rng.normal(), 1.0) for _ in range(50)]
    # Read off four pairs of values, the noise is now and then taken for too small.
    assert np.mean([abs(s.value - np.e) <= s.noise for s in found]) > 0.95
    # A rung's bias is known no better than the next finer rung's noise: 8 sigma / h.
    assert np.median([s.noise for s in found]) < 1e5 * sigma


@pytest.mark.parametrize("height", [1e6, 1e9, 1e11])
def test_a_staircase_of_rounding_is_noise(height):
    """Steps too short to change any value say nothing."""
    found = looked(lambda x: (x + height) - height, 1.3)
    assert abs(found.value - 1) <= found.noise < 1e-3


@pytest.mark.parametrize(
    ("f", "at", "left", "right"),
    [
        (lambda x: np.maximum(x, 0.0), 0.0, 0.0, 1.0),
        (np.abs, 0.0, -1.0, 1.0),
        (lambda x: np.maximum(x, 2 * x - 3), 3.0, 1.0, 2.0),
    ],
)
def test_a_kink_at_the_point_is_told_with_both_slopes(f, at, left, right):
    found = looked(f, at, direction=1.0)
    assert found.kink
    assert (found.left, found.right) == pytest.approx((left, right), abs=1e-6)
    assert found.value == pytest.approx((left + right) / 2)
    assert found.noise == pytest.approx((right - left) / 2, abs=1e-6)


@pytest.mark.parametrize("distance", [1e-4, 1e-5, 1e-7])
def test_a_kink_beside_the_point_is_none(distance):
    found = looked(lambda x: np.maximum(x, 0.0) + 2 * x, distance, direction=1.0)
    assert not found.kink
    assert found.value == pytest.approx(3.0, abs=1e-6)


def test_smooth_functions_are_not_labelled_kinks():
    for f, at in [(lambda x: (x - 1.3) ** 2, 1.3), (np.cos, 0.0), (np.cosh, 1e-9)]:
        assert not looked(f, at, direction=1.0).kink


def test_a_discontinuity_is_told_with_its_height():
    found = looked(lambda x: np.where(x >= 0, 1.0, 0.0), 0.0, direction=1.0)
    assert found.jump == 1.0 and not found.kink and not found.flat


def test_a_constant_is_flat():
    found = looked(lambda x: 0 * x + 3, 1.3)
    assert found.flat and found.value == 0 and found.noise < 1e-12


def test_steps_out_of_the_domain_are_left_out():
    found = looked(np.log, 1e-4, direction=1.0)
    assert abs(found.value - 1e4) <= found.noise < 1.0


def test_no_finite_value_gives_nan():
    found = looked(lambda x: np.nan * x, 1.0)
    assert np.isnan(found.value) and found.noise == np.inf


def test_infinite_entries_are_not_moved():
    x = np.array([-np.inf, 2.0, np.nan, 0.0])
    spread = 2.0**0.5
    assert sizes_of(x, False).tolist() == [0.0, 2.0, 0.0, pytest.approx(spread)]
    assert sizes_of(x, True).tolist() == [0.0, 2.0, 0.0, pytest.approx(spread)]
    mixed = np.array([58000.0, 3.5])
    assert sizes_of(mixed, True).tolist() == [58000.0, 3.5]
    assert sizes_of(mixed, False)[1] > 40000
    assert sizes_of(np.zeros(3), True).tolist() == [1.0, 1.0, 1.0]


def test_swings_just_longer_than_the_finest_steps_are_no_noise():
    """Coarse steps see a slope of 1 and agree on it; the finest see the swings."""
    f = lambda x: (x - 1000) + 0.1 * np.sin((x - 1000) / 1e-2)  # noqa: E731
    for x in (1000.1, 1000.3, 1000.7, 1001.9):
        x = np.float32(x)
        truth = 1 + 10 * np.cos((float(x) - 1000) / 1e-2)
        found = looked(f, x, np.float32, claimed=truth)
        assert abs(found.value - truth) <= found.noise + 0.02 * abs(truth), (x, found)


def test_a_hinge_beside_the_point_is_no_kink_at_it():
    found = looked(lambda x: np.maximum(x - 1002.0, 0), 1000.0, np.float32)
    assert not found.kink and abs(found.value) <= found.noise < 1e-3


def test_a_swing_between_neighbouring_numbers_is_rough():
    found = looked(lambda x: np.sin(x**3), 1000.0, np.float32, claimed=0.0)
    assert found.rough
    for f in (np.sin, np.floor, lambda x: 0 * x, np.abs):
        assert not looked(f, 0.7, np.float32).rough
        assert not looked(f, 1e-3, np.float64).rough


def test_an_odd_functions_longest_step_is_not_taken_for_exact():
    steps = ladder(np.float32)
    swing = 0.5 * np.sin(8 * steps)  # odd: both one-sided slopes are the same
    found = slope(steps, 3 * steps + swing, -3 * steps - swing, 1e-3)
    assert abs(found.value - 7) <= found.noise


@pytest.mark.parametrize("error", [2e-15, -6e-15])
def test_an_error_of_the_value_at_the_point_is_no_kink(error):
    """It stays as the step shrinks, where the gap of a kink would shrink with it."""
    steps = ladder(np.float64)
    ahead, behind = (np.sin(1 + s * steps) - np.sin(1) + error for s in (1, -1))
    found = slope(steps, ahead, behind, floor=1e-16, rounding=2e-17)
    assert found.noise < 1e-8 and abs(found.value - np.cos(1)) < found.noise
    kink = steps / 8 - error  # without it a kink at the point stays one
    kinked = slope(steps, ahead + kink, behind + kink, floor=1e-16, rounding=2e-17)
    assert kinked.kink and abs(kinked.right - kinked.left - 0.25) < 1e-6
