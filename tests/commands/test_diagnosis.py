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


def test_options_that_would_do_nothing_are_refused(model, capsys):
    argv = ["check", f"{model}:loss", "--args", "jnp.ones(3)"]
    assert status(*argv, "--expected", "sin") == 2
    assert "goes with `--rules`" in capsys.readouterr().err
    assert status(*argv, "--rules", "--grad", f"{model}:loss", "--rtol", "1e-3") == 2
    assert "`--grad`, `--rtol` would do nothing" in capsys.readouterr().err


def test_of_an_unknown_primitive_near_names_alone(capsys):
    assert status("coverage", "xyzzy") == 2
    assert "lists all" in capsys.readouterr().err
    assert status("coverage", "scater") == 2
    assert "`scatter" in capsys.readouterr().err


def test_a_pipe_is_as_wide_as_columns_asks(model, capsys, monkeypatch):
    argv = ["nan", f"{model}:root", "--args", "jnp.array([1.0, 0.0])"]
    monkeypatch.setenv("COLUMNS", "60")
    assert status(*argv) == 1
    assert max(map(len, capsys.readouterr().out.split("\n"))) <= 60
    monkeypatch.delenv("COLUMNS")
    assert status(*argv) == 1
    assert max(map(len, capsys.readouterr().out.split("\n"))) > 100


def test_help_is_80_columns_wide():
    assert max(map(len, main.help_text().split("\n"))) <= 80


@pytest.mark.parametrize(
    ("command", "f"), [(("nan",), "loss"), (("check", "--rules"), "root")]
)
def test_csv_without_rows_has_a_header(command, f, model, capsys):
    """A program that reads it on finds columns, and no line."""
    argv = [*command, f"{model}:{f}", "--args", "jnp.ones(2)", "--csv"]
    assert status(*argv) == 0
    (header,) = capsys.readouterr().out.splitlines()
    assert {"line", "kind"} <= set(header.split(","))
