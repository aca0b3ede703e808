"""The 1,797 handwritten digits of 8x8 pixels that come with the package.

Source: Alpaydin and Kaynak 1998, doi:10.24432/C50P49, CC BY 4.0; the attribution
stands beside the file in data/DIGITS-LICENSE.txt.
"""

from collections.abc import Iterable
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import DTypeLike

from jaxbp.problems.dataset import Examples, Scaling, Split, rescale, split_examples


def digit_images() -> Examples:
    """All images (1797, 8, 8) uint8 from 0 to 16, and labels (1797,) uint8."""
    with as_file(files("jaxbp.problems") / "data" / "digits.npz") as path:
        with np.load(path) as stored:
            return Examples(stored["images"], stored["labels"])


def digits(
    seed: int = 0,
    test_fraction: float = 0.25,
    scaling: Scaling = "unit",
    dtype: DTypeLike = np.float32,
) -> Split:
    """The digits as flat inputs, split by class: 1,347 to train, 450 to test.

    Args:
      seed: draws the split; the same seed gives the same split everywhere.
      test_fraction: kept apart for testing, in (0, 1).
      scaling: "raw" 0 to 16, "unit" 0 to 1, or "standard" (see `rescale`).
      dtype: of the inputs.

    Returns:
      `Split` of inputs (n, 64) and labels (n,) int32.
    """
    images, labels = digit_images()
    flat = Examples(images.reshape(len(images), -1), labels.astype(np.int32))
    split = split_examples(flat, test_fraction, seed)
    return rescale(split, scaling, full_scale=16, dtype=dtype)


def digits_of_seeds(
    seeds: Iterable[int], scaling: Scaling = "unit", dtype: DTypeLike = np.float32
) -> Split:
    """`digits` of several seeds, stacked: inputs (seeds, n, 64), labels (seeds, n)."""
    splits = [digits(seed, scaling=scaling, dtype=dtype) for seed in seeds]
    train, test = (
        Examples(*map(np.stack, zip(*parts, strict=True)))
        for parts in zip(*splits, strict=True)
    )
    return Split(train, test)
