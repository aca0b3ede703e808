"""Where a Jacobian may be nonzero."""

import importlib
from dataclasses import dataclass

import numpy as np

from .. import tree
from ..errors import InvalidArgument


@dataclass(frozen=True, repr=False)
class Pattern:
    """Where a Jacobian may be nonzero.

    Attributes:
      rows, columns: (k,) int32, ordered by row, then column, each place once.
      shape: (m, n).
      exact: False: some places may be zero for all inputs, because a part of the
        function is known as an operator alone, reads at places that depend on values,
        or selects by a mask, which may be the same for all inputs.
    """

    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]
    exact: bool = True

    def __repr__(self) -> str:
        m, n = self.shape
        kind = "" if self.exact else ", a superset"
        return f"Pattern({self.nse:,} of {m:,} x {n:,} places{kind})"

    @property
    def nse(self) -> int:
        """The number of places."""
        return len(self.rows)

    @property
    def indices(self) -> np.ndarray:
        """(k, 2), as BCOO has them."""
        return np.stack([self.rows, self.columns], 1).astype(np.int32)

    def dense(self) -> np.ndarray:
        """(m, n) of booleans."""
        found = np.zeros(self.shape, bool)
        found[self.rows, self.columns] = True
        return found

    def scipy(self):
        """A scipy.sparse.csr_array of ones."""
        csr_array = importlib.import_module("scipy.sparse").csr_array
        ones = np.ones(self.nse, bool)
        return csr_array((ones, (self.rows, self.columns)), shape=self.shape)

    @staticmethod
    def of(matrix) -> "Pattern":
        """From a boolean matrix, or from anything with `row`, `col` and `shape`."""
        if isinstance(matrix, Pattern):
            return matrix
        if hasattr(matrix, "tocoo"):
            matrix = matrix.tocoo()
            return places_of(matrix.row, matrix.col, matrix.shape)
        if hasattr(matrix, "indices") and hasattr(matrix, "nse"):
            places = np.asarray(matrix.indices)
            return places_of(places[:, 0], places[:, 1], matrix.shape)
        array = np.asarray(matrix)
        if array.ndim != 2:
            raise InvalidArgument(
                "`pattern` must be a jaxbp.sparse.Pattern, a boolean or a sparse "
                f"matrix, but is {tree.describe(matrix)}."
            )
        rows, columns = np.nonzero(array)
        return places_of(rows, columns, array.shape)


def places_of(rows, columns, shape, exact: bool = True) -> Pattern:
    """The pattern of these places, in order, each once."""
    m, n = map(int, shape)
    flat = np.unique(np.asarray(rows, np.int64) * n + np.asarray(columns, np.int64))
    rows, columns = np.divmod(flat, max(n, 1))
    return Pattern(rows.astype(np.int32), columns.astype(np.int32), (m, n), exact)


def grouped(keys, values, count: int) -> list[np.ndarray]:
    """Per key its values."""
    order = np.argsort(keys, kind="stable")
    if not count:
        return []
    ends = np.cumsum(np.bincount(keys, minlength=count))
    return np.split(values[order], ends[:-1])
