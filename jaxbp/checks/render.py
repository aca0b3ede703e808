"""A report as a page: headline, table, adjoint identity, findings, notes."""

from ..display import Column, Line, Page, Table, Words
from .report import EMPTY, is_empty
from .rows import ADJOINT, AGREE, DIFFER, DIFFERENCES, KINK, NOT_FINITE, UNDECIDED

TONES = {DIFFER: "bad", NOT_FINITE: "bad", UNDECIDED: "warn"}


def page(report) -> Page:
    """All that is shown of a report."""
    parts: list = [Words(report.headline, TONES.get(report.verdict, "good"))]
    if report.points:
        parts += [table(report), Words(_legend(report), "dim")]
    parts += [Words(line) for line in _adjoint_lines(report)]
    parts += [Words(f"✗ {finding}", "bad", 2) for finding in report.findings]
    parts += [Words(f"· {note}", "warn", 2) for note in report.notes]
    return Page(*parts)


def table(report) -> Table:
    """A line per leaf: its largest distance from each witness, and the verdict."""
    witnesses = [w for w in report.witnesses if not w.endswith("adjoint")]
    columns = (
        Column("leaf", left=True, fold=True),
        Column("type", left=True, spare=2, fold=True),
        *[Column(witness.replace(" ", "\n")) for witness in witnesses],
        Column("noise", spare=1),
        Column("verdict", left=True),
    )
    lines = [_line(report, witnesses, *leaf) for leaf in report.leaves]
    if report.worst("value"):  # of a user's value_and_grad
        lines.append(_line(report, witnesses, "value", "", ""))
    return Table(columns, tuple(lines))


def _line(report, witnesses, leaf, described, obstacle) -> Line:
    """The cells of one leaf: the largest closeness per witness, over all points."""
    if obstacle:
        blanks = [""] * (len(witnesses) + 1)
        return Line((leaf, obstacle, *blanks, Words("no derivative", "dim")))
    cells = [_cell(report.worst(leaf, witness)) for witness in witnesses]
    differences = report.worst(leaf, DIFFERENCES)
    noise = f"{differences.noise:.0e}" if differences else ""
    empty = is_empty(described)
    verdict = Words(EMPTY, "dim") if empty else _verdict(report, leaf)
    return Line((leaf, described, *cells, noise, verdict))


def _cell(row) -> str | Words:
    if row is None:
        return ""
    shown = "NaN/Inf" if row.verdict == NOT_FINITE else f"{row.closeness:.1e}"
    return Words(shown, "bad" if row.failed else "")


def _verdict(report, leaf) -> Words:
    if report.worst(leaf) is None:
        return Words("not looked at", "warn")
    verdict = report.verdict_of(leaf)
    kinks = any(row.leaf == leaf and row.verdict == KINK for row in report.rows)
    shown = "agree, at a kink" if verdict in (AGREE, KINK) and kinks else verdict
    return Words(shown, TONES.get(verdict, "good"))


def _legend(report) -> str:
    points = "1 point" if report.points == 1 else f"{report.points} points"
    said = f"Largest |x-y|/max(1,|x|+|y|) of {report.judged} from each witness over "
    said += points
    if DIFFERENCES in report.witnesses:
        said += "; noise: the differences' own error there"
    if any(row.verdict == NOT_FINITE for row in report.rows):
        said += ". Slopes along directions are set beside finite gradients only"
    if report.widened:
        names = ", ".join(n for n in report.looked_at if n in report.widened)
        said += f". Computed in float64 where f's own rounding hides too much: {names}"
    return f"{said}."


def _adjoint_lines(report):
    """One line for each system: how far its modes are from being transposes."""
    for witness in (w for w in report.witnesses if w.endswith("adjoint")):
        row = report.worst(ADJOINT, witness)
        system = witness.removesuffix(" adjoint")
        says = "the two modes are NOT transposes" if row.failed else "holds"
        identity = "⟨y_bar, J x_dot⟩ = ⟨Jᵀ y_bar, x_dot⟩"
        yield f"{identity} in {system}: {says}, to {row.closeness:.1e}."
