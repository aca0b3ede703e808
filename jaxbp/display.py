"""A renderable of rich as plain text, and as HTML for a notebook."""

import io

WIDTH = 100  # columns
PRE = "line-height: 1.25; overflow-x: auto"


def as_text(renderable, width: int = WIDTH) -> str:
    """The text without colours or spaces at line ends, for `str` and for files."""
    stream = io.StringIO()
    _console(stream, width=width).print(renderable)
    lines = stream.getvalue().rstrip().split("\n")
    return "\n".join(line.rstrip() for line in lines)


def as_html(renderable) -> str:
    """The same lines, preformatted and in colour."""
    console = _console(io.StringIO(), width=WIDTH, record=True)
    console.print(renderable)
    form = f'<pre style="{PRE}">{{code}}</pre>'
    return console.export_html(inline_styles=True, code_format=form)


def _console(stream, **options):
    """A console that writes there; left to itself, rich would in a notebook write into
    the cell instead."""
    from rich.console import Console  # heavy: only when something is shown

    return Console(file=stream, color_system=None, force_jupyter=False, **options)
