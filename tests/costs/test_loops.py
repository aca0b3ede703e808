"""Loops times their trips, branches as ranges, unknown trip counts said."""

import math

import jax.numpy as jnp
import pytest
from jax import lax

from jaxbp.costs import Range, traced_amount

X = jnp.ones(8)


def halve(x):
    """A loop of unknown length: 8 products a trip, 7 sums and a comparison to ask."""
    return lax.while_loop(lambda x: x.sum() > 1, lambda x: x * 0.5, x)


def test_a_loop_with_static_bounds_counts_every_trip():
    counted = traced_amount(lambda x: lax.fori_loop(0, 10, lambda _, y: y * x, x), X)
    assert counted.flops == Range(80, 80)
    assert not counted.unknown_loops


def test_loops_inside_loops_multiply():
    def outer(x):
        return lax.fori_loop(0, 3, lambda _, y: lax.fori_loop(0, 5, inner, y), x)

    def inner(_, y):
        return y + 1

    assert traced_amount(outer, X).flops == Range(3 * 5 * 8, 3 * 5 * 8)


def test_a_scan_does_not_count_what_no_step_needs():
    def step(carry, x):
        return carry + x, jnp.outer(carry, carry) @ x

    def f(x):
        return lax.scan(step, jnp.zeros(8), jnp.broadcast_to(x, (4, 8)))[0]

    assert traced_amount(f, X).flops == Range(32, 32)


def test_a_carry_needed_only_by_the_next_step_is_counted():
    def step(carry, _):
        used, helper = carry
        return (used + helper, helper * 2.0), None

    def f(x):
        return lax.scan(step, (x, x), None, length=4)[0][0]

    assert traced_amount(f, X).flops == Range(64, 64)


def test_a_branch_is_a_range():
    def f(p, x):
        return lax.cond(p, lambda x: x * 2 + 1, lambda x: jnp.tanh(x), x)

    counted = traced_amount(f, True, X)
    assert counted.flops == Range(0, 16)
    assert counted.transcendentals == Range(0, 8)


def test_an_unknown_trip_count_is_said_and_not_guessed():
    counted = traced_amount(halve, X)
    assert counted.flops == Range(8, math.inf)
    (where,) = counted.unknown_loops
    assert "test_loops.py" in where and "halve" in where


@pytest.mark.parametrize("trips", [0, 1, 7])
def test_a_trip_count_can_be_told(trips):
    counted = traced_amount(halve, X, while_trips=trips)
    assert counted.flops == Range(8 + trips * 16, 8 + trips * 16)
    assert not counted.unknown_loops


def test_a_loop_without_work_stays_without_work():
    def f(n, x):
        return lax.fori_loop(0, n, lambda _, y: y, x)

    assert traced_amount(f, 3, X).flops == Range(0, 0)
