"""Text has no colours, HTML has them, and neither goes into a notebook's cell."""

import pytest
from rich.text import Text

from jaxbp import display
from jaxbp.display import spelled

RED = Text("wrong   ", "red")


@pytest.fixture(params=[False, True], ids=["terminal", "notebook"])
def place(request, monkeypatch):
    """Where rich believes to be."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: request.param)


def test_text_is_plain(place, capsys):
    assert display.as_text(RED) == "wrong"
    assert not any(capsys.readouterr())


def test_html_is_preformatted_and_coloured(place, capsys):
    shown = display.as_html(Text.assemble(RED, "<b>"))
    assert shown.startswith("<pre style=") and shown.endswith("</pre>")
    assert '<span style="color' in shown and "wrong" in shown and "&lt;b&gt;" in shown
    assert not any(capsys.readouterr())


def test_a_product_stays_one_in_ascii():
    assert spelled("0.15·0.05 + 0.2", "ascii") == "0.15*0.05 + 0.2"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_sign_of_waiting_is_one_that_the_stream_has(monkeypatch, encoding):
    monkeypatch.setattr(display.screen, "encoding_of", lambda stream: encoding)
    frames = "".join(display.waiting("...")._spinner.frames)
    assert frames.isascii() == (encoding == "ascii")
