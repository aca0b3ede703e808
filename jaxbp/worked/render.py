"""A worked example on a terminal, and as Markdown and LaTeX tables for a handout."""

import re
from itertools import groupby

from ..display import Column, Line, Page, Table, Words
from ..display.page import lines_of

DIGITS = 12  # after the point


def shown(value: float) -> str:
    """Twelve digits after the point; of tiny and huge numbers twelve in all."""
    if value and not 1e-6 <= abs(value) < 1e9:
        return f"{value:.{DIGITS - 1}e}"
    return f"{value:.{DIGITS}f}"


def heading(worked) -> str:
    """What is worked through, in a line."""
    net = worked.net
    sizes = "-".join(map(str, net.sizes))
    step = f", step {net.steps}" if net.steps > 1 else ""
    return f"{net.name} ({sizes}), learning rate {net.learning_rate:g}{step}"


def remark(worked) -> str:
    """The warning that belongs to an order of updates which is no gradient descent."""
    if worked.net.order == "together":
        return ""
    return (
        "Each layer was updated before errors passed through it: what is called a "
        "gradient below the last layer is none."
    )


def stages(worked):
    """(stage, its rows) in order."""
    for stage, rows in groupby(worked.rows, key=lambda row: row.stage):
        yield stage, list(rows)


COLUMNS = (
    Column("", left=True),
    Column("computed", left=True, fold=True),
    Column("value"),
)


def page(worked) -> Page:
    """Heading, the warning if there is one, and a table with a section per stage."""
    warning = [Words(remark(worked), "warn")] if remark(worked) else []
    return Page(Words(heading(worked), "bold"), *warning, table(worked))


def table(worked) -> Table:
    """All rows, a section per stage."""
    lines = []
    for stage, rows in stages(worked):
        lines.append(Line((stage,), "bold", section=True))
        lines += [Line((row.name, row.computed, _value(row))) for row in rows]
    return Table(COLUMNS, tuple(lines))


def _value(row) -> str:
    return shown(row.value).replace("-", "−")


def markdown(worked) -> str:
    """A heading, and a table per stage."""
    lines = [f"## {heading(worked)}", ""]
    if remark(worked):
        lines += [remark(worked), ""]
    for stage, rows in stages(worked):
        cells = ((row.name, row.computed, _value(row)) for row in rows)
        lines += [f"### {stage}", "", Table(COLUMNS, lines_of(cells)).markdown()]
    return "\n".join(lines)


def latex(worked) -> str:
    """A tabular per stage; it needs no package."""
    lines = [rf"\section*{{{_escaped(heading(worked))}}}"]
    if remark(worked):
        lines.append(_escaped(remark(worked)))
    for stage, rows in stages(worked):
        lines += [
            rf"\subsection*{{{stage}}}",
            r"\begin{tabular}{llr}",
            r"\hline & computed & value \\ \hline",
        ]
        for row in rows:
            cells = symbol(row.name), _formula(row.computed)
            lines.append(rf"{cells[0]} & {cells[1]} & ${shown(row.value)}$ \\")
        lines += [r"\hline", r"\end{tabular}", ""]
    return "\n".join(lines)


NAME = re.compile(r"^(dE/d)?([A-Za-z])(\d*)(?:\[([\d,]+)\])?$")


def symbol(name: str) -> str:
    r"""dE/dW1[2,1] as $\partial E/\partial W^{(1)}_{2,1}$."""
    match = NAME.match(name)
    if match is None:
        return _escaped(name)
    partial, letter, layer, unit = match.groups()
    text = letter + (f"^{{({layer})}}" if layer else "")
    text += f"_{{{unit}}}" if unit else ""
    return rf"$\partial E/\partial {text}$" if partial else f"${text}$"


def _formula(text: str) -> str:
    """Numbers and products in mathematics; words with what LaTeX reserves escaped."""
    signs = (("·", r"$\cdot$"), ("−", "$-$"), ("…", r"$\cdots$"))
    text = _escaped(text)
    for sign, command in signs:
        text = text.replace(sign, command)
    return text


def _escaped(text: str) -> str:
    spelled = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"}
    return "".join(
        spelled.get(sign, f"\\{sign}" if sign in "#$%&_{}" else sign) for sign in text
    )
