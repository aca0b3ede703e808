"""Counts of starts and steps: against dynamic programs, and the field's numbers."""

import functools

import pytest

from jaxbp.control.loop import treeverse


@functools.cache
def least(length, slots):
    """Steps forward, by trying every place of the next start."""
    if length <= 1:
        return 0
    if slots == 1:
        return length * (length - 1) // 2
    ways = range(1, length)
    return min(n + least(length - n, slots - 1) + least(n, slots) for n in ways)


def by_the_split(length, slots):
    if length <= 1:
        return 0
    ahead = treeverse.ahead(length, slots)
    right = by_the_split(length - ahead, slots - 1) if slots > 1 else 0
    return ahead + right + by_the_split(ahead, slots)


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8])
def test_counts_and_splits_are_the_least(slots):
    for length in range(1, 40):
        assert treeverse.advances(length, slots) == least(length, slots)
        assert by_the_split(length, slots) == least(length, slots)


def test_the_numbers_of_the_field():
    found = {
        (10, 3): 15, (56, 5): 140, (100, 10): 222, (1000, 10): 3636,
        (13465, 116): 33374, (10**6, 20): 6815960,
    }  # fmt: skip
    for case, steps in found.items():
        assert treeverse.advances(*case) == steps


@pytest.mark.parametrize("length", [2, 3, 17, 100, 101, 1000, 10**6])
def test_a_layout_keeps_within_the_budget_and_more_bytes_mean_fewer_runs(length):
    state, tape, last = 24, 56, None
    for budget in (10**3, 10**4, 10**5, 10**6, 10**8):
        it = treeverse.layout(length, state, tape, budget)
        assert it.length == length and it.slots <= it.blocks
        assert it.bytes(state, tape) <= budget
        assert it.runs <= (last or 12 * length)
        last = it.runs
    assert it == (length, 0, length, 0) and it.runs == length


def test_without_any_budget_it_is_the_least_of_few_repetitions():
    it = treeverse.layout(10**6, 8, 8, 0)
    assert it.slots < 20 and it.runs <= 12 * it.length
