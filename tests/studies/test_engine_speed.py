"""The speed study, on three small programs."""

import pathlib
import subprocess
import sys
from dataclasses import replace

import pytest

from jaxbp.errors import MissingRule
from jaxbp.study import GAP, Options, command
from jaxbp.study.catalogue import load_study

STUDY = load_study("engine_speed")
ROOT = pathlib.Path(__file__).parents[2]


def quick(*names):
    cases = [case for case in STUDY.quick if case["name"] in names]
    return [case | {"rounds": 3, "budget_s": 0.0} for case in cases]


def outcome_in(folder, redraw=False):
    study = replace(STUDY, quick=quick("mlp_wide", "tanh_rnn", "log_sum_exp"))
    results = pathlib.Path(folder)
    return command.execute(study, Options(quick=True, results=results, redraw=redraw))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Measured in a process of its own: each cold trace goes through all that a process
    holds, and what other tests hold is much."""
    folder = tmp_path_factory.mktemp("results")
    code = f"import {__name__} as here; here.outcome_in({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return outcome_in(folder, redraw=True)  # from the rows that are there


def test_each_program_is_right_and_timed_both_ways(outcome):
    assert len(outcome.rows) == 3 and not any(row.get(GAP) for row in outcome.rows)
    for row in outcome.rows:
        assert row["error"] < 1e-5
        for kind in ("ratio", "trace_ratio", "retrace_ratio"):
            assert 0 < row[f"{kind}_q25"] <= row[kind] <= row[f"{kind}_q75"]


def test_only_scans_stack(outcome):
    stacked = {row["name"]: row["stacked_bytes"] for row in outcome.rows}
    theirs = {row["name"]: row["jax_stacked_bytes"] for row in outcome.rows}
    assert stacked["mlp_wide"] == theirs["mlp_wide"] == 0
    assert 0 < stacked["tanh_rnn"] and 0 < theirs["tanh_rnn"]


def test_a_cold_trace_finds_the_engine_s_caches_empty():
    import jax

    import jaxbp

    jax.jit(jaxbp.grad(jax.numpy.tanh)).trace(1.0)
    forget_all = sys.modules["studies.engine_speed"].forget_all
    caches = [
        value
        for name, module in sys.modules.items()
        if name.startswith(
            (
                "jaxbp.ir",
                "jaxbp.linear",
                "jaxbp.rules",
                "jaxbp.walkers",
                "jaxbp.control",
                "jaxbp.transforms",
            )
        )
        for value in vars(module).values()
        if hasattr(value, "cache_info")
    ]
    assert sum(cache.cache_info().currsize for cache in caches) > 0
    forget_all()
    assert sum(cache.cache_info().currsize for cache in caches) == 0


def test_a_missing_rule_is_a_stated_gap(tmp_path, monkeypatch):
    def grad(f):
        def gradient(*args):
            raise MissingRule("no rule for primitive `fft` (/home/me/model.py:3)")

        return gradient

    monkeypatch.setattr("jaxbp.grad", grad)
    study = replace(STUDY, quick=quick("fft_convolution"))
    (row,) = command.execute(study, Options(quick=True, results=tmp_path)).rows
    assert row[GAP] == "no rule: for primitive `fft`"


def test_a_wrong_gradient_is_a_stated_gap_without_times(tmp_path, monkeypatch):
    import jax

    monkeypatch.setattr("jaxbp.grad", lambda f: jax.grad(lambda *a: 1.01 * f(*a)))
    study = replace(STUDY, quick=quick("mlp_wide"))
    (row,) = command.execute(study, Options(quick=True, results=tmp_path)).rows
    assert row[GAP].startswith("wrong result") and "ratio" not in row


def test_geometric_means_over_the_groups():
    rows = [
        {"name": name, "ratio": ratio, "trace_ratio": 1.0, "retrace_ratio": 1.0}
        | {
            f"{c}_{q}": 1.0
            for c in ("ratio", "trace_ratio", "retrace_ratio")
            for q in ("q25", "q75")
        }
        for name, ratio in (("lstm", 0.5), ("rk4", 2.0))
    ]
    each, means = STUDY.summary(rows).values()
    assert [row["run"] for row in each] == ["0.50 [1.00, 1.00]", "2.00 [1.00, 1.00]"]
    everything, _, everyday = means
    assert everything["run"] == pytest.approx(1) and everything["run, largest"] == 2
    assert everyday["run"] == pytest.approx(0.5)


def test_sixteen_programs_or_more_at_real_size():
    assert len({case["name"] for case in STUDY.cases}) >= 16
    assert {case["size"] for case in STUDY.cases} == {"real"}
