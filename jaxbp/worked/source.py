"""Where in a TOML text does a value stand? What its errors name."""

import re


def line_of(text: str, key: str, place: tuple[int, ...] = ()) -> int | None:
    """The line, from 1, of a top-level key or table, or of an element of an array.

    Args:
      place: indices into the array: (1,) its second entry, (1, 0) the first of that.
    """
    found = re.search(
        rf"^[ \t]*(\[+[ \t]*)?[\"']?{re.escape(key)}[\"']?[ \t]*[=.\]]",
        text,
        re.MULTILINE,
    )
    if found is None:
        return None
    at = _element(text, found.end(), place) if place else found.start()
    return text.count("\n", 0, found.start() if at is None else at) + 1


def _element(text: str, start: int, place: tuple[int, ...]) -> int | None:
    """The index in the text where an element begins; None if there is none."""
    counts: list[int] = []  # per open bracket: entries passed
    fresh, quote, at = False, "", start
    while at < len(text):
        sign = text[at]
        if quote:
            quote = "" if sign == quote else quote
        elif sign == "#":
            at = text.find("\n", at)
            if at < 0:
                return None
        elif not sign.isspace() and sign not in ",]":
            if fresh and tuple(counts) == place:
                return at
            fresh = False
            if sign in "\"'":
                quote = sign
            elif sign == "[":
                counts.append(0)
                fresh = True
        elif sign == "," and counts:
            counts[-1] += 1
            fresh = True
        elif sign == "]" and counts:
            counts.pop()
            fresh = False
            if not counts:
                return None
        at += 1
    return None
