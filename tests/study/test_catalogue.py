"""Studies by name, found from anywhere."""

import json

import pytest

import jaxbp.study.catalogue as catalogue
from jaxbp.errors import DataError, UnknownName
from jaxbp.study import Options, list_studies, run_named
from jaxbp.study.grid import case_key


def test_the_repository_s_studies_are_found_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"forward_vs_reverse", "engine_speed"} <= set(catalogue.study_files())


def test_an_unknown_study_names_its_nearest():
    with pytest.raises(UnknownName, match="called `forward_vs_revers`.*Did you mean"):
        run_named("forward_vs_revers")


def test_the_list_tells_question_results_and_minutes():
    rows = {row["name"]: row for row in list_studies()}
    told = rows["forward_vs_reverse"]
    assert told["question"].endswith("?") and told["minutes"] > 0
    assert isinstance(told["results"], str)


def test_listing_runs_no_script(tmp_path, monkeypatch):
    script = tmp_path / "studies" / "broken.py"
    script.parent.mkdir()
    script.write_text('"""Why?"""\nMINUTES = 3\nstudy = 1 / 0\n')
    (tmp_path / "studies" / "helper.py").write_text("x = 1\n")
    monkeypatch.setattr(catalogue, "studies_folder", lambda: script.parent)
    (row,) = list_studies()
    assert (row["name"], row["question"], row["minutes"]) == ("broken", "Why?", 3)
    assert row["results"] == "none yet"


def test_the_state_of_results_counts_rows_by_device(tmp_path, monkeypatch):
    folder = tmp_path / "results" / "toy" / "cpu-2-cores"
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"rows": 5, "gaps": 1}))
    monkeypatch.setattr(catalogue, "studies_folder", lambda: tmp_path / "studies")
    assert catalogue.results_state("toy") == "cpu-2-cores: 5 rows, 1 gap"


def test_without_a_studies_folder_it_says_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue.jaxbp, "__file__", str(tmp_path / "a" / "b.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no `studies/` folder.*clone"):
        catalogue.studies_folder()


@pytest.mark.parametrize("name", ["forward_vs_reverse", "engine_speed"])
def test_every_study_loads_with_distinct_cases(name):
    study = catalogue.load_study(name)
    assert study.name == name and study.headline.endswith("?")
    for cases in (study.cases, study.quick):
        assert len(set(map(case_key, cases))) == len(cases) > 0


def test_options_are_the_fields_of_run_named():
    assert Options(quick=True).results is None
    with pytest.raises(TypeError, match="fast"):
        run_named("engine_speed", fast=True)
