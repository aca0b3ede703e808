"""Power laws recovered, with intervals that mean what they say."""

import numpy as np
import pytest

from jaxbp.errors import InvalidArgument
from jaxbp.study import fit_power, growth

X = np.array([1.0, 2, 5, 10, 30, 100, 300])


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 2.0])
def test_an_exact_power_law_is_recovered(exponent):
    fit = fit_power(X, 3 * X**exponent)
    assert fit.exponent == pytest.approx(exponent, abs=1e-12)
    assert fit.constant == pytest.approx(3)
    assert fit.upper - fit.lower < 1e-12 and fit.points == len(X)
    assert fit(50.0) == pytest.approx(3 * 50**exponent)


def test_the_interval_holds_the_exponent_as_often_as_a_bootstrap_of_20_points_can():
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 1000, 20)
    hits = 0
    for seed in range(100):
        fit = fit_power(x, x * np.exp(0.3 * rng.standard_normal(20)), seed=seed)
        hits += fit.lower <= 1 <= fit.upper
    assert 84 <= hits <= 99  # nominally 95; small samples make percentiles narrow


def test_the_same_seed_gives_the_same_interval():
    y = X * np.exp(np.sin(X))
    assert fit_power(X, y, seed=1) == fit_power(X, y, seed=1)
    assert fit_power(X, y, seed=1).lower != fit_power(X, y, seed=2).lower


def test_resamples_of_a_single_x_do_not_count():
    fit = fit_power([1.0, 2.0], [1.0, 4.0])  # half of all resamples are of one x
    assert (fit.lower, fit.upper) == pytest.approx((2, 2))


def test_it_prints_its_interval():
    assert str(fit_power(X, X)) == "1.00 [1.00, 1.00]"


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        ([1, 1], [2, 3], "at least two different `x`"),
        ([1, 2], [2, 3, 4], "2 x, 3 y"),
        ([1, -2], [2, 3], r"`x` must hold positive numbers only, but is \[1, -2\]"),
        ([1, 2], [2, float("nan")], "`y` must hold positive"),
        ([], [], "`x` must hold positive"),
    ],
)
def test_what_has_no_exponent_is_refused(x, y, match):
    with pytest.raises(InvalidArgument, match=match):
        fit_power(x, y)


def test_growth_is_text_of_the_rows_that_have_a_number():
    rows = [{"width": w, "time_s": w**2.0, "bytes": 0} for w in (1, 2, 4)]
    assert growth(rows, "width", "time_s") == "w^2.00 [2.00, 2.00]"
    assert growth(rows, "width", "time_s", symbol="n").startswith("n^2.00")
    assert growth(rows[:2], "width", "time_s") == "-"
    assert growth(rows, "width", "bytes") == growth(rows, "width", "none") == "-"


def test_resamples_of_one_point_are_left_out():
    """Three equal logarithms may have a mean that is none of them."""
    fit = fit_power([100, 500, 2000], [1.0, 1.1, 1.2])
    assert abs(fit.lower) < 1 and abs(fit.upper) < 1
