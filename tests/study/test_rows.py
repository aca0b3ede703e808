"""Journals: rows that survive, and never mix."""

import json

import numpy as np
import pytest

from jaxbp.errors import DataError
from jaxbp.study.rows import Journal, fingerprint

CASES = [{"n": n} for n in range(3)]


def write(path, cases, mark="v1"):
    with Journal(path, mark) as journal:
        for case in cases:
            journal.append(case, {**case, "time_s": 0.5}, measured_s=2.0)


def test_rows_are_found_again(tmp_path):
    write(tmp_path / "j", CASES[:2])
    with Journal(tmp_path / "j", "v1") as journal:
        assert journal.missing(CASES) == CASES[2:]
        assert journal.ordered(CASES) == [
            {"n": 0, "time_s": 0.5},
            {"n": 1, "time_s": 0.5},
        ]
        assert journal.measured_s == 4.0


def test_rows_come_in_the_order_of_the_cases(tmp_path):
    write(tmp_path / "j", CASES[::-1])
    with Journal(tmp_path / "j", "v1") as journal:
        assert [row["n"] for row in journal.ordered(CASES)] == [0, 1, 2]


def test_rows_of_another_fingerprint_stay_but_never_mix(tmp_path):
    write(tmp_path / "j", CASES, mark="v1")
    write(tmp_path / "j", CASES[:1], mark="v2")
    with Journal(tmp_path / "j", "v2") as journal:
        assert journal.missing(CASES) == CASES[1:] and journal.others == 3
    with Journal(tmp_path / "j", "v1") as journal:
        assert journal.missing(CASES) == []


def test_a_row_is_on_the_disk_when_append_returns(tmp_path):
    with Journal(tmp_path / "j", "v1") as journal:
        journal.append(CASES[0], CASES[0], 0.0)
        (line,) = (tmp_path / "j").read_text().splitlines()
    assert json.loads(line)["row"] == CASES[0]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_costs_that_row_only(tmp_path, cut):
    path = tmp_path / "j"
    write(path, CASES)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, "v1") as journal:
        assert journal.missing(CASES) == CASES[2:]
        journal.append(CASES[2], CASES[2], 0.0)
    with Journal(path, "v1") as journal:
        assert journal.missing(CASES) == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, CASES)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "not a row", lines[2]]) + "\n")
    with pytest.raises(DataError, match="line 2 of journal.jsonl .*`not a row`"):
        Journal(path, "v1")


def test_two_runs_cannot_write_one_journal(tmp_path):
    pytest.importorskip("fcntl", reason="file locks are POSIX only")
    with Journal(tmp_path / "j", "v1"):
        with pytest.raises(DataError, match="being written by another run"):
            Journal(tmp_path / "j", "v1")
    write(tmp_path / "j", CASES)  # free again


def test_numpy_scalars_are_kept_as_numbers(tmp_path):
    with Journal(tmp_path / "j", "v1") as journal:
        journal.append(CASES[0], {"a": np.float32(0.5), "b": np.int64(3)}, 0.0)
        assert journal.ordered(CASES) == [{"a": 0.5, "b": 3}]


def test_a_fingerprint_changes_with_content_name_and_facts(tmp_path):
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("x = 1")
    b.write_text("x = 1")
    marks = {fingerprint([a], {"jax": "1"}), fingerprint([b], {"jax": "1"})}
    marks |= {fingerprint([a], {"jax": "2"}), fingerprint([a, b], {"jax": "1"})}
    a.write_text("x = 2")
    marks.add(fingerprint([a], {"jax": "1"}))
    assert len(marks) == 5
    assert fingerprint([a, b], {}) == fingerprint([b, a], {})
