"""Rows as JSON and as CSV, for programs that read on."""

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def json_text(rows: Sequence[dict]) -> str:
    """A JSON array, one object per row. JSON has no NaN: such numbers are strings."""
    return json.dumps([plain(row) for row in rows], indent=1, ensure_ascii=True)


def csv_text(rows: Sequence[dict], names: Sequence[str] = ()) -> str:
    """A header and one line per row; what is no single value stands as JSON. `names`
    is the header where there are no rows."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or names
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(plain(value)) for name, value in row.items()})
    return out.getvalue().rstrip("\n")


def _cell(value):
    return json.dumps(value) if isinstance(value, list | dict) else value


def plain(value: Any):
    """A value as JSON's own: arrays as lists, what is no number as a string."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        value = dict(zip(value._fields, value, strict=True))  # pyright: ignore
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "dtype"):
        return _array(value)
    return str(value)


def _array(value):
    try:
        array = np.asarray(value)
    except TypeError:  # a random key
        return str(value)
    known = array.dtype.kind in "biufcO"
    return plain((array if known else array.astype(np.float64)).tolist())
