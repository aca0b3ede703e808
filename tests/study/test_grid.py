"""Cases: products, sweeps, and rows along an axis."""

import pytest

from jaxbp.errors import InvalidArgument
from jaxbp.study import GAP, along, crossed, distinct, grid, numbered, sweep
from jaxbp.study.grid import case_key

BASE = {"width": 8, "depth": 2}


def test_a_grid_is_the_product_with_the_last_axis_fastest():
    assert grid(a=[1, 2], b=["x", "y"], c=5) == [
        {"a": 1, "b": "x", "c": 5},
        {"a": 1, "b": "y", "c": 5},
        {"a": 2, "b": "x", "c": 5},
        {"a": 2, "b": "y", "c": 5},
    ]


def test_a_sweep_changes_one_axis_at_a_time_and_has_the_base_once():
    assert sweep(BASE, width=[4, 8], depth=[2, 3]) == [
        {"width": 4, "depth": 2},
        {"width": 8, "depth": 2},
        {"width": 8, "depth": 3},
    ]


def test_a_sweep_of_an_unknown_axis_is_refused():
    with pytest.raises(InvalidArgument, match="axis `batch` is no entry.*`width`"):
        sweep(BASE, batch=[1, 2])


def test_crossed_puts_further_axes_on_every_case():
    assert crossed([{"a": 1}, {"a": 2}], m=["f", "g"], seed=0) == [
        {"a": 1, "m": "f", "seed": 0},
        {"a": 1, "m": "g", "seed": 0},
        {"a": 2, "m": "f", "seed": 0},
        {"a": 2, "m": "g", "seed": 0},
    ]


def test_along_finds_the_rows_of_one_sweep():
    rows = [{**case, "time_s": 1.0} for case in sweep(BASE, width=[4], depth=[2, 3])]
    assert [row["width"] for row in along(rows, BASE, "width")] == [4, 8]
    assert [row["depth"] for row in along(rows, BASE, "depth")] == [2, 3]


def test_keys_ignore_the_order_of_entries_and_distinct_keeps_the_first():
    assert case_key({"a": 1, "b": 2}) == case_key({"b": 2, "a": 1})
    assert distinct([{"a": 1}, {"a": 2}, {"a": 1}]) == [{"a": 1}, {"a": 2}]


def test_numbered_leaves_out_stated_gaps():
    rows = [{"a": 1, "b": 2.0}, {"a": 1, GAP: "too dear"}, {"a": 2, "b": 3.0}]
    assert numbered(rows, a=1) == rows[:1]
    assert numbered(rows) == [rows[0], rows[2]]
