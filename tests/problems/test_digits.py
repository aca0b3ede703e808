"""The packaged digits are the published ones, and their licence travels along."""

from importlib.resources import files

import numpy as np
import pytest

from jaxbp.problems import digit_images, digits


def test_images_are_the_published_ones():
    images, labels = digit_images()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == labels.dtype == np.uint8
    assert images.max() == 16
    assert images.sum() == 561718
    sizes = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == sizes
    assert labels[:10].tolist() == list(range(10))
    assert images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_attribution_stands_beside_the_file():
    notice = files("jaxbp.problems") / "data" / "DIGITS-LICENSE.txt"
    text = notice.read_text()
    assert "CC BY 4.0" in text and "10.24432/C50P49" in text


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_split_is_stratified_and_scaled(dtype):
    train, test = digits(seed=3, dtype=dtype)
    assert train.inputs.shape == (1347, 64) and test.inputs.shape == (450, 64)
    assert train.inputs.dtype == dtype and train.targets.dtype == np.int32
    assert train.inputs.min() == 0 and train.inputs.max() == 1
    share = np.bincount(test.targets) / 450
    assert np.allclose(share, np.bincount(digit_images().targets) / 1797, atol=1 / 450)


def test_seed_draws_the_split():
    same, again, other = (digits(seed=s).test.targets for s in (0, 0, 1))
    assert np.array_equal(same, again) and not np.array_equal(same, other)


def test_standard_scaling_has_mean_zero_and_variance_one_on_the_train_part():
    train, _ = digits(scaling="standard", dtype=np.float64)
    variance = train.inputs.var(axis=0)
    assert np.allclose(train.inputs.mean(axis=0), 0, atol=1e-12)
    assert np.all(np.isclose(variance, 1) | (variance == 0))  # border pixels are empty
