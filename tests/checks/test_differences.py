"""Slopes from values: accurate, honest about their error, aware of kinks."""

import ml_dtypes
import numpy as np
import pytest

from jaxbp.checks import difference, noise_level
from jaxbp.checks.closeness import wide
from jaxbp.checks.differences import step_sizes

SMOOTH = {
    "sin": (lambda x: np.sin(x).sum(), np.cos),
    "exp": (lambda x: np.exp(x).sum(), np.exp),
    "cube": (lambda x: (x**3).sum(), lambda x: 3 * x**2),
    "reciprocal": (lambda x: (1 / x).sum(), lambda x: -1 / x**2),
    "linear": (lambda x: (3 * x).sum(), lambda x: 3 + 0 * x),
}
# The error that eps^(4/5) of an extrapolated difference leaves, with the constant of
# functions of size 1 to 10.
REACH = {np.float64: 1e-9, np.float32: 2e-3, np.float16: 5e-2, ml_dtypes.bfloat16: 0.3}


def rounded(f):
    """A function whose value is rounded to the precision of its argument."""
    return lambda x: float(wide(np.asarray(f(wide(x))).astype(x.dtype)))


@pytest.mark.parametrize("dtype", REACH, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("name", SMOOTH)
def test_slope_and_its_error_bar(name, dtype):
    f, slope = SMOOTH[name]
    x = np.array([0.5, 1.25, 2.0]).astype(dtype)
    for i in range(x.size):
        direction = np.zeros(3)
        direction[i] = 1.0
        found = difference(rounded(f), x, direction)
        truth = np.sum(slope(wide(x)) * found.direction)
        assert abs(found.slope - truth) <= 3 * found.noise + 1e-14
        assert abs(found.slope - truth) <= REACH[dtype] * max(1, abs(truth))
        assert not found.kink


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_step_follows_the_size_of_x(scale):
    x = np.array([0.7 * scale])
    found = difference(lambda x: np.sin(x / scale).sum(), x, step_sizes(x))
    truth = np.cos(0.7) / scale * found.direction[0]
    assert found.slope == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("sigma", [1e-12, 1e-8, 1e-4])
def test_noise_level_measures_the_noise_put_in(sigma):
    rng = np.random.default_rng(0)
    phi = lambda x: float(np.exp(x).sum() + sigma * rng.normal())  # noqa: E731
    found = [noise_level(phi, np.ones(1), np.ones(1)) for _ in range(50)]
    assert 0.4 * sigma < np.median(found) < 2.5 * sigma


@pytest.mark.parametrize(
    ("f", "at", "left", "right"),
    [
        (lambda x: max(x, 0.0), 0.0, 0.0, 1.0),
        (abs, 0.0, -1.0, 1.0),
        (lambda x: max(x, 2 * x - 3), 3.0, 1.0, 2.0),
    ],
)
def test_a_kink_at_the_point_is_told_with_both_slopes(f, at, left, right):
    phi = lambda x: float(f(x[0]))  # noqa: E731
    found = difference(phi, np.array([at]), np.ones(1))
    assert found.kink
    assert (found.left, found.right) == pytest.approx((left, right), abs=1e-6)
    middle, outside = (left + right) / 2, right + 1
    assert found.gap(middle) == 0 and found.gap(outside) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("distance", "finer"), [(1e-4, 1), (1e-5, 24)])
def test_a_kink_beside_the_point_is_none(distance, finer):
    phi = lambda x: float(max(x[0], 0.0) + 2 * x[0])  # noqa: E731
    found = difference(phi, np.array([distance]), np.full(1, 1 / finer))
    assert not found.kink
    assert found.slope * finer == pytest.approx(3.0, abs=1e-8)


def test_steps_out_of_the_domain_are_left_out():
    with np.errstate(invalid="ignore"):
        found = difference(
            lambda x: float(np.log(x[0])), np.array([1e-4]), np.array([1.0])
        )
    assert abs(found.slope - 1e4) <= min(3 * found.noise, 0.1)


def test_no_finite_value_gives_nan():
    found = difference(lambda x: np.nan, np.ones(2), np.ones(2))
    assert np.isnan(found.slope) and found.noise == np.inf


def test_infinite_entries_are_not_moved():
    sizes = step_sizes(np.array([-np.inf, 2.0, np.nan, 0.0]))
    assert sizes.tolist() == [0.0, 2.0, 0.0, pytest.approx(2.0**0.5)]
    assert step_sizes(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]
