"""Measured roofs, and times read from their curves."""

import re

import pytest

from jaxbp import timing
from jaxbp.timing.roofs import Curve


def test_roofs_are_positive_and_measured_once():
    peak = timing.matmul_peak("float32")
    assert 1e8 < peak < 1e16
    assert timing.matmul_peak("float32") == peak
    assert 1e8 < timing.memory_bandwidth() < 1e14


def test_a_possible_rate_is_not_refused():
    peak = timing.matmul_peak("float32")
    assert timing.roof_fraction(peak / 2, 1.0) == pytest.approx(0.5)
    assert timing.refusal(peak / 2, 1.0) == ""


def test_an_impossible_rate_is_refused_with_its_numbers():
    flops = 3 * timing.matmul_peak("float32")
    reason = timing.refusal(flops, 1.0)
    # The roof is measured again before a row is refused, so the multiple is not 3.
    told = re.match(r"refused: .* is ([\d.]+) times the measured matmul roof", reason)
    assert told and float(told[1]) > 1


def test_a_curve_goes_through_its_points_and_grows_beyond_them():
    curve = Curve((1e2, 1e4), (1e-6, 1e-5))
    assert curve(1e2) == pytest.approx(1e-6) and curve(1e4) == pytest.approx(1e-5)
    assert curve(1e3) == pytest.approx(10**-5.5)  # half way, on log-log axes
    assert curve(0) == curve(1) == pytest.approx(1e-6)  # overhead
    assert curve(3e4) == pytest.approx(3e-5)


def test_the_roofs_of_this_device():
    roofs = timing.device_roofs("float32")
    assert roofs.flops_per_s == timing.matmul_peak("float32")
    for curve in (*roofs.straight, *roofs.looped):
        assert curve(1e9) > curve(1e3) > 0
    for straight, looped in zip(roofs.straight, roofs.looped, strict=True):
        assert all(map(float.__ge__, straight.seconds, looped.seconds))
    assert 1e6 < roofs.transcendentals_per_s < 1e14 and 0 < roofs.call_s < 1e-2
    assert {"flops_per_s", "bytes_per_s", "call_s"} < set(roofs.columns())
