"""`jaxbp nan` and `jaxbp check --rules`: what they say and their exit status."""

import json
import sys

import pytest

from jaxbp.commands import main

MODEL = """
import jax
import jax.numpy as jnp

def root(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))

wrong = jax.custom_vjp(jnp.sin)
wrong.defvjp(lambda x: (jnp.sin(x), x), lambda x, bar: (bar * -jnp.cos(x),))

def loss(x):
    return wrong(x).sum()
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "model_diagnosed.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "model_diagnosed.py"
    sys.modules.pop("model_diagnosed", None)


def status(*argv):
    with pytest.raises(SystemExit) as stopped:
        main.main(list(argv))
    return stopped.value.code or 0


def test_nan(model, capsys, tmp_path):
    argv = ["nan", f"{model}:root", "--args", "jnp.array([1.0, 0.0])"]
    assert status(*argv, "--html", "nan.html") == 1
    said = capsys.readouterr().out
    assert "model_diagnosed.py:6" in said and "0 x inf" in said
    assert "`jnp.sqrt(jnp.where(x > 0, x, 1.0))`" in said
    assert "<table" in (tmp_path / "nan.html").read_text()
    assert status(*argv, "--json") == 1
    assert json.loads(capsys.readouterr().out)[0]["index"] == [1]
    assert status("nan", f"{model}:root", "--args", "jnp.ones(2)") == 0
    assert "is finite" in capsys.readouterr().out
    assert status("nan", f"{model}:rot", "--args", "jnp.ones(2)") == 2
    assert "root" in capsys.readouterr().err


def test_rules(model, capsys):
    argv = ["check", f"{model}:loss", "--args", "jnp.ones(3)", "--rules"]
    assert status(*argv) == 1
    assert "its sign turned" in capsys.readouterr().out
    assert status(*argv, "--expected", "sin") == 0
    assert "meant to differ" in capsys.readouterr().out
