"""How does y grow with x? A power law fitted on log-log axes, with its doubt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxbp.errors import InvalidArgument
from jaxbp.study.base import Row, is_gap
from jaxbp.study.unstable import is_doubtful, told

RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scaling:
    """y = constant · x^exponent, and the exponent's confidence interval."""

    exponent: float
    lower: float
    upper: float
    constant: float
    points: int

    def __call__(self, x):
        """The fitted y at x."""
        return self.constant * np.asarray(x, float) ** self.exponent

    def __str__(self) -> str:
        return f"{self.exponent:.2f} [{self.lower:.2f}, {self.upper:.2f}]"


def fit_power(x: Sequence[float], y: Sequence[float], *, seed: int = 0) -> Scaling:
    """Least-squares power law through positive points.

    The interval is the central 95 % of the exponents of 2,000 resamples of the
    points, drawn with replacement (the percentile bootstrap); resamples of a single
    x have no exponent and are not counted.

    Args:
      x, y: (k,) positive, at least two different x.
      seed: of the resampling.

    Raises:
      InvalidArgument: fewer than two different x, or a value that is not positive.

    Source: Efron 1979, doi:10.1214/aos/1176344552.
    """
    log_x, log_y = positive_logs(x, "x"), positive_logs(y, "y")
    if len(log_x) != len(log_y) or np.ptp(log_x) == 0:
        raise InvalidArgument(
            "a power law needs pairs with at least two different `x`, but got "
            f"{len(log_x)} x, {len(log_y)} y, {len(set(x))} different."
        )
    exponent, intercept = least_squares(log_x, log_y)
    picks = np.random.default_rng(seed).integers(
        len(log_x), size=(RESAMPLES, len(log_x))
    )
    slopes, _ = least_squares(log_x[picks], log_y[picks])
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.nanquantile(slopes, (tail, 1 - tail))
    numbers = map(float, (exponent, lower, upper, np.exp(intercept)))
    return Scaling(*numbers, points=len(log_x))


def growth(rows: Sequence[Row], x: str, y: str, *, symbol: str = "") -> str:
    """The power of column `x` with which column `y` grows, as text: n^1.02 [.98, 1.05].

    Rows where y is zero, missing or not steady are left out; of fewer than three sizes,
    whose exponent has no doubt, it is "-".

    Args:
      symbol: of x in the text; its first letter by default.
    """
    points = [
        (row[x], row[y]) for row in rows if row.get(y) and not is_doubtful(row, y)
    ]
    if len({size for size, _ in points}) < 3:
        return "-"
    return f"{symbol or x[0]}^{fit_power(*zip(*points, strict=True))}"


def at_the_end(
    rows: Sequence[Row],
    by: Sequence[str],
    x: str,
    columns: Sequence[str],
    grown: Mapping[str, str],
) -> list[Row]:
    """A line for each entry of the columns `by`: some columns where `x` is largest, and
    how others grow with it.

    Args:
      rows: gaps among them are left out.
      grown: title -> column whose growth with `x` stands under it.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if not is_gap(row) and {*by, x} <= row.keys():
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
    lines = []
    for group in groups.values():
        last = max(group, key=lambda row: row[x])
        line = {name: told(last, name) for name in (*by, x, *columns)}
        lines.append(
            line | {t: growth(group, x, column) for t, column in grown.items()}
        )
    return lines


def positive_logs(values: Sequence[float], name: str) -> np.ndarray:
    """Logarithms of values that must be positive."""
    array = np.asarray(values, float)
    if array.size == 0 or not (array > 0).all():
        raise InvalidArgument(
            f"`{name}` must hold positive numbers only, but is {list(values)[:8]}. "
            "Leave out rows without a number."
        )
    return np.log(array)


def least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and intercept of y over x along the last axis; NaN where x is constant."""
    dx = x - x.mean(-1, keepdims=True)
    spread = (dx**2).sum(-1)
    differ = np.ptp(x, -1) > 0  # of equal ones the mean may be off by a rounding
    slope = (dx * y).sum(-1) / np.where(differ, spread, np.nan)
    return slope, y.mean(-1) - slope * x.mean(-1)
