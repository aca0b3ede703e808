"""Grids of cases: every combination, or one axis at a time from a base."""

import json
from collections.abc import Iterable
from itertools import product

from jaxbp.errors import InvalidArgument
from jaxbp.study.base import Case, Row, is_gap


def grid(**axes: Iterable) -> list[Case]:
    """Every combination of the axes' values, the last axis varying fastest.

    A value that is not a list, tuple or range is an axis of one value.
    """
    values = map(axis_values, axes.values())
    return [dict(zip(axes, point, strict=True)) for point in product(*values)]


def sweep(base: Case, **axes: Iterable) -> list[Case]:
    """`base` changed along one axis at a time; each case once, in order.

    Raises:
      InvalidArgument: an axis is no entry of `base`.
    """
    for name in axes:
        if name not in base:
            raise InvalidArgument(
                f"axis `{name}` is no entry of `base`, which has "
                f"{', '.join(f'`{k}`' for k in base)}. Give it a base value."
            )
    cases = [
        {**base, name: value}
        for name, values in axes.items()
        for value in axis_values(values)
    ]
    return distinct(cases)


def crossed(cases: Iterable[Case], **axes: Iterable) -> list[Case]:
    """Every case with every combination of further axes."""
    return [{**case, **more} for case in cases for more in grid(**axes)]


def along(rows: Iterable[Row], base: Case, axis: str) -> list[Row]:
    """The rows of a sweep's one axis: equal to `base` in all its other entries."""
    fixed = {name: value for name, value in base.items() if name != axis}
    return [row for row in rows if fixed.items() <= row.items()]


def numbered(rows: Iterable[Row], **wanted) -> list[Row]:
    """The rows with these entries that have numbers, not a stated gap."""
    return [row for row in rows if wanted.items() <= row.items() and not is_gap(row)]


def distinct(cases: Iterable[Case]) -> list[Case]:
    """Each case once, where it came first."""
    return list({case_key(case): case for case in cases}.values())


def case_key(case: Case) -> str:
    """A case as one canonical line of text."""
    return json.dumps(case, sort_keys=True)


def axis_values(values) -> list:
    """The values of an axis; a lone value is an axis of one."""
    return list(values) if isinstance(values, list | tuple | range) else [values]
