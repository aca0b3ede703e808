"""`jaxbp jacobian`: what it says of the ways, and with --measure."""

import json
import sys

import pytest

from jaxbp.commands import main

MODEL = """
import jax.numpy as jnp

def step(x, W, V):
    return x + V @ jnp.tanh(W @ x)

def energy(x):
    return jnp.sum(jnp.tanh(x[1:] - x[:-1]) ** 2)

def outer(x):
    return jnp.sin(jnp.cumsum(jnp.sin(x)) * x[::-1] + jnp.sum(jnp.exp(x)))

def scaled(n, x):
    return x[:n] ** 2
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "model_across.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "model_across.py"
    sys.modules.pop("model_across", None)


def said(capsys, *argv, status=0):
    with pytest.raises(SystemExit) as stopped:
        main.main(["jacobian", *argv])
    assert (stopped.value.code or 0) == status
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def test_the_ways_from_types(model, capsys, tmp_path):
    big = ("--shapes", "f32[4096] f32[8,4096] f32[4096,8]", "--html", "plan.html")
    told = said(capsys, f"{model}:step", *big)
    assert "Jacobian of step: 4,096 by 4,096" in told and "nothing run" in told
    assert "(taken)" in told and "measured" not in told
    assert "<table" in (tmp_path / "plan.html").read_text()
    told = said(capsys, f"{model}:energy", "--shapes", "f32[5]", "--hessian", "--json")
    ways = json.loads(told)
    assert ways[0]["name"] == "forward" and ways[0]["measured_s"] is None


def test_the_ways_on_the_clock(model, capsys):
    given = (f"{model}:scaled", "--args", "2, jnp.ones(3)", "--argnums", "1")
    told = said(capsys, *given, "--measure")
    assert "Jacobian of scaled: 2 by 3; predicted and measured" in told
    assert "Measured: the way taken" in told and "differs" not in told


def test_the_way_within_a_budget(model, capsys):
    given = (f"{model}:outer", "--shapes", "f32[64]", "--budget")
    told = said(capsys, *given, "20kB")
    assert "Within 20,000 bytes: " in told and "s at a time" in told
    assert "at least, but is 1,000" in said(capsys, *given, "1kB", status=2)
    assert "`budget_bytes` must be" in said(capsys, *given, "much", status=2)


def test_what_cannot_be_planned(model, capsys):
    told = said(capsys, f"{model}:scaled", "--args", "2, jnp.ones(3)", status=2)
    assert "args[0]" in told
    shapes = ("--shapes", "f32[3]", "--hessian", "--argnums", "4")
    assert "4" in said(capsys, f"{model}:energy", *shapes, status=2)
