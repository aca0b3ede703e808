"""A table within a width: fold names, leave out spare columns, or a block per line."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from .page import Column, Table, Words, words

GAP = 2  # columns between two cells; a table has one on either side besides
TOKEN = 28  # characters; a longer word may be broken
# A name is folded between words, and one that is too long behind these signs.
WORDS, PARTS = re.compile(r"\S*\s*"), re.compile(r"[^,(\[{/.·]*[,(\[{/.·]?")


class Fitted(NamedTuple):
    """A table ready to be drawn: its columns, its cells folded, what was left out."""

    columns: tuple[Column, ...]
    cells: list[list[Words]]  # per line
    left_out: tuple[str, ...] = ()


def fitted(table: Table, width: int | None) -> Fitted | None:
    """The table within `width`; None if no folding and leaving out makes it fit."""
    kept = list(range(len(table.columns)))
    grid = [_filled(line.cells, len(kept)) for line in table.lines]
    left_out: list[str] = []
    while True:
        columns = [table.columns[i] for i in kept]
        cells = [[line[i] for i in kept] for line in grid]
        widths = _widths(columns, cells, width)
        if widths is not None:
            folded = [_folded(line, widths) for line in cells]
            return Fitted(tuple(columns), folded, tuple(left_out))
        spare = max(kept, key=lambda i: table.columns[i].spare)
        if not table.columns[spare].spare:
            return None
        heading = table.columns[spare].heading.replace("-\n", "")
        left_out.insert(0, one_line(heading))
        kept.remove(spare)


def _folded(line: list[Words], widths: list[int]) -> list[Words]:
    pairs = zip(line, widths, strict=True)
    return [cell._replace(text=folded_text(cell.text, n)) for cell, n in pairs]


def _filled(cells: Sequence, count: int) -> list[Words]:
    return [*map(words, cells), *[Words("")] * (count - len(cells))]


def _widths(columns, cells, width: int | None) -> list[int] | None:
    """Of every column, with those of names narrowed as far as is needed."""
    texts = [
        [column.heading, *(line[i].text for line in cells)]
        for i, column in enumerate(columns)
    ]
    widths = [max(map(longest_line, column)) for column in texts]
    if width is None:
        return widths
    room = width - GAP * len(columns)
    least = [
        max(map(longest_token, texts[i])) if column.fold else widths[i]
        for i, column in enumerate(columns)
    ]
    if sum(least) > room:
        return None
    while sum(widths) > room:  # the widest name gives way first
        give = [w if w > n else 0 for w, n in zip(widths, least, strict=True)]
        widths[give.index(max(give))] -= 1
    return widths


def longest_line(text: str) -> int:
    """Columns that a cell takes."""
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def longest_token(text: str) -> int:
    """Columns that a cell takes at least, folded."""
    parts = (part for word in text.split() for part in PARTS.findall(word))
    return min(max(map(longest_line, parts), default=0), TOKEN)


def folded_text(text: str, width: int) -> str:
    """Text in lines of at most `width`, broken between words where that is possible."""
    return "\n".join(_folded_line(line, width) for line in text.split("\n"))


def _folded_line(line: str, width: int) -> str:
    if longest_line(line) <= width:
        return line
    done, now = [], ""
    for token in _tokens(line, width):
        if now.strip() and longest_line((now + token).rstrip()) > width:
            done.append(now.rstrip())
            now = ""
        now += token
    return "\n".join([*done, now.rstrip()])


def _tokens(line: str, width: int):
    """Words; of one that is too long the parts, and of such a part what fits."""
    for word in filter(None, WORDS.findall(line)):
        whole = longest_line(word.rstrip()) <= width
        for part in [word] if whole else filter(None, PARTS.findall(word)):
            while longest_line(part.rstrip()) > width:
                yield part[:width]
                part = part[width:]
            yield part


def one_line(heading: str) -> str:
    return heading.replace("-\n", "").replace("\n", " ")


def blocks(table: Table, width: int) -> list[tuple[Words, list[str]]]:
    """Each line of the table as its name and the lines below: `heading cell` pairs."""
    found = []
    for line in table.lines:
        name, *cells = _filled(line.cells, len(table.columns))
        pairs = [
            f"{one_line(column.heading)} {one_line(cell.text)}".strip()
            for column, cell in zip(table.columns[1:], cells, strict=True)
            if cell.text
        ]
        found.append((name._replace(text=folded_text(name.text, width)), []))
        for pair in _filled_up(pairs, width - GAP):
            found[-1][1].append(pair)
    return found


def _filled_up(pairs: Sequence[str], width: int) -> list[str]:
    """As many pairs a line as fit."""
    lines: list[str] = []
    for pair in pairs:
        if lines and longest_line(lines[-1] + "   " + pair) <= width:
            lines[-1] += "   " + pair
        else:
            lines += [pair] if longest_line(pair) <= width else (
                folded_text(pair, width).split("\n")
            )  # fmt: skip
    return lines


def filled(
    cells: Sequence[str], width: int | None, first: str, further: str, gap: str = "  "
) -> list[str]:
    """Cells side by side on as few lines as fit in `width`; on one where that is None.

    Args:
      first, further: what the first line and those after it begin with.
    """
    lines, started = [first], False
    for cell in cells:
        longer = lines[-1] + gap * started + cell
        if started and width is not None and len(longer.rstrip()) > width:
            longer = further + cell.lstrip()
            lines.append("")
        lines[-1], started = longer, True
    return [line.rstrip() for line in lines]
