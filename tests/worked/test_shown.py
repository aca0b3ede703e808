"""A worked example as text, Markdown, LaTeX, a picture, and on the command line."""

from dataclasses import replace

import pytest

from jaxbp import worked
from jaxbp.commands import worked as command
from jaxbp.errors import InvalidArgument
from jaxbp.worked.render import symbol


@pytest.fixture(scope="module")
def mazur():
    return worked.work(worked.load("mazur"))


def test_text(mazur):
    lines = str(mazur).splitlines()
    assert lines[0] == "Mazur's 2-2-2 example (2-2-2), learning rate 0.5"
    assert any(
        line.split() == ["dE/dz2[2]", "(−0.21707)·logistic'(1.2249)", "−0.038098236517"]
        for line in lines
    )
    assert any(line.split() == ["b1", "frozen", "0.350000000000"] for line in lines)


def test_the_wrong_order_is_said_to_be_wrong(mazur):
    wrong = worked.work(replace(mazur.net, order="output_first"))
    assert "is none" in str(wrong) and "is none" not in str(mazur)
    assert "is none" in wrong.markdown() and "is none" in wrong.latex()


def test_markdown(mazur):
    text = mazur.markdown()
    assert "| z1[1] | 0.15·0.05 + 0.2·0.1 + 0.35 | 0.377500000000 |" in text
    tables = [part for part in text.split("\n\n") if part.startswith("|  | computed")]
    assert len(tables) == 5
    assert all(line.count("|") == 4 for table in tables for line in table.splitlines())


def test_latex(mazur):
    text = mazur.latex()
    assert r"$z^{(1)}_{1}$ & 0.15$\cdot$0.05 + 0.2$\cdot$0.1 + 0.35 & $0.3775" in text
    assert r"half\_squares(" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 5


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("x[1]", "$x_{1}$"),
        ("dE/dW1[2,1]", r"$\partial E/\partial W^{(1)}_{2,1}$"),
        ("b1", "$b^{(1)}$"),
        ("E", "$E$"),
        ("E afterwards", "E afterwards"),
    ],
)
def test_symbols(name, latex):
    assert symbol(name) == latex


def test_picture(mazur):
    figure = mazur.picture()
    texts = [{t.get_text() for t in axes.texts} for axes in figure.axes]
    assert len(texts) == 4
    assert {"1 Feed forward", "0.15", "logistic: 0.75137", "0.29837"} <= texts[0]
    assert {"0.082167", "∂E/∂z 0.1385", "∂E/∂a 0.74137"} <= texts[1]
    assert {"0.00043857", "∂E/∂z 0.0087714"} <= texts[2]
    assert {"0.35892", "0.29103", "b = 0.35"} <= texts[3]
    assert "∂E/∂z 0.0087714" not in texts[1] and "0.082167" not in texts[2]


def test_a_picture_has_its_limit():
    wide = worked.net(inputs=[1.0], targets=[0.0] * 40, W1=[[0.1]] * 40)
    with pytest.raises(InvalidArgument, match="at most 40 units to be readable, but"):
        worked.work(wide).picture()


def test_command(tmp_path, capsys):
    assert command.run(["--net", "mazur", "--picture", str(tmp_path / "p.svg")]) == 0
    assert "E afterwards" in capsys.readouterr().out
    assert "1 Feed forward" in (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert command.run(["--net", "four_layers", "--markdown", "--steps", "2"]) == 0
    assert capsys.readouterr().out.startswith("## A 4-2-2-1 network (4-2-2-1), learn")
    assert command.run(["--latex"]) == 0
    assert capsys.readouterr().out.startswith(r"\section*{Mazur's")
    with pytest.raises(InvalidArgument, match="`--steps` must be 1 or more"):
        command.run(["--steps", "0"])
