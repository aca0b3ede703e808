"""Two runs side by side: paired by case, changed where quartiles do not meet."""

import json
import shutil

import pytest

from jaxbp.commands import main
from jaxbp.errors import DataError
from jaxbp.study import tables
from jaxbp.study.catalogue import results_folder
from jaxbp.study.compare import COLUMNS, compare

STUDY = "per_example"


@pytest.fixture
def runs(tmp_path):
    """The published run, and one where the first row took twice as long."""
    (published,) = results_folder().glob(f"{STUDY}/*/rows.csv")
    folders = []
    for name in ("a", "b"):
        folders.append(tmp_path / name)
        shutil.copytree(published.parent, folders[-1])
    rows = tables.read_csv(published.read_text())
    steady = next(row for row in rows if row["ratio_q75"] < 1.2 * row["ratio_q25"])
    for column in ("ratio", "ratio_q25", "ratio_q75", "time_s"):
        steady[column] *= 2
    rows.pop()
    (folders[1] / "rows.csv").write_text(tables.csv_text(rows))
    return folders


def test_the_row_that_changed_is_named(runs):
    found = compare(*runs)
    (changed,) = [row for row in found.rows if row.changed]
    assert changed.ratio == pytest.approx(2, 1e-4)
    assert changed.time_ratio == pytest.approx(2, 1e-4)
    assert found.only_a == 1 and found.only_b == 0
    text = str(found)
    assert "1 changed beyond the noise" in text and "1 only in a." in text
    assert changed.case in text and "JAX 0." in text


def test_a_run_beside_itself_has_not_changed(runs):
    found = compare(runs[0], runs[0])
    assert not any(row.changed for row in found.rows)
    assert all(row.time_ratio in (None, 1.0) for row in found.rows)
    assert len({row.case for row in found.rows}) == len(found.rows)


def test_on_the_command_line(runs, capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["study", "compare", *map(str, runs), "--json"])
    assert not stopped.value.code
    rows = json.loads(capsys.readouterr().out)
    assert sum(row["changed"] for row in rows) == 1


def test_what_cannot_be_compared(runs, tmp_path):
    with pytest.raises(DataError, match="no rows.csv with its provenance.json"):
        compare(runs[0], tmp_path / "none")
    told = json.loads((runs[1] / "provenance.json").read_text())
    (runs[1] / "provenance.json").write_text(json.dumps(told | {"study": "helmholtz"}))
    with pytest.raises(DataError, match="only runs of one study"):
        compare(*runs)


def test_no_two_columns_bear_one_name():
    names = [column.heading for column in COLUMNS]
    assert len(set(names)) == len(names)


def test_rows_without_a_ratio_and_a_time_are_counted_and_not_listed():
    (run,) = (path.parent for path in results_folder().glob("finite_diff*/*/rows.csv"))
    found = compare(run, run)
    assert found.untimed > 0 and str(found.untimed) in found.summary()
    assert all(row.ratio or row.time_ratio for row in found.rows)
