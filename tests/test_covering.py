"""The table of what JAX differentiates has no hole; what needs no rule says why."""

import subprocess
import sys

import pytest
from jax.interpreters import ad

from jaxbp import covering as module
from jaxbp.covering import EXCEPTIONS, CoverageReport, CoverageRow, coverage
from jaxbp.errors import MissingRule
from jaxbp.rules import registry


def test_no_hole():
    """In a fresh process: other tests register primitives of their own."""
    program = "from jaxbp.covering import coverage; print(*coverage().holes)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not found.stdout.split()


def test_every_primitive_of_jax_has_a_row():
    rows = coverage().rows  # which imports what fills the tables: sparse arrays
    names = {p.name for p in (*ad.primitive_jvps, *ad.primitive_transposes)}
    assert [row.primitive for row in rows] == sorted(names)


def test_no_exception_has_a_rule():
    """An exception that gains a rule leaves the list; each has a reason."""
    renamed = {"eval_jaxpr"}  # the name of closed_call from JAX 0.11 on
    assert not set(EXCEPTIONS) & registry.known() - renamed
    assert all(EXCEPTIONS.values())


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("tanh", ("elementwise", "elementwise")),
        ("dot_general", ("bilinear", "bilinear")),
        ("cholesky", ("general", "general")),
        ("triangular_solve", ("mixed", "mixed")),
        ("floor", ("zero", "zero")),
        ("scan", ("program", "program")),
        ("while", ("program", "program")),
        ("pure_callback", ("refused", "refused")),
    ],
)
def test_kinds(name, kinds):
    (row,) = [row for row in coverage().rows if row.primitive == name]
    assert (row.forward, row.reverse) == kinds
    assert row.status == "covered"


def test_report_counts_and_shows_every_status():
    rows = (
        CoverageRow("tanh", "rule", "derived", "elementwise", "elementwise"),
        CoverageRow("inner", "rule", "derived", "", "", "internal"),
        CoverageRow("new", "rule", "rule", "", ""),
    )
    report = CoverageReport(rows, "9.9")
    assert report.holes == ("new",)
    assert report.summary() == (
        "JAX 9.9 differentiates 3 primitives: 1 covered, 1 exception, 1 hole. "
        "jaxbp has 1 in forward and 1 in reverse mode."
    )
    shown = str(report)
    assert "exception" in shown and "hole" in shown and "derived" in shown
    assert report.reasons() == ("inner: internal.",)


def test_tables_at_another_place(monkeypatch):
    monkeypatch.setattr(module, "import_module", lambda name: object())
    with pytest.raises(MissingRule, match="coverage.. expects jax.interpreters.ad"):
        coverage()


def test_the_page_has_a_title_and_every_column_a_heading():
    report = coverage()
    assert report.name.startswith("coverage of JAX ")
    assert all(column.heading for column in report.table().columns)
