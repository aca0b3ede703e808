"""Which primitives JAX can differentiate, and which of them jaxbp can.

JAX's side is read from the tables `jax.interpreters.ad.primitive_jvps` and
`.primitive_transposes` of the installed JAX, for this report only: no derivative is
computed with them.
"""

import collections
from dataclasses import dataclass, replace
from importlib import import_module

import jax

from . import control  # noqa: F401  (registers the rules that walk programs)
from .display import Column, Line, Page, Shown, Table, Words
from .errors import MissingRule, UnknownName, nearest
from .rules import registry
from .rules.effects import Refused
from .rules.mixed import Mixed

_HIGH = "experimental high-level types of JAX, which bring derivatives of their own"
_KERNEL = "accumulates inside JAX's own backward passes and kernels; no public call"

_HOSTS = "moves arrays between processes, outside of programs; JAX's rule is borrowed"

# Names in JAX's tables that need no rule here, each with its reason.
EXCEPTIONS = {
    "accum_grad_in_ref": _KERNEL,
    "global_array_to_host_local_array": _HOSTS,
    "host_local_array_to_global_array": _HOSTS,
    "box_get": _HIGH,
    "box_set": _HIGH,
    "eval_jaxpr": "internal to JAX 0.10: no public call",
    "from_edtype": "conversion from extended dtypes, which carry no tangent",
    "log_extend": _HIGH,
    "log_read": _HIGH,
    "new_box": _HIGH,
    "new_log": _HIGH,
    "program_order": "an experiment of JAX 0.11, removed in 0.12",
    "relayout": "internal: made while a program is compiled, after differentiation",
    "run_state": "the loop of kernels: no public call",
    "to_edtype": "conversion to extended dtypes, which carry no tangent",
}

_KINDS = {
    registry.Bilinear: "bilinear",
    registry.Elementwise: "elementwise",
    registry.General: "general",
    registry.Linear: "linear",
    registry.ZeroRule: "zero",
    Mixed: "mixed",
    Refused: "refused",
}
_COLUMNS = (
    Column("primitive", left=True),
    *(
        Column(name, left=True)
        for name in ("JAX fwd", "JAX rev", "fwd", "rev", "remark")
    ),
)
_TONES = {"covered": "", "borrowed": "warn", "exception": "dim", "hole": "bad"}
_BORROWED = "JAX's"


@dataclass(frozen=True)
class CoverageRow:
    """One primitive of JAX's tables.

    Fields:
      primitive: its name.
      jax_forward, jax_reverse: what JAX has: "rule", "derived" (the transpose of
        the tangent's program) or "".
      forward, reverse: what jaxbp has: the kind of rule ("program": one that walks an
        inner program; "refused": the error that JAX raises, too; "JAX's": none, so that
        JAX's rule for this primitive of another package is borrowed), or "".
      reason: why there is no rule, for a name on the list of exceptions.
    """

    primitive: str
    jax_forward: str
    jax_reverse: str
    forward: str
    reverse: str
    reason: str = ""

    @property
    def status(self) -> str:
        """ "covered", "borrowed", "exception" or "hole"."""
        if self.forward:
            return "borrowed" if self.forward == _BORROWED else "covered"
        return "exception" if self.reason else "hole"


@dataclass(frozen=True, repr=False)
class CoverageReport(Shown):
    """The table, and what it was made with.

    Fields:
      rows: one per primitive, by name.
      jax_version: of the JAX whose tables were read.
    """

    rows: tuple[CoverageRow, ...]
    jax_version: str

    @property
    def name(self) -> str:
        """The title of its page."""
        return f"coverage of JAX {self.jax_version}"

    @property
    def holes(self) -> tuple[str, ...]:
        """Names that JAX differentiates, jaxbp does not, and no reason excuses."""
        return tuple(row.primitive for row in self.rows if row.status == "hole")

    def summary(self) -> str:
        """The counts, in two sentences."""
        count = collections.Counter(row.status for row in self.rows)
        forward = sum(bool(row.forward) for row in self.rows)
        reverse = sum(bool(row.reverse) for row in self.rows)
        primitives = _plural(len(self.rows), "primitive")
        borrowed = ""
        if count["borrowed"]:
            borrowed = f"{count['borrowed']} of other packages by JAX's own rule, "
        return (
            f"JAX {self.jax_version} differentiates {primitives}: "
            f"{count['covered']} covered, {borrowed}"
            f"{_plural(count['exception'], 'exception')}, "
            f"{_plural(count['hole'], 'hole')}. "
            f"jaxbp has {forward} in forward and {reverse} in reverse mode."
        )

    def reasons(self) -> tuple[str, ...]:
        """What excuses a mode that is missing, each with the primitives' names."""
        names: dict[str, list[str]] = {}
        for row in self.rows:
            if row.reason:
                names.setdefault(row.reason, []).append(row.primitive)
        return tuple(f"{', '.join(who)}: {reason}." for reason, who in names.items())

    def matching(self, word: str) -> "CoverageReport":
        """The report on the primitives with `word` in their name.

        Raises:
          UnknownName: there is none; the message has the nearest names.
        """
        rows = tuple(row for row in self.rows if word in row.primitive)
        if not rows:
            raise UnknownName(
                f"JAX {self.jax_version} differentiates no primitive with `{word}` in "
                f"its name. {_close(word, self.rows)}"
            )
        return replace(self, rows=rows)

    def table(self) -> Table:
        """A line per primitive."""
        return Table(_COLUMNS, tuple(map(_line, self.rows)))

    def page(self) -> Page:
        """The table, the reasons for what is missing, and the counts."""
        reasons = (Words(f"· {reason}") for reason in self.reasons())
        return Page(self.table(), *reasons, self.summary())


def _close(word: str, rows) -> str:
    """The nearest names; of so many not all, where none is near."""
    names = [row.primitive for row in rows]
    parts = [part for part in word.split("_") if len(part) > 2]
    akin = [name for name in names if any(part in name for part in parts)]
    said = nearest(word, names)
    if not said.startswith("Known"):
        return said
    if akin:
        return "There is " + ", ".join(f"`{name}`" for name in akin[:6]) + "."
    return f"`jaxbp coverage` lists all {len(names)}."


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _line(row: CoverageRow) -> Line:
    remark = "" if row.status == "covered" else row.status
    sides = (row.jax_forward, row.jax_reverse, row.forward, row.reverse)
    return Line((row.primitive, *sides, remark), _TONES[row.status])


def coverage(word: str = "") -> CoverageReport:
    """Every primitive that the installed JAX differentiates, beside ours, by mode.

    Args:
      word: only those with this in their name, as `.matching(word)` of the whole.

    Returns:
      A `CoverageReport`; `.holes` is empty where jaxbp differentiates all that JAX
      does.

    Raises:
      MissingRule: this JAX shows its tables at another place.
      UnknownName: no primitive's name has `word`; the message has the nearest.

    Cost: reads two tables; nothing is traced.
    """
    pushed, transposed = _jax_tables()
    ours = registry.table()
    names = sorted({p.name for p in (*pushed, *transposed)})
    has_jvp, has_transpose = ({p.name for p in t} for t in (pushed, transposed))
    others = {p.name for p in pushed if not registry.from_jax(p)} - ours.keys()
    others -= EXCEPTIONS.keys()
    rows = [
        _row(
            name, name in has_jvp, name in has_transpose, ours.get(name), name in others
        )
        for name in names
    ]
    return CoverageReport(tuple(rows), jax.__version__).matching(word)


def _jax_tables():
    ad = import_module("jax.interpreters.ad")
    for module in ("sparse", "sparse.linalg"):  # which fill their rows when imported
        import_module(f"jax.experimental.{module}")
    try:
        return ad.primitive_jvps, ad.primitive_transposes
    except AttributeError:
        raise MissingRule(
            "coverage() expects jax.interpreters.ad to have `primitive_jvps` and "
            f"`primitive_transposes`, but that of JAX {jax.__version__} does not. The "
            "rules themselves are not affected: `jaxbp.rules.known()` lists them."
        ) from None


def _row(name, has_jvp, has_transpose, rule, borrowed) -> CoverageRow:
    kind = _BORROWED if borrowed else ""
    if rule is not None:
        kind = _KINDS.get(type(rule), "program")
    return CoverageRow(
        primitive=name,
        jax_forward="rule" if has_jvp else "",
        jax_reverse="rule" if has_transpose else "derived",
        forward=kind,
        reverse=kind,
        reason="" if kind else EXCEPTIONS.get(name, ""),
    )
