"""What results say in a sentence is what their rows say."""

from dataclasses import replace

import pytest

from jaxbp.study import answers, tables
from jaxbp.study.catalogue import load_study, results_folder, study_files

RESULTS = results_folder()
TABLES = [f for name in study_files() for f in RESULTS.glob(f"{name}/*/rows.csv")]


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.parts[-3])
def test_a_committed_answer_follows_from_the_committed_rows(file):
    study, rows = load_study(file.parts[-3]), tables.read_csv(file.read_text())
    told = answers.answer(study, rows)
    assert len(told) > 40
    assert told in file.with_name("table.md").read_text()
    assert answers.section(study, file, RESULTS) in (RESULTS / "README.md").read_text()


def test_an_answer_without_its_rows_is_left_out():
    study = load_study("helmholtz")
    assert answers.answer(study, []) == ""
    assert answers.answer(replace(study, claim=None), []) == ""
