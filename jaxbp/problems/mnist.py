"""MNIST, or any data set in its format, from files that the user has."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from jaxbp.errors import DataError
from jaxbp.problems.dataset import Examples, Scaling, Split, rescale
from jaxbp.problems.idx import read_idx


def load_idx_pair(
    images_path: str | os.PathLike, labels_path: str | os.PathLike
) -> Examples:
    """Images (n, ...) as stored and labels (n,) int32, from two IDX files.

    Raises:
      DataError: a damaged or foreign file, labels that are not one integer an image,
        or files swapped.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{labels_path} must hold one integer label an image but holds "
            f"{labels.dtype} of shape {labels.shape}. Are the two files swapped?"
        )
    if images.ndim < 2:
        raise DataError(
            f"{images_path} must hold images, shape (n, ...), but has shape "
            f"{images.shape}. Are the two files swapped?"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds "
            f"{len(labels)} labels: they belong to different sets."
        )
    return Examples(images, labels.astype(np.int32))


def load_mnist(
    folder: str | os.PathLike,
    scaling: Scaling = "unit",
    dtype: DTypeLike = np.float32,
) -> Split:
    """The four files of MNIST, Fashion-MNIST or the like, as flat inputs.

    Args:
      folder: holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
        `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each plain or with
        ".gz", the last "-" also as ".".
      scaling: "raw" 0 to 255, "unit" 0 to 1, or "standard" (see `rescale`).
      dtype: of the inputs.

    Returns:
      `Split` of inputs (n, pixels) and labels (n,) int32.

    Raises:
      DataError: a file is missing, damaged or foreign.
    """
    train, test = (_load_part(Path(folder), part) for part in ("train", "t10k"))
    if train.inputs.shape[1] != test.inputs.shape[1]:
        raise DataError(
            f"{folder}: train images have {train.inputs.shape[1]} pixels but test "
            f"images {test.inputs.shape[1]}."
        )
    return rescale(Split(train, test), scaling, full_scale=255, dtype=dtype)


def _load_part(folder, part):
    images, labels = load_idx_pair(
        _find(folder, f"{part}-images", "idx3-ubyte"),
        _find(folder, f"{part}-labels", "idx1-ubyte"),
    )
    return Examples(images.reshape(len(images), -1), labels)


def _find(folder, stem, ending):
    names = [f"{stem}{dot}{ending}{gz}" for dot in "-." for gz in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder} has none of " + ", ".join(names) + ".")
