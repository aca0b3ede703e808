"""Where results come from."""

import subprocess

import pytest

from jaxbp.study import provenance


def git(folder, *words):
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.email", "a@example.org")
    git(tmp_path, "config", "user.name", "a")
    (tmp_path / "study.py").write_text("x = 1\n")
    (tmp_path / "results").mkdir()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "start")
    return tmp_path


def test_a_clean_repository_has_a_commit_and_no_changes(repository):
    state = provenance.repository_state(repository)
    assert len(state["commit"]) == 40 and state["dirty"] is False


def test_results_do_not_make_it_dirty_but_code_does(repository):
    (repository / "results" / "rows.csv").write_text("n\n1\n")
    assert provenance.repository_state(repository)["dirty"] is False
    (repository / "study.py").write_text("x = 2\n")
    assert provenance.repository_state(repository)["dirty"] is True


def test_outside_a_repository_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.repository_state(tmp_path) == {"commit": None, "dirty": None}


def test_without_git_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.repository_state(tmp_path) == {"commit": None, "dirty": None}


def test_versions_name_python_and_jax():
    found = provenance.versions()
    assert {"python", "jax", "jaxlib", "numpy", "jaxbp"} <= set(found)
    assert provenance.installed("no-such-package") == "source tree"


def test_settings_are_gathered_over_all_cases():
    cases = [{"rounds": 5}, {"rounds": 3}, {"rounds": 5, "seed": 1}]
    assert provenance.values_of(cases, "rounds") == [3, 5]
    assert provenance.values_of(cases, "dtype") == []
