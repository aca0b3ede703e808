"""Reports as people read them: one description, drawn for any place.

A report says once what is in its `Page` (words, and tables whose columns know which of
them may be left out) and, by `Shown`, has str, repr, rich and a notebook's HTML of it.
On a terminal a page fits the width, with no name, verdict or number lost; in a pipe or
a file it has none. Where a stream cannot write a sign, a plain one takes its place.
"""

from .fit import filled
from .page import Column, Line, Page, Shown, Table, Words
from .plain import spelled, tolerate
from .screen import as_html, as_text, show, waiting, width_here

__all__ = [
    "Column",
    "Line",
    "Page",
    "Shown",
    "Table",
    "Words",
    "as_html",
    "as_text",
    "filled",
    "show",
    "spelled",
    "tolerate",
    "waiting",
    "width_here",
]
