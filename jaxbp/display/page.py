"""What a report shows: words and tables, and the ways to show them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, NamedTuple

# How words may be toned; what each looks like is said in `screen` and `html`.
TONES = ("", "bold", "dim", "good", "bad", "warn", "blue")


class Words(NamedTuple):
    """A text with a tone: a paragraph of a page, or what stands in a cell."""

    text: str
    tone: str = ""
    indent: int = 0  # columns, of a paragraph


class Column(NamedTuple):
    """One column of a table.

    Attributes:
      heading: above it; may have several lines.
      left: whether its cells stand to the left; words do, numbers to the right.
      tone: of its cells.
      spare: 0 for what must not be lost; where the page is narrow, columns above 0 are
        left out, the greatest first.
      fold: whether cells may be folded where the page is narrow: names, not numbers.
    """

    heading: str
    left: bool = False
    tone: str = ""
    spare: int = 0
    fold: bool = False


class Line(NamedTuple):
    """One line of a table: a cell per column; fewer leave the last ones empty."""

    cells: tuple[str | Words, ...]
    tone: str = ""
    section: bool = False  # a heading, with a rule above it


@dataclass(frozen=True, repr=False)
class Table:
    """Columns and lines under a title; it prints as text, and a notebook shows it."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    title: str = ""

    def markdown(self) -> str:
        """The table in Markdown, its title left out."""
        from .marked import markdown

        return markdown(self)

    def page(self) -> "Page":
        """The table alone on a page."""
        return Page(self)

    def __str__(self) -> str:
        return str(self.page())

    __repr__ = __str__

    def __rich__(self):
        return self.page()

    def _repr_html_(self) -> str:
        return self.page()._repr_html_()


class Page:
    """Paragraphs and tables, one below the other."""

    def __init__(self, *parts: Words | Table | str):
        self.parts = tuple(Words(p) if isinstance(p, str) else p for p in parts)

    def text(self, width: int | None = None, encoding: str = "utf-8") -> str:
        """Plain text, without blanks at line ends.

        Args:
          width: columns it must fit; None wraps nothing.
          encoding: of the place it is meant for.
        """
        from .screen import page_text

        return page_text(self, width, encoding)

    def html(self) -> str:
        """A fragment of HTML, styled in place, for light and dark themes."""
        from .marked import html

        return html(self)

    def __str__(self) -> str:
        from .screen import text_for_here

        return text_for_here(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.html()

    def __rich_console__(self, console, options):
        from .screen import rich_parts

        yield from rich_parts(self, options.max_width)


class Shown:
    """Mixin of a report: it has `rows` and says what its `page` is.

    All reports have the same three: `rows`, objects with the numbers; `table()`, the
    rows as they are shown; `as_dicts()`, the rows as dictionaries, for a file.
    """

    rows: Any
    row_type: ClassVar[Any] = (
        None  # dataclass of the rows, of a report that may have none
    )

    def page(self) -> Page:
        """All that is shown of the report."""
        raise NotImplementedError

    def table(self) -> Table:
        """The rows as they are shown; without columns where none are."""
        tables = (p for p in self.page().parts if isinstance(p, Table))
        return next(tables, Table((), ()))

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries, all with the same keys."""
        return [row._asdict() if _is_named(row) else asdict(row) for row in self.rows]

    def names(self) -> list[str]:
        """The keys of `as_dicts()`, where they are known without rows."""
        return [field.name for field in fields(self.row_type)] if self.row_type else []

    def __str__(self) -> str:
        return str(self.page())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.page().html()

    def __rich__(self):
        return self.page()


def _is_named(row) -> bool:
    return isinstance(row, tuple) and hasattr(row, "_asdict")


def words(cell: str | Words) -> Words:
    """A cell, its tone with it."""
    return cell if isinstance(cell, Words) else Words(cell)


def lines_of(rows: Iterable[Iterable[str]]) -> tuple[Line, ...]:
    """Lines without a tone."""
    return tuple(Line(tuple(row)) for row in rows)
