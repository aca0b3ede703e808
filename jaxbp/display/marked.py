"""A page as HTML, and a table as Markdown."""

import html as escaping

from .fit import one_line
from .page import Column, Line, Page, Table, Words, words

# Seen on white and on black: at least 3 : 1 on either (tests/display/test_html.py).
COLOURS = {"good": "#009e73", "bad": "#e0521b", "warn": "#b8860b", "blue": "#2f80c2"}
TONES = {
    "": "", "bold": "font-weight:bold;", "dim": "opacity:.65;",
    **{tone: f"color:{colour};" for tone, colour in COLOURS.items()},
}  # fmt: skip
FONT = "font:13px/1.45 ui-monospace,monospace"
TABLE = "border-collapse:collapse;margin:.5em 0;background:none"
CELL = "padding:2px 10px;white-space:pre;vertical-align:top;text-align:"
HEAD_RULE, RULE = "border-bottom:2px solid #8888;", "border-bottom:1px solid #8883;"


def html(page: Page) -> str:
    """As `Page.html`."""
    parts = "".join(
        _table(part) if isinstance(part, Table) else _paragraph(part)
        for part in page.parts
    )
    return f"<div style='{FONT};overflow-x:auto'>\n{parts}</div>\n"


def document(fragment: str, title: str) -> str:
    """A page of its own around a fragment, in the reader's theme."""
    return (
        "<!doctype html>\n<meta charset='utf-8'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{escaping.escape(title)}</title>\n{fragment}"
    )


def _paragraph(part: Words) -> str:
    style = TONES[part.tone] + (f"margin-left:{part.indent}ch" if part.indent else "")
    return f"<div style='{style}'>{escaping.escape(part.text)}</div>\n"


def _table(table: Table) -> str:
    head = "".join(_cell("th", c, Words(c.heading), HEAD_RULE) for c in table.columns)
    body = "".join(f"<tr>{_line(table, line)}</tr>\n" for line in table.lines)
    title = f"<b>{escaping.escape(table.title)}</b>\n" if table.title else ""
    return f"{title}<table style='{TABLE}'>\n<tr>{head}</tr>\n{body}</table>\n"


def _line(table: Table, line: Line) -> str:
    cells = [*map(words, line.cells)]
    cells += [Words("")] * (len(table.columns) - len(cells))
    return "".join(
        _cell("td", column, cell, RULE + TONES[line.tone] + TONES[column.tone])
        for column, cell in zip(table.columns, cells, strict=True)
    )


def _cell(tag: str, column: Column, cell: Words, more: str) -> str:
    side = "left" if column.left else "right"
    style = f"{CELL}{side};{more}{TONES[cell.tone]}"
    return f"<{tag} style='{style}'>{escaping.escape(cell.text)}</{tag}>"


def markdown(table: Table) -> str:
    """As `Table.markdown`."""
    head = [_marked(column.heading) for column in table.columns]
    rule = ["---" if column.left else "---:" for column in table.columns]
    lines = [
        [_marked(words(cell).text) for cell in line.cells]
        + [""] * (len(head) - len(line.cells))
        for line in table.lines
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *lines))


def _marked(text: str) -> str:
    """A cell that ends where it should: a bar in it is no border."""
    return one_line(text).replace("|", "\\|")
