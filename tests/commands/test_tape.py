"""`jaxbp tape`: what it says, to people and to programs."""

import json
import sys

import pytest

from jaxbp.commands import main

MODEL = """
import jax.numpy as jnp

def loss(w, x):
    return jnp.tanh(x @ w).sum()
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "model_taped.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "model_taped.py:loss"
    sys.modules.pop("model_taped", None)


def status(*argv):
    with pytest.raises(SystemExit) as stopped:
        main.main(list(argv))
    return stopped.value.code or 0


def test_tape(model, capsys, tmp_path):
    argv = ["tape", model, "--shapes", "f32[4096,4096] f32[64,4096]"]
    assert status(*argv, "--html", "tape.html", "--picture", "tape.svg") == 0
    said = capsys.readouterr().out
    assert "model_taped.py:5 (loss)" in said and "needs its output" in said
    assert "<table" in (tmp_path / "tape.html").read_text()
    assert "<svg" in (tmp_path / "tape.svg").read_text()
    assert status(*argv, "--json") == 0
    first, second = json.loads(capsys.readouterr().out)
    assert {first["origin"], second["origin"]} == {"tanh", "input"}
    assert status("tape", f"{model}y", "--args", "jnp.ones(2)") == 2


def test_a_budget_shows_the_plan_beside_the_tape(model, capsys, tmp_path):
    argv = ["tape", model, "--shapes", "f32[64,64] f32[512,64]"]
    assert status(*argv, "--budget", "1MB", "--picture", "plan.svg") == 0
    assert "Gradient of loss within 1 MB" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "plan.svg").read_text()
    assert status(*argv, "--budget", "1MB", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert sum(row["taken"] for row in rows) == 1
    assert status(*argv, "--budget", "1kB") == 2
    assert "the least" in capsys.readouterr().err
