"""MNIST-format folders: found under every usual name, refused when inconsistent."""

import numpy as np
import pytest

from jaxbp.errors import DataError
from jaxbp.problems import load_idx_pair, load_mnist, write_idx


def write_folder(folder, dot="-", gz="", train=5, test=3, test_side=4):
    for part, count, side in (("train", train, 4), ("t10k", test, test_side)):
        pixels = np.arange(count * side * side) % 256
        images = pixels.astype(np.uint8).reshape(count, side, side)
        write_idx(folder / f"{part}-images{dot}idx3-ubyte{gz}", images)
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / f"{part}-labels{dot}idx1-ubyte{gz}", labels)


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("gz", ["", ".gz"])
def test_every_usual_name_is_found(tmp_path, dot, gz):
    write_folder(tmp_path, dot, gz)
    train, test = load_mnist(tmp_path)
    assert train.inputs.shape == (5, 16) and test.inputs.shape == (3, 16)
    assert train.inputs.dtype == np.float32 and train.targets.dtype == np.int32
    assert np.allclose(train.inputs[1], np.arange(16, 32) / 255)
    assert test.targets.tolist() == [0, 1, 2]


def test_a_missing_file_lists_the_names_looked_for(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has none of t10k-labels-idx1-ubyte, "):
        load_mnist(tmp_path)


def test_parts_of_different_sizes_are_refused(tmp_path):
    write_folder(tmp_path, test_side=2)
    with pytest.raises(DataError, match="train images have 16 pixels but test.* 4"):
        load_mnist(tmp_path)


@pytest.fixture
def files(tmp_path):
    write_folder(tmp_path)
    return tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"


def test_swapped_files_are_named(files):
    images, labels = files
    with pytest.raises(DataError, match="one integer label.*swapped"):
        load_idx_pair(labels, images)
    with pytest.raises(DataError, match="must hold images.*swapped"):
        load_idx_pair(labels, labels)


def test_counts_must_agree(files):
    images, labels = files
    write_idx(labels, np.zeros(4, np.uint8))
    with pytest.raises(DataError, match="holds 5 images but .* holds 4 labels"):
        load_idx_pair(images, labels)


def test_labels_must_be_integers(files):
    images, labels = files
    write_idx(labels, np.zeros(5, np.float32))
    with pytest.raises(DataError, match="one integer label an image but holds float32"):
        load_idx_pair(images, labels)
