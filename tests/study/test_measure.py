"""Shared columns: correctness, ratios, roofs, stacked bytes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import timing
from jaxbp.study import GAP, measure

A = jnp.full((64, 64), 0.01)
CASE = dict(dtype="float64", rounds=3, budget_s=0.1)


def test_a_contender_has_all_columns():
    base = measure.baseline(lambda a: a @ a, A, dtype="float64")
    f = lambda a: a @ a @ a  # noqa: E731
    row = measure.contest(f, (A,), base, CASE, f(A), loop_steps=2)
    assert row["ratio_q25"] <= row["ratio"] <= row["ratio_q75"]
    assert 0 < row["time_min_s"] <= row["time_s"] and row["base_s"] > 0
    assert row["counted_flops"] == 4 * 64**3 and row["flops_ratio"] == 2
    assert row["xla_flops"] == pytest.approx(2 * row["counted_flops"], rel=0.01)
    assert 0 < row["roof_fraction"] < 1.05
    assert row["predicted_s"] > 0 and row["predicted_ratio"] > 1
    assert {"trace_s", "lower_s", "compile_s", "first_run_s", "xla_peak_bytes"} <= set(
        row
    )


def test_others_are_timed_beside_the_contender():
    base = measure.baseline(lambda a: a @ a, A, dtype="float64")
    f = lambda a: a @ a @ a  # noqa: E731
    others = {"same": timing.stages(f, A), "more": timing.stages(lambda a: a + 1, A)}
    row = measure.contest(f, (A,), base, CASE, f(A), beside=others)
    for name in others:
        assert row[f"over_{name}_q25"] <= row[f"over_{name}"] <= row[f"over_{name}_q75"]
    assert row["same_same"] and not row["same_more"]


def test_a_wrong_contender_is_not_timed():
    base = measure.baseline(lambda a: a @ a, A, dtype="float64")
    row = measure.contest(lambda a: a @ a + 1e-3, (A,), base, CASE, base.output)
    assert row[GAP].startswith("wrong result") and "time_s" not in row


def test_a_right_result_has_its_closeness_and_no_gap():
    row = measure.correctness({"a": A + 1e-14}, {"a": A}, 0.0, "float64")
    assert row["closeness"] == pytest.approx(1e-14, rel=0.1)
    assert row["error"] == pytest.approx(1e-12, rel=0.1)
    assert GAP not in row


@pytest.mark.parametrize("off", [1e-9, np.nan, np.inf])
def test_a_wrong_result_is_a_stated_gap(off):
    row = measure.correctness([A, A + off, A], [A, A, A], 0.0, "float64")
    assert row[GAP].startswith("wrong result: off by")


def test_rounding_of_cancelled_terms_is_explained():
    assert GAP not in measure.correctness(A + 1e-9, A, 1e2, "float64")


def test_a_possible_row_gets_its_share_of_the_roof():
    flops = timing.matmul_peak("float32") / 4
    row = measure.below_roof(
        {"xla_flops": flops, "time_s": 1.0}, "xla_flops", "float32"
    )
    assert row["roof_fraction"] == pytest.approx(0.25)


def test_an_impossible_row_loses_its_times():
    flops = 10 * timing.matmul_peak("float32")
    row = {"xla_flops": flops, "time_s": 1.0, "ratio": 2.0, "n": 3}
    refused = measure.below_roof(row, "xla_flops", "float32")
    assert refused["time_s"] is None and refused["ratio"] is None
    assert refused["n"] == 3 and refused[GAP].startswith("refused:")


def test_a_row_without_a_count_passes():
    row = {"xla_flops": None, "time_s": 1.0}
    assert measure.below_roof(row, "xla_flops", "float32") == row
