"""A trace as text, as HTML, as a picture, and on the command line."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.commands import main
from jaxbp.evaluation.words import bytes_cell, cell


def function(x1, w):
    y = jnp.log(x1) * w[None]
    return y.sum(), x1 > 1


@pytest.fixture(scope="module")
def trace():
    return jaxbp.trace(function, 2.0, jnp.arange(8.0), has_aux=True)


def test_text(trace):
    lines = str(trace).splitlines()
    assert lines[0] == "function"
    assert re.search(r"v1 = log\(x1\) +f64 +0\.6931472 +0\.5 +28 +0 +8 B", str(trace))
    assert re.search(r"w +f64\[8\] +‖11\.83‖ +all 1 +all 0\.6931", str(trace))
    assert re.search(r"v\d = x1 > 1 +bool +True +1 +test_shown\.py:16", str(trace))
    assert "kept for reverse mode. ‖2-norm‖" in lines[-1]
    assert repr(trace) == str(trace)


def test_html(trace):
    shown = trace._repr_html_()
    assert shown.count("<tr>") == 1 + len(trace.rows)
    assert "x1 &gt; 1" in shown and ">v1 = log(x1)</td>" in shown


def test_picture(trace):
    texts = {t.get_text() for t in trace.picture().axes[0].texts}
    assert {"v1 = log(x1)", "0.69315", "f64[8]", "‖11.832‖", "28", "14"} <= texts
    assert {"value", "tangent", "cotangent", "function"} <= texts


def test_table(trace):
    row = next(row for row in trace.as_dicts() if row["name"] == "v1")
    assert (row["operation"], row["type"], row["flops"]) == ("log", "f64", 0)


CELLS = [
    (None, "0"),
    (np.float64(-1.5), "−1.5"),
    (np.float64(-0.0), "0"),
    (np.True_, "True"),
    (np.arange(4).reshape(2, 2), "[[0 1] [2 3]]"),
    (np.arange(9), "0 … 8"),
    (np.arange(9.0) - 1, "‖11.87‖\n−1 … 7"),
    (np.full(9, np.nan), "9 of 9 NaN or Inf"),
    (np.array([np.inf, *range(8)]), "1 of 9 NaN or Inf\n0 … 7"),
    (np.arange(9) > 3, "5 of 9 true"),
    (np.arange(9) * 1j, "‖14.28‖"),
    (np.zeros((0, 3)), "empty"),
    (jnp.full(9, 2, jnp.bfloat16), "all 2"),
]


@pytest.mark.parametrize(("value", "text"), CELLS)
def test_cells(value, text):
    assert cell(value) == text


def test_cells_without_numbers():
    import jax

    assert cell(None, differentiable=False) == ""
    assert cell(jax.random.key(0)) == "key"
    assert [bytes_cell(n) for n in (0, 8, 1500)] == ["", "8 B", "1.5 kB"]


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "traced.py").write_text("def f(x, y):\n    return x * y\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_command(model, capsys):
    files = "--picture", "f.svg", "--html", "f.html"
    seeds = "--args", "2.0, 5.0", "--tangents", "1.0, 0.0", "--cotangents", "3.0"
    with pytest.raises(SystemExit) as stopped:
        main.main(["trace", "traced.py:f", *seeds, *files])
    assert not stopped.value.code
    printed = capsys.readouterr().out
    assert re.search(r"v1 = x × y +f64 +10 +5 +3 +1 +16 B +traced\.py:2", printed)
    assert "v1 = x × y" in (model / "f.html").read_text(encoding="utf-8")
    assert "v1 = x × y" in (model / "f.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--args", "1.0"], "tracing `traced.py:f` raised TypeError: f() missing 1"),
        (["--args", "1.0, 2.0", "--picture", "f.gif"], "must end in .svg, .png or"),
        (["--args", "1.0, 2.0", "--argnums", "5"], "`argnums` must name pos"),
        (
            ["--args", "1.0, 2.0", "--tangents", "nope"],
            "`--tangents nope` raised NameError",
        ),
    ],
)
def test_command_with_wrong_input(model, capsys, argv, said):
    with pytest.raises(SystemExit) as stopped:
        main.main(["trace", "traced.py:f", *argv])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
