"""Every study, measured on a few tiny cases: right columns, summary, figure.

What a study claims is not asserted here: that is what its full run is for.
"""

import warnings

import pytest

from jaxbp.errors import DataError
from jaxbp.study import Options, command, is_gap, measure, plots, tables
from jaxbp.study.catalogue import load_study, study_files
from jaxbp.study.labels import LABEL_POINTS
from jaxbp.timing import Roofs
from jaxbp.timing.roofs import Curve, Steps

CASES = 5  # of a study: each compiles a program or two
ONE = Curve((1.0, 2.0), (1e-9, 2e-9))
STEPS = Steps(ONE, ONE)
ROOFS = Roofs(1e11, 1e10, STEPS, STEPS, 1e9, 1e9, 1e-6)  # measured ones take seconds
OPTIONAL = {"device_peak_bytes"}  # a CPU's allocator tells none
README_PIXELS = 838  # that a figure is shown wide
SKIPPED = {"engine_speed", "prediction"}  # has a test of its own; measures nothing


def tiny(study):
    """Few quick cases that show most words that cases use, timed as short as can be."""
    seen, chosen = set(), []
    for case in study.quick:
        words = {(k, v) for k, v in case.items() if isinstance(v, str)}
        if not words <= seen and len(chosen) < CASES:
            seen |= words
            chosen.append(case | {"rounds": 3, "budget_s": 0.0})
    return chosen


@pytest.mark.parametrize("name", sorted(set(study_files()) - SKIPPED))
def test_a_study_measures_its_cases(name, monkeypatch):
    monkeypatch.setattr(measure, "device_roofs", lambda dtype: ROOFS)
    monkeypatch.setattr(measure, "refusal", lambda *_: "")
    monkeypatch.setattr(measure, "roof_fraction", lambda *_: 0.5)
    study = load_study(name)
    cases = tiny(study)
    rows = [command.measured_row(study, case)[0] for case in cases]
    rows = tables.read_csv(tables.csv_text(rows))
    numbers = [row for row in rows if not is_gap(row)]
    assert numbers, [row.get("gap") for row in rows]
    wrong = [row["gap"] for row in rows if is_gap(row) and "wrong" in row["gap"]]
    assert not wrong
    for row in numbers:  # no time without a check, no measurement without prediction
        assert "time_s" not in row or {"closeness", "predicted_s"} <= set(row)
    assert set(study.columns) <= set(tables.column_names(rows)) | OPTIONAL
    summary = study.summary(rows) if study.summary else {}
    assert all(isinstance(title, str) for title in summary)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plots.draw(study.plot, rows, study.panels, study.headline)
    assert any(axis.lines or axis.images for axis in figure.axes)
    pixels = README_PIXELS / figure.get_size_inches()[0] / 72 * LABEL_POINTS
    assert pixels >= 8.9  # high: the smallest text of a figure as GitHub shows it


def test_prediction_reads_and_judges_the_rows_of_others(tmp_path):
    shape = "part,n,m,hidden,batch,dtype,precision,seed,rounds,budget_s"
    case = "shapes,4,64,256,1,float32,highest,0,9,0.6"
    lines = [
        f"{shape},method,mode,time_s,predicted_s,gap",
        f"{case},pushforwards,forward,1e-3,3e-3,",
        f"{case},pullbacks,reverse,2e-3,4e-3,",
        f"{case},pullbacks,reverse,,,refused: too fast",
    ]
    folder = tmp_path / "jacobian_shapes" / "some-device"
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    study = load_study("prediction")
    rows = study.gather(tmp_path, "some-device", False)
    assert [row["off"] for row in rows] == pytest.approx([3, 2])
    ((title, (whole, *_)),) = study.summary(rows).items()
    assert "named in 1 of 1 cases" in title
    assert whole["median factor off"] == pytest.approx(2.5)
    plots.draw(study.plot, rows, study.panels, study.headline)


def test_a_study_of_no_rows_says_what_to_run_first(tmp_path):
    options = Options(quick=True, results=tmp_path)
    with pytest.raises(DataError, match="no rows of other studies.*Run some first"):
        command.execute(load_study("prediction"), options)
