"""The outcome of a check: a verdict over its rows, printed as a table."""

from dataclasses import asdict, dataclass, field


@dataclass(eq=False, repr=False)
class Report:
    """The outcome of a check. True if all witnesses agree; prints as a table.

    Attributes:
      name: of the function.
      judged: the witness whose gradient is judged.
      leaves: list of (name, description, obstacle) of all leaves looked at; the
        obstacle says why a leaf has no derivative.
      rows: list of Row.
      findings: list of Finding, one per leaf that fails.
      notes: list of str: witnesses that refused, points that were left out, NaNs.
      points: number of points at which `f` was looked at.
    """

    name: str
    judged: str
    leaves: list
    rows: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    points: int = 1

    @property
    def ok(self) -> bool:
        return not self.failures

    def __bool__(self):
        return self.ok

    @property
    def failures(self) -> list:
        """The rows that disagree or are not finite, worst first."""
        failed = [row for row in self.rows if row.failed]
        return sorted(failed, key=lambda row: -row.excess)

    @property
    def witnesses(self) -> list:
        """Names of the witnesses that the judged one was set beside."""
        return list(dict.fromkeys(row.witness for row in self.rows))

    def worst(self, leaf, witness=None):
        """The row of `leaf` of largest excess, against one witness or any; or None."""
        rows = [r for r in self.rows if r.leaf == leaf]
        rows = [r for r in rows if witness in (None, r.witness)]
        return max(rows, key=lambda r: (r.failed, r.excess), default=None)

    def as_dicts(self) -> list:
        """The rows as dictionaries, for a table or a file."""
        return [asdict(row) for row in self.rows]

    @property
    def headline(self) -> str:
        if self.ok:
            where = "the point given"
            if self.points > 1:
                where += f" and {self.points - 1} displaced"
            return f"{self.name}: all witnesses agree at {where}."
        places = dict.fromkeys(f.leaf for f in self.findings) or dict.fromkeys(
            row.leaf for row in self.failures
        )
        return f"{self.name}: NOT in agreement: {', '.join(places)}."

    def __str__(self):
        from .render import as_text

        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self):
        from .render import as_html

        return as_html(self)
