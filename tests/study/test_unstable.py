"""Rows whose quartiles lie far apart: measured again, marked, and no claim's ground."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from jaxbp.study import Options, answers, command, plots, tables
from jaxbp.study.unstable import is_unstable, largest_whole, steady, widest

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
