"""Examples, and how they are split and scaled. NumPy only, on the host."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from jaxbp.errors import DataError, InvalidArgument, UnknownName, nearest

Scaling = Literal["raw", "unit", "standard"]


class Examples(NamedTuple):
    """Inputs (n, ...) and targets (n, ...); a tuple, so it unpacks as a batch."""

    inputs: np.ndarray
    targets: np.ndarray


class Split(NamedTuple):
    """Examples to learn from, and examples kept apart."""

    train: Examples
    test: Examples


def stratified_indices(
    labels: ArrayLike, test_fraction: float = 0.25, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Shuffled train and test indices with every class in proportion.

    Args:
      labels: (n,) int.
      test_fraction: in (0, 1); the test part has ceil(n * test_fraction) entries.
      seed: of the NumPy generator that draws the split.

    Returns:
      Two int arrays, disjoint, together a permutation of range(n). Each class's
      share of the test part is its share of the whole, rounded to a neighbour.

    Raises:
      InvalidArgument: the fraction leaves one of the parts empty.
      DataError: `labels` is not one-dimensional.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise DataError(f"`labels` must have shape (n,) but has {labels.shape}.")
    test_size = int(np.ceil(labels.size * test_fraction))
    if not 0 < test_fraction < 1 or not 0 < test_size < labels.size:
        raise InvalidArgument(
            f"`test_fraction` must lie in (0, 1) and leave examples in both parts, "
            f"but {test_fraction} of {labels.size} examples does not."
        )
    rng = np.random.default_rng(seed)
    _, class_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    test = [
        rng.permutation(np.flatnonzero(class_of == c))[:share]
        for c, share in enumerate(_apportion(sizes, test_size, rng))
    ]
    test = rng.permutation(np.concatenate(test))
    train = rng.permutation(np.setdiff1d(np.arange(labels.size), test))
    return train, test


def _apportion(sizes, total, rng):
    """Integer shares of `total` in proportion to `sizes` (largest remainders)."""
    exact = sizes * (total / sizes.sum())
    shares = np.floor(exact).astype(int)
    remainder = exact - shares + rng.uniform(0, 1e-9, sizes.size)  # breaks ties
    shares[np.argsort(-remainder)[: total - shares.sum()]] += 1
    return shares


def split_examples(
    examples: Examples, test_fraction: float = 0.25, seed: int = 0
) -> Split:
    """`examples` in two parts, stratified by their (n,) integer targets."""
    parts = stratified_indices(examples.targets, test_fraction, seed)
    return Split(*(Examples(*(leaf[rows] for leaf in examples)) for rows in parts))


def rescale(
    split: Split, scaling: Scaling, full_scale: float, dtype: DTypeLike = np.float32
) -> Split:
    """The inputs of both parts as floats, scaled by what the train part shows.

    Args:
      split: inputs of any numeric dtype, (n, ...).
      scaling: "raw" only converts; "unit" divides by `full_scale`; "standard" gives
        every feature of the train part mean 0 and standard deviation 1 (a constant
        feature becomes 0) and moves the test part by the same amounts.
      full_scale: the largest value an input can have.
      dtype: of the returned inputs; the sums run in float64.
    """
    if scaling not in get_args(Scaling):
        hint = nearest(str(scaling), get_args(Scaling))
        raise UnknownName(f"`scaling` is `{scaling}`. {hint}")
    shift, scale = _shift_and_scale(split.train.inputs, scaling, full_scale)

    def part(examples):
        inputs = (examples.inputs.astype(np.float64) - shift) / scale
        return Examples(inputs.astype(dtype), examples.targets)

    return Split(part(split.train), part(split.test))


def _shift_and_scale(inputs, scaling, full_scale):
    if scaling == "raw":
        return 0.0, 1.0
    if scaling == "unit":
        return 0.0, float(full_scale)
    deviation = inputs.std(axis=0, dtype=np.float64)
    return inputs.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, 1)
