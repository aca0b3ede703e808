"""A report as a table on a terminal, as plain text, and in a notebook."""

from .. import display
from .report import EMPTY, is_empty
from .rows import AGREE, DIFFER, DIFFERENCES, KINK, NOT_FINITE, UNDECIDED

STYLES = {DIFFER: "bold red", NOT_FINITE: "bold red", UNDECIDED: "yellow"}


def as_text(report):
    """The table without colours, for `str` and for files."""
    return display.as_text(as_rich(report))


def as_html(report):
    """The same table in colour: what a notebook shows."""
    return display.as_html(as_rich(report))


def as_rich(report):
    """A renderable of rich: headline, table, adjoint identity, findings, notes."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    style = "bold " + {DIFFER: "red", UNDECIDED: "yellow"}.get(report.verdict, "green")
    parts: list = [Text(report.headline, style)]
    if report.points:
        parts += [_table(report), Text(_legend(report), "dim")]
    parts += [Text(line) for line in _adjoint_lines(report)]
    for text, style in _remarks(report):
        parts.append(Padding(Text(text, style), (0, 0, 0, 2)))
    return Group(*parts)


def _remarks(report):
    found = [(f"✗ {finding}", "red") for finding in report.findings]
    return found + [(f"· {note}", "yellow") for note in report.notes]


def _table(report):
    from rich import box
    from rich.table import Table

    witnesses = [w for w in report.witnesses if not w.endswith("adjoint")]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("leaf", overflow="fold")
    table.add_column("type", overflow="fold")
    for witness in witnesses:
        table.add_column(witness.replace(" ", "\n"), justify="right", no_wrap=True)
    table.add_column("noise", justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for name, described, obstacle in report.leaves:
        table.add_row(*_line(report, witnesses, name, described, obstacle))
    if report.worst("value"):  # of a user's value_and_grad
        table.add_row(*_line(report, witnesses, "value", "", ""))
    return table


def _line(report, witnesses, leaf, described, obstacle):
    """The cells of one leaf: the largest closeness per witness, over all points."""
    from rich.text import Text

    blank = Text("")
    if obstacle:
        cells = [blank] * (len(witnesses) + 1)
        return [Text(leaf), Text(obstacle), *cells, Text("no derivative", "dim")]
    cells = [_cell(report.worst(leaf, witness)) for witness in witnesses]
    differences = report.worst(leaf, DIFFERENCES)
    noise = Text(f"{differences.noise:.0e}") if differences else blank
    if is_empty(described):
        return [Text(leaf), Text(described), *cells, noise, Text(EMPTY, "dim")]
    return [Text(leaf), Text(described), *cells, noise, _verdict(report, leaf)]


def _cell(row):
    from rich.text import Text

    if row is None:
        return Text("")
    shown = "NaN/Inf" if row.verdict == NOT_FINITE else f"{row.closeness:.1e}"
    return Text(shown, "red" if row.failed else "")


def _verdict(report, leaf):
    from rich.text import Text

    if report.worst(leaf) is None:
        return Text("not looked at", "yellow")
    verdict = report.verdict_of(leaf)
    kinks = any(row.leaf == leaf and row.verdict == KINK for row in report.rows)
    shown = "agree, at a kink" if verdict in (AGREE, KINK) and kinks else verdict
    return Text(shown, STYLES.get(verdict, "green"))


def _legend(report):
    points = "1 point" if report.points == 1 else f"{report.points} points"
    return (
        f"Largest |x-y|/max(1,|x|+|y|) of {report.judged} from each witness over "
        f"{points}; noise: the differences' own error there."
    )


def _adjoint_lines(report):
    """One line for each system: how far its modes are from being transposes."""
    for witness in (w for w in report.witnesses if w.endswith("adjoint")):
        row = report.worst("adjoint identity", witness)
        system = witness.removesuffix(" adjoint")
        says = "the two modes are NOT transposes" if row.failed else "holds"
        identity = "⟨y_bar, J x_dot⟩ = ⟨Jᵀ y_bar, x_dot⟩"
        yield f"{identity} in {system}: {says}, to {row.closeness:.1e}."
