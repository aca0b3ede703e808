"""A page on a screen: drawn by rich, at the width of a terminal or at none."""

import io
import os
import sys

from .fit import Fitted, blocks, fitted
from .page import Line, Page, Table, Words
from .plain import encoding_of, spelled

UNBOUNDED = 100_000  # columns, for rich, which wants a number
STYLES = {
    "": "", "bold": "bold", "dim": "dim", "good": "green", "bad": "bold red",
    "warn": "yellow", "blue": "blue",
}  # fmt: skip


def show(shown, stream=None) -> None:
    """Writes a `Page`, or what has one, where people or programs read: in colour and
    within the width on a terminal, without either in a pipe or a file, unless the
    environment has COLUMNS."""
    page = shown if isinstance(shown, Page) else shown.page()
    stream = stream or sys.stdout
    console = _console(None if stream is sys.stdout else stream)
    if console.is_jupyter or (console.is_terminal and _is_utf(encoding_of(stream))):
        console.print(page)
        return
    width = console.width if console.is_terminal else _asked_for()
    stream.write(page.text(width, encoding_of(stream)) + "\n")


def _asked_for() -> int | None:
    """The width that COLUMNS asks for; None for any."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) else None


def waiting(text: str):
    """A context with a sign that turns on standard error while something is done; one
    that the stream can write."""
    from rich.console import Console

    sign = "dots" if _is_utf(encoding_of(sys.stderr)) else "line"
    return Console(stderr=True).status(text, spinner=sign)


def _is_utf(encoding: str) -> bool:
    return encoding.lower().startswith("utf")


def text_for_here(page: Page) -> str:
    """The text that `print` shows: as wide as the terminal, unwrapped where there is
    none, in the signs that standard output has."""
    return page.text(width_here(), encoding_of(sys.stdout))


def width_here() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    if getattr(sys.stdout, "isatty", bool)():
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or None
        except (OSError, ValueError):  # a stream that has no number
            pass
    return None


def page_text(page: Page, width: int | None, encoding: str) -> str:
    """As `Page.text`."""
    page = _spelled(page, encoding)
    stream = io.StringIO()
    console = _console(stream, width=width or UNBOUNDED, color_system=None)
    for part in rich_parts(page, width):
        console.print(part)
    lines = stream.getvalue().rstrip().split("\n")
    return spelled("\n".join(line.rstrip() for line in lines), encoding)


def rich_parts(page: Page, width: int | None):
    """Renderables of rich, one after another."""
    from rich.padding import Padding
    from rich.text import Text

    for part in page.parts:
        if isinstance(part, Table):
            yield from _table(part, width)
        else:
            text = Text(part.text, STYLES[part.tone])
            yield Padding(text, (0, 0, 0, part.indent)) if part.indent else text


def _table(table: Table, width: int | None):
    from rich.text import Text

    if table.title:
        yield Text(table.title, "bold")
    found = fitted(table, width)
    if found is None:
        yield from _blocks(table, width or UNBOUNDED)
        return
    yield _drawn(table, found)
    if found.left_out:
        what = ", ".join(name for name in found.left_out if name)
        yield Text(f"Left out at this width: {what}.", "dim")


def _drawn(table: Table, found: Fitted):
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in found.columns:
        side = "left" if column.left else "right"
        style = STYLES[column.tone]
        drawn.add_column(column.heading, justify=side, style=style, no_wrap=True)
    for line, cells in zip(table.lines, found.cells, strict=True):
        if line.section:
            drawn.add_section()
        texts = (Text(cell.text, STYLES[cell.tone]) for cell in cells)
        drawn.add_row(*texts, style=STYLES[line.tone])
    return drawn


def _blocks(table: Table, width: int):
    """A block per line of the table, where no other way holds all of it."""
    from rich.text import Text

    yield Text("")
    for name, below in blocks(table, width):
        yield Text(name.text, "bold")
        yield from (Text(f"  {pairs}") for pairs in below)
    yield Text("")


def _spelled(page: Page, encoding: str) -> Page:
    """The page in signs that the encoding has, before columns are measured."""
    if _is_utf(encoding):
        return page

    def said(cell):
        if isinstance(cell, Words):
            return cell._replace(text=spelled(cell.text, encoding))
        return spelled(cell, encoding)

    def table(part: Table) -> Table:
        columns = (c._replace(heading=said(c.heading)) for c in part.columns)
        lines = (
            Line(tuple(map(said, line.cells)), line.tone, line.section)
            for line in part.lines
        )
        return Table(tuple(columns), tuple(lines), spelled(part.title, encoding))

    return Page(*(table(p) if isinstance(p, Table) else said(p) for p in page.parts))


def _console(stream, **options):
    """A console that writes there; left to itself, rich would in a notebook write into
    the cell instead."""
    from rich.console import Console  # heavy: only when something is shown

    if stream is None:
        return Console(**options)
    return Console(file=stream, force_jupyter=False, **options)


# Renderables of rich that are no page.

PRE = "line-height: 1.25; overflow-x: auto"
WIDTH = 100  # columns


def as_text(renderable, width: int = WIDTH) -> str:
    """Any renderable of rich as text, without colours or blanks at line ends."""
    stream = io.StringIO()
    _console(stream, width=width, color_system=None).print(renderable)
    lines = stream.getvalue().rstrip().split("\n")
    return "\n".join(line.rstrip() for line in lines)


def as_html(renderable) -> str:
    """The same lines, preformatted and in colour."""
    console = _console(io.StringIO(), width=WIDTH, record=True, color_system=None)
    console.print(renderable)
    form = f'<pre style="{PRE}">{{code}}</pre>'
    return console.export_html(inline_styles=True, code_format=form)
