"""A page keeps every name, verdict and number, at any width and in any encoding."""

import io
import re

import pytest
from rich.console import Console

from jaxbp import display
from jaxbp.display import Column, Line, Page, Table, Words, records
from jaxbp.display.fit import one_line

NAME = "encoder.layers[3].attention.query_projection['kernel']"
TABLE = Table(
    (
        Column("leaf", left=True, fold=True),
        Column("type", left=True, spare=1),
        Column("engine\nreverse"),
        Column("noise", spare=2),
        Column("verdict", left=True),
    ),
    (
        Line((NAME, "float32[3,4]", "9.2e-01", "2e-10", Words("differ", "bad"))),
        Line(("b", "float32[2]", "−1.5 × 10 … 3", "1e-10", "agree"), "dim"),
        Line(("‖w‖", "", "", "", "not looked at")),
    ),
)
PAGE = Page(
    Words("loss: NOT in agreement", "bad"), TABLE, Words("said " * 40, "dim", 2)
)
MUST = ("9.2e-01", "differ", "agree", "not looked at", "loss: NOT in agreement")
WIDTHS = [None, 120, 80, 60, 50, 40, 20]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_lost_at_any_width(width):
    text = PAGE.text(width)
    whole = re.sub(r"\s", "", text)
    assert re.sub(r"\s", "", NAME) in whole or "…" not in whole.replace("10…3", "")
    for part in ("encoder.", "layers[3]", "attention", "query_projection"):
        assert part in whole
    assert all(re.sub(r"\s", "", word) in whole for word in MUST)
    if width is not None:
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [100, 80, 60, 40])
def test_numbers_and_verdicts_are_not_broken(width):
    lines = PAGE.text(width).splitlines()
    for word in ("9.2e-01", "differ", "−1.5 × 10 … 3", "not looked at"):
        assert any(word in line for line in lines)


def test_columns_go_in_the_order_of_what_they_tell_and_are_named():
    text = PAGE.text(66)
    assert "2e-10" not in text and "float32[3,4]" in text
    assert "Left out at this width: noise." in text
    assert "Left out at this width: type, noise." in PAGE.text(60)
    assert "Left out" not in PAGE.text(None)


def test_where_no_table_fits_each_line_is_a_block():
    text = PAGE.text(30)
    assert "2e-10" in text and "type float32[2]" in text  # there is room downwards
    assert "engine reverse 9.2e-01" in text


def test_without_a_width_nothing_is_wrapped():
    lines = PAGE.text().splitlines()
    assert ("said " * 40).strip() in PAGE.text()
    assert sum(NAME in line for line in lines) == 1
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("width", [None, 60])
def test_every_encoding_can_be_written(encoding, width):
    text = PAGE.text(width, encoding)
    text.encode(encoding)
    assert "?" not in text and "9.2e-01" in text


def test_columns_stay_in_line_in_plain_signs():
    lines = [x for x in PAGE.text(None, "ascii").splitlines() if "agree" in x][1:]
    (rule,) = (x for x in PAGE.text(None, "ascii").splitlines() if "-----" in x)
    assert all(len(line) <= len(rule) for line in lines)


def test_a_stream_that_tolerates_writes_plain_signs():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    display.tolerate(stream)
    display.show(PAGE, stream)
    stream.write("⟨x⟩ naïve α漢")
    stream.flush()
    assert raw.getvalue().endswith(b"<x> naive alpha\\u6f22")


def test_rich_fits_its_console():
    for width in (120, 60, 40):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(PAGE)
        shown = console.export_text()
        assert max(map(len, shown.splitlines())) <= width
        assert "9.2e-01" in shown and "not looked at" in shown


def test_markdown_has_as_many_cells_in_every_line():
    table = Table((Column("a|b", left=True), Column("n")), (Line(("x|y",)),))
    text = table.markdown()
    assert text == "| a\\|b | n |\n| --- | ---: |\n| x\\|y |  |\n"


def contrast(colour, ground):
    """The ratio of WCAG 2: 1 to 21."""

    def luminance(code):
        parts = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
        r, g, b = (
            p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_html_is_a_table_readable_on_light_and_dark():
    from jaxbp.display.marked import COLOURS

    shown = PAGE.html()
    assert shown.count("<tr>") == 4 and "<pre" not in shown
    assert f"{COLOURS['bad']};'>differ</td>" in shown
    for colour in COLOURS.values():
        assert min(contrast(colour, g) for g in ("#ffffff", "#111111")) >= 3


def test_records():
    import jax.numpy as jnp

    rows = [{"a": jnp.arange(2.0), "b": float("nan"), "c": 1 + 2j, "d": None}]
    assert records.json_text(rows) == (
        '[\n {\n  "a": [\n   0.0,\n   1.0\n  ],\n  "b": "nan",\n  "c": "(1+2j)",\n'
        '  "d": null\n }\n]'
    )
    assert records.csv_text(rows) == 'a,b,c,d\n"[0.0, 1.0]",nan,(1+2j),'


def test_a_linear_program_fits_a_narrow_terminal(monkeypatch):
    import jax.numpy as jnp

    import jaxbp
    from jaxbp.linear import printed

    def loss(w):
        return jnp.mean(jnp.tanh(jnp.ones((3, 400)) @ w) ** 2)

    program = jaxbp.linearize(loss, jnp.ones((400, 8)))[1].program.opened()
    whole = str(program)
    monkeypatch.setattr(printed, "width_here", lambda: 60)
    narrow = str(program)
    assert max(map(len, whole.splitlines())) > 60 >= max(map(len, narrow.splitlines()))
    assert whole.split() == narrow.split()


def test_headings_in_one_line_are_words():
    assert one_line("transcen-\ndental") == "transcendental"
    assert one_line("kept\nbytes") == "kept bytes"
