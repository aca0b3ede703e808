"""The main study, on one small network."""

from dataclasses import replace

import pytest

from jaxbp.study import GAP, Options, command, is_gap
from jaxbp.study.catalogue import load_study

STUDY = load_study("forward_vs_reverse")
SMALL = dict(width=4, depth=1, batch=3, rounds=3, budget_s=0.0)


def first(network, **changes):
    """The quick cases of the first network of a kind, made small."""
    cases = [case for case in STUDY.quick if case["network"] == network]
    methods = {case["method"]: case for case in reversed(cases)}
    return [case | SMALL | changes for case in methods.values()]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    study = replace(STUDY, quick=[*first("digits"), *first("mlp")])
    folder = tmp_path_factory.mktemp("results")
    return command.execute(study, Options(quick=True, results=folder))


def test_every_method_is_right_and_measured(outcome):
    assert len(outcome.rows) == 16 and not [r[GAP] for r in outcome.rows if is_gap(r)]
    exact = [row for row in outcome.rows if row["method"] != "differences"]
    assert all(row["closeness"] < 1e-5 for row in exact)
    assert all(row["closeness"] < 1e-2 for row in outcome.rows)
    assert all(0 < row["roof_fraction"] < 1.05 for row in outcome.rows)
    assert all(row["parameters"] == 64 * 4 + 4 + 4 * 10 + 10 for row in outcome.rows)


def test_the_digits_network_is_trained_first(outcome):
    assert outcome.rows[0]["network"] == "digits"
    assert outcome.rows[0]["test_accuracy"] > 0.5  # 4 hidden units; 0.1 is guessing


def test_counts_come_from_the_linear_program(outcome):
    for row in outcome.rows:
        assert row["f_flops"] > 2 * 3 * (64 * 4 + 4 * 10)
        assert row["f_flops"] < row["pullback_flops"] < 2.5 * row["f_flops"]
        assert row["tape_bytes"] > 4 * 3 * 64  # the images, at least


def test_flops_of_column_wise_methods_grow_with_the_columns(outcome):
    flops = {row["method"]: row["flops_ratio"] for row in outcome.rows}
    assert flops["f"] == 1
    assert flops["engine reverse"] == pytest.approx(flops["jax.grad"], rel=0.05)
    # 310 tangents, and f once in each of three chunks.
    columns = 310 * (flops["one pushforward"] - 1) + 3
    assert flops["engine forward"] == pytest.approx(columns, rel=0.05)
    assert 2 * 310 < flops["differences"] < 4 * 310


def test_too_dear_is_a_stated_gap(tmp_path):
    for limit in ("budget_flops", "budget_bytes"):
        cases = first("mlp", **{limit: 1e4})
        study = replace(STUDY, quick=cases)
        rows = command.execute(study, Options(True, results=tmp_path)).rows
        gaps = {row["method"]: row[GAP] for row in rows if is_gap(row)}
        assert set(gaps) == {"engine forward", "jax.jacfwd", "differences"}
        assert all(gap.startswith("over budget: ") for gap in gaps.values())
        assert all("limit 1.0e+04" in gap for gap in gaps.values())


def test_the_summary_finds_the_exponents_of_made_up_rows():
    rows = [
        case | {"parameters": n, "ratio": ratio, "flops_ratio": ratio}
        for case in STUDY.cases
        if case["network"] == "mlp"
        for n in [case["width"] * case["depth"]]
        for ratio in [n if case["method"] == "engine forward" else 3.0]
    ]
    ratios, growths = STUDY.summary(rows).values()
    told = {row["method"]: row for row in growths}
    assert told["engine forward"]["ratio over width"] == "n^1.00 [1.00, 1.00]"
    assert told["engine reverse"]["ratio over depth"].startswith("n^0.00")
    assert told["engine reverse"]["ratio over batch"].startswith("b^0.00")
    assert ratios[0]["engine reverse"] == 3.0


def test_the_full_run_covers_what_is_asked():
    axes = {
        axis: {c[axis] for c in STUDY.cases} for axis in ("width", "depth", "batch")
    }
    assert all(len(values) >= 5 for values in axes.values())
    assert len({case["method"] for case in STUDY.cases}) == 8
