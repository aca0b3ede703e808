"""A study from its command line to the files it leaves."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from jaxbp.errors import DataError
from jaxbp.study import GAP, Options, command, run

TOY = Path(__file__).with_name("toy.py")


@pytest.fixture
def toy():
    """The toy study, and a list of the cases it measures."""
    spec = importlib.util.spec_from_file_location("toy", TOY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    seen = []

    def measured(case):
        seen.append(case["n"])
        return module.measured(case)

    return replace(module.study, measure=measured), seen


def test_a_run_writes_everything_and_says_so(toy, tmp_path, capsys):
    study, _ = toy
    outcome = run(study, ["--quick", "--results", str(tmp_path)])
    assert outcome.folder == tmp_path / "toy" / outcome.folder.parts[-2] / "quick"
    names = ["rows.csv", "table.md", "provenance.json", "figure.svg", "figure.png"]
    assert [file.name for file in outcome.files] == names
    assert all(file.stat().st_size > 0 for file in outcome.files)
    screen = capsys.readouterr().out
    assert "A study of nothing much" in screen and "1 ms" in screen
    assert "unlucky: it is seven" in screen
    assert all(name in screen for name in names)


def test_provenance_names_what_a_reader_needs(toy, tmp_path):
    outcome = run(toy[0], ["--quick", "--device", "cpu", "--results", str(tmp_path)])
    text = (outcome.folder / "provenance.json").read_text()
    told = json.loads(text)
    assert told["command"] == "jaxbp study toy --quick --device cpu"
    assert told["device"]["platform"] == "cpu" and told["device"]["cores"] >= 1
    assert told["versions"]["jax"] == jax.__version__
    assert told["seed"] == [0] and told["dtype"] == []
    assert (told["rows"], told["gaps"]) == (2, 1)
    assert {"commit", "dirty", "date", "fingerprint", "measured_s"} <= set(told)
    assert str(tmp_path) not in text and str(Path.home()) not in text


def test_a_second_run_measures_only_what_is_missing(toy, tmp_path):
    study, seen = toy
    first = replace(study, quick=study.quick[:1])
    assert command.execute(first, Options(quick=True, results=tmp_path)).measured == 1
    outcome = command.execute(study, Options(quick=True, results=tmp_path))
    assert seen == [1, 7] and outcome.measured == 1 and len(outcome.rows) == 2
    assert command.execute(study, Options(quick=True, results=tmp_path)).measured == 0


def test_fresh_measures_everything_again(toy, tmp_path):
    study, seen = toy
    for options in (
        Options(True, results=tmp_path),
        Options(True, None, tmp_path, True),
    ):
        assert command.execute(study, options).measured == 2
    assert seen == [1, 7, 1, 7]


def test_a_changed_setting_is_another_row(toy, tmp_path):
    study, seen = toy
    options = Options(quick=True, results=tmp_path)
    command.execute(study, options)
    changed = replace(study, quick=[case | {"seed": 1} for case in study.quick])
    assert {row["seed"] for row in command.execute(changed, options).rows} == {1}
    assert seen == [1, 7, 1, 7]


def test_changed_code_is_another_fingerprint(toy, tmp_path):
    study, seen = toy
    script = tmp_path / "toy.py"
    script.write_text(TOY.read_text())
    options = Options(quick=True, results=tmp_path)
    command.execute(replace(study, file=str(script)), options)
    script.write_text(TOY.read_text() + "\n# changed\n")
    assert command.execute(replace(study, file=str(script)), options).measured == 2


def test_redraw_gives_the_same_bytes_without_measuring(toy, tmp_path):
    study, seen = toy
    options = Options(quick=True, results=tmp_path)
    outcome = command.execute(study, options)
    before = [file.read_bytes() for file in outcome.files]
    again = command.execute(study, replace(options, redraw=True))
    assert [file.read_bytes() for file in again.files] == before
    assert seen == [1, 7] and again.measured == 0


def test_redraw_without_rows_says_what_to_do(toy, tmp_path):
    with pytest.raises(DataError, match="no rows.csv.*Run the study without --redraw"):
        command.execute(toy[0], Options(redraw=True, results=tmp_path))


def test_the_table_is_drawn_from_the_rows_and_names_its_commit(toy, tmp_path):
    outcome = command.execute(toy[0], Options(quick=True, results=tmp_path))
    table = (outcome.folder / "table.md").read_text()
    assert table.startswith("# A study of nothing much")
    assert "| 1 | 1 ms | 0.333 |" in table
    assert "| 7 | unlucky: it is seven |  |" in table
    told = json.loads((outcome.folder / "provenance.json").read_text())
    assert str(told["commit"]) in table


def test_a_summary_answers_on_the_screen_and_in_the_table(toy, tmp_path, capsys):
    study = replace(toy[0], summary=lambda rows: {"In short": [{"rows": len(rows)}]})
    outcome = command.execute(study, Options(quick=True, results=tmp_path))
    assert "In short" in capsys.readouterr().out
    assert "## In short\n\n| rows |" in (outcome.folder / "table.md").read_text()


def test_out_of_memory_is_a_stated_gap(toy, tmp_path):
    def measured(case):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 3 TiB")

    study = replace(toy[0], measure=measured)
    rows = command.execute(study, Options(quick=True, results=tmp_path)).rows
    assert {row[GAP] for row in rows} == {"the device ran out of memory"}


@pytest.mark.parametrize(("load", "warned"), [(0.1, False), (3.0, True), (None, False)])
def test_a_busy_machine_is_told_and_recorded(
    toy, tmp_path, capsys, monkeypatch, load, warned
):
    monkeypatch.setattr(command.timing, "load", lambda: load)
    outcome = command.execute(toy[0], Options(quick=True, results=tmp_path))
    assert ("This machine is busy" in capsys.readouterr().out) is warned
    told = json.loads((outcome.folder / "provenance.json").read_text())
    assert told["load"] == load


@pytest.mark.parametrize(
    "error", [ValueError("mistake"), jax.errors.JaxRuntimeError("INTERNAL: mistake")]
)
def test_another_error_stops_the_study_and_names_the_case(toy, tmp_path, error):
    def measured(case):
        raise error

    study = replace(toy[0], measure=measured)
    with pytest.raises(type(error), match="mistake") as caught:
        command.execute(study, Options(quick=True, results=tmp_path))
    assert "'n': 1" in caught.value.__notes__[0]


def test_an_absent_device_is_one_line_and_exit_status_2(toy, tmp_path, capsys):
    absent = "tpu" if jax.default_backend() != "tpu" else "gpu"
    with pytest.raises(SystemExit) as stop:
        run(toy[0], ["--device", absent, "--results", str(tmp_path)])
    assert stop.value.code == 2
    assert f"`device` is `{absent}`" in capsys.readouterr().err


def test_an_interrupt_keeps_rows_and_says_how_to_go_on(toy, tmp_path, capsys):
    study, seen = toy

    def measured(case):
        if case["n"] == 7:
            raise KeyboardInterrupt
        return study.measure(case)

    arguments = ["--quick", "--results", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        run(replace(study, measure=measured), arguments)
    assert stop.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert run(study, arguments).measured == 1 and seen == [1, 7]


@pytest.mark.parametrize(("dtype", "expected"), [("float32", 4), ("float64", 8)])
def test_a_case_s_dtype_and_precision_are_set_while_it_is_measured(dtype, expected):
    case = {"dtype": dtype, "precision": "highest"}
    with command.arithmetic(case):
        assert jax.numpy.ones(1).itemsize == expected
        assert jax.config.jax_default_matmul_precision == "highest"
    assert jax.config.jax_enable_x64 and not jax.config.jax_default_matmul_precision


def test_the_progress_label_names_what_varies():
    cases = [{"n": 1, "seed": 0}, {"n": 2, "seed": 0}]
    assert command.label(cases[1], cases) == "2"
