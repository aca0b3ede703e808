"""A long operand that an expression repeats, told once, by a letter."""

import ast
import re
from collections import Counter
from typing import NamedTuple

LONG = 24  # characters that are worth a letter
LETTERS = "xyztuvw"


class Shortened(NamedTuple):
    """Two expressions with a letter for what is long in them.

    Fields:
      old, new: the expressions. letter: "" where nothing is; else it stands for `text`.
    """

    old: str
    new: str
    letter: str = ""
    text: str = ""


def shortened(old: str, new: str) -> Shortened:
    """`old` and `new`, with a part that `new` repeats replaced by a letter that neither
    of them has as a name: of several the one with which all is shortest."""
    taken = {*re.findall(r"\w+", old), *re.findall(r"\w+", new)}
    letter = next((x for x in LETTERS if x not in taken), "")
    within, without = _parts(new), _parts(old)
    ways = (
        Shortened(
            _replaced(old, part, letter), _replaced(new, part, letter), letter, part
        )
        for part, times in within.items()
        # Where a text stands oftener it is no expression: `b - c` of `a - b - c`.
        if letter and times > 1
        if (new.count(part), old.count(part)) == (times, without[part])
    )
    plain = Shortened(old, new)
    return min((plain, *ways), key=lambda way: sum(map(len, way)))


def _parts(expression: str) -> Counter[str]:
    """How often each long expression stands within one."""
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:  # a part of an expression, as a method to be called
        return Counter()
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    parts = (ast.get_source_segment(expression, node) or "" for node in nodes)
    return Counter(part for part in parts if len(part) >= LONG)


def _replaced(expression: str, text: str, letter: str) -> str:
    """The expression with a letter for a text, which needs no brackets of its own."""
    bracketed = re.compile(rf"(?<![\w\])])\({re.escape(text)}\)")
    return bracketed.sub(letter, expression).replace(text, letter)
