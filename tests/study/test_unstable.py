"""Rows whose quartiles lie far apart: measured again, marked, and no claim's ground."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from jaxbp.study import Options, answers, command, plots, tables
from jaxbp.study.catalogue import load_study, results_folder
from jaxbp.study.scaling import at_the_end, growth
from jaxbp.study.unstable import (
    Doubtful,
    has_doubts,
    is_unstable,
    largest_whole,
    steady,
    widest,
)

CALM = {"n": 1, "ratio": 2.0, "ratio_q25": 1.9, "ratio_q75": 2.1}
ROUGH = {"n": 2, "ratio": 3.0, "ratio_q25": 2.0, "ratio_q75": 3.1}
OTHER = {"n": 3, "ratio": 1.0, "trace_ratio": 1.0, "trace_ratio_q25": 1.0,
         "trace_ratio_q75": 1.6}  # fmt: skip


def test_what_is_unstable():
    assert [is_unstable(row) for row in (CALM, ROUGH, OTHER, {"n": 4})] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not is_unstable(OTHER, "ratio") and is_unstable(OTHER, "trace_ratio")
    assert widest(ROUGH) == pytest.approx(1.55) and widest({}) == 1
    assert steady([CALM, ROUGH]) == [CALM]


def test_a_claim_compares_where_all_are_steady():
    rows = [{"n": n, "m": m} for n, m in ((1, "a"), (1, "b"), (2, "a"))]
    assert largest_whole(rows, "n", "m", "ab") == 1
    assert largest_whole(rows, "n", "m", "abc") is None


def test_tables_mark_the_ratio():
    text = tables.markdown([CALM, ROUGH], ["n", "ratio"])
    assert "| 2 |\n" in text and "| 3 ~ |" in text


def test_pictures_draw_it_hollow_and_say_why():
    def plot(rows, axes):
        rows = [row | {"method": "x"} for row in rows]
        plots.lines(axes[0], rows, "n", "ratio", {"x": "blue"})

    figure = plots.draw(plot, [CALM, ROUGH], 1, "?")
    (hollow,) = [
        one for one in figure.axes[0].lines if one.get_gid() == plots.UNSTABLE_POINT
    ]
    assert list(hollow.get_xdata()) == [2]
    assert "hollow: quartiles" in figure.get_supxlabel()
    assert not plots.draw(plot, [CALM], 1, "?").get_supxlabel()


def test_dots_too():
    axis = Figure().subplots()
    plots.ratio_dots(axis, ["a", "b"], [CALM, ROUGH], "ratio", "blue")
    assert [one.get_gid() for one in axis.lines].count(plots.UNSTABLE_POINT) == 1


@pytest.fixture
def toy():
    path = Path(__file__).with_name("toy.py")
    spec = importlib.util.spec_from_file_location("toy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.study


@pytest.mark.parametrize(("second", "kept"), [(CALM, 2.0), (ROUGH, 3.0)])
def test_such_a_row_is_measured_once_more_and_the_calmer_kept(
    toy, tmp_path, second, kept
):
    measured = iter([ROUGH, second])
    study = replace(
        toy,
        quick=toy.quick[:1],
        measure=lambda case: next(measured),
        claim=lambda rows: f"{len(rows)} rows.",
    )
    outcome = command.execute(study, Options(quick=True, results=tmp_path))
    assert [row["ratio"] for row in outcome.rows] == [kept]
    table = (outcome.folder / "table.md").read_text()
    assert ("no claim rests on such a row" in table) == (kept == 3.0)
    assert answers.answer(study, outcome.rows) == f"{int(kept == 2.0)} rows."


def test_summaries_take_the_mark_along():
    rows = [CALM | {"method": "a"}, ROUGH | {"method": "a"}]
    shown = tables.pivot(rows, ["n"], "method", "ratio")
    assert "| 3 ~ |" in tables.markdown(shown, ["n", "a"])
    assert "2 |" in tables.markdown(shown, ["n", "a"]).splitlines()[2]
    assert has_doubts(shown) and not has_doubts(shown[:1])
    assert "3 ~" in str(tables.table(shown, ["n", "a"]))
    (line,) = at_the_end(rows, ["method"], "n", ["ratio"], {})
    assert isinstance(line["ratio"], Doubtful) and not isinstance(line["n"], Doubtful)


def test_a_growth_rests_on_steady_rows():
    rows = [CALM | {"n": n, "ratio": float(n)} for n in (1, 2, 4)]
    whole = growth(rows, "n", "ratio")
    assert growth([*rows, ROUGH | {"n": 8}], "n", "ratio") == whole


def test_a_claim_that_counts_is_given_all_rows(toy):
    told = replace(toy, claim=lambda rows: str(len(rows)), counts=True)
    assert answers.answer(told, [CALM, ROUGH]) == "2"
    assert answers.answer(replace(told, counts=False), [CALM, ROUGH]) == "1"


@pytest.mark.parametrize("unsteady", [(), ("jaxbp",), ("jaxbp, checkpoint", "jax")])
def test_the_claim_of_tape_memory_names_one_length(unsteady):
    """Bytes are of the largest length whatever the clock says; a time's is named."""
    study = load_study("tape_memory")
    methods = ("jaxbp", "jax", "jaxbp, checkpoint", "jax, checkpoint")
    rows = [
        {"family": family, "method": method, "length": length,
         "tape_bytes": length * 2**20, "xla_temp_bytes": 2**20, "ratio": float(length),
         "ratio_q25": 1.0,
         "ratio_q75": 2.0 if length == 32 and method in unsteady else 1.1}
        for family in ("MLP", "RNN") for length in (8, 16, 32) for method in methods
    ]  # fmt: skip
    told = answers.answer(study, rows)
    assert "32 layers of the MLP keep 32 MiB on the tape, 32 in JAX" in told
    at = " at length 16" if unsteady else ""
    price = 16 if unsteady else 32
    assert f"for {price} in place of {price} times f{at} (XLA" in told


def test_counted_flops_need_no_steady_time():
    study = load_study("cheap_gradient")
    (file,) = results_folder().glob("cheap_gradient/*/rows.csv")
    rows = tables.read_csv(file.read_text())
    told = answers.answer(study, rows)
    assert re.search(r"Of \d\d programs", told) and "`determinant`: " in told


def test_what_is_doubtful_for_the_heat_map_is_so_for_table_and_claim():
    study = load_study("jacobian_shapes")
    (file,) = results_folder().glob("jacobian_shapes/*/rows.csv")
    rows = tables.read_csv(file.read_text())
    first, others, _ = study.summary(rows).values()
    cells = [v for line in (*first, *others) for v in line.values()]
    marked = sum(isinstance(v, Doubtful) for v in cells)
    relied = len([r for r in rows if r.get("method") == "pushforwards"]) - marked
    assert f"networks {relied} are counted" in answers.answer(study, rows)


def test_a_figure_of_two_rows_hides_what_is_left_empty():
    figure = plots.draw(lambda rows, axes: axes[0].plot([1, 2]), [], (1, 2), "?")
    assert [axis.get_visible() for axis in figure.axes] == [True, False]


def test_the_loop_of_per_example_is_told_where_it_is_the_cheapest():
    study = load_study("per_example")
    (file,) = results_folder().glob("per_example/*/rows.csv")
    assert "The loop is the cheapest way for 256 examples at width 128" in (
        answers.answer(study, tables.read_csv(file.read_text()))
    )


def test_contests_of_sparse_jacobians_are_marked_too():
    plot = load_study("sparse_jacobians").plot
    rows = [row | {"problem": "heat", "peer": "dense"} for row in (CALM, ROUGH)]
    figure = plots.draw(plot, rows, 1, "?")
    gids = [one.get_gid() for one in figure.axes[0].lines]
    assert gids.count(plots.UNSTABLE_POINT) == 1
