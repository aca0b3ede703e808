"""Splitting and scaling: proportions, disjointness, what the test part may see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbp.errors import DataError, InvalidArgument, UnknownName
from jaxbp.problems import Examples, Split, rescale, split_examples, stratified_indices


@settings(deadline=None, max_examples=50)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    test_fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 100),
)
def test_a_split_is_a_partition_with_classes_in_proportion(labels, test_fraction, seed):
    labels = np.array(labels)
    train, test = stratified_indices(labels, test_fraction, seed)
    assert len(test) == np.ceil(len(labels) * test_fraction)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for label in np.unique(labels):
        exact = np.mean(labels == label) * len(test)
        assert abs(np.sum(labels[test] == label) - exact) < 1


def test_a_split_is_drawn_by_its_seed():
    labels = np.arange(40) % 4
    first, again, other = (stratified_indices(labels, 0.25, s)[1] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 0.99])
def test_a_fraction_that_empties_a_part_is_refused(fraction):
    with pytest.raises(InvalidArgument, match="test_fraction.*leave examples in both"):
        stratified_indices(np.zeros(4, int), fraction)


def test_labels_must_be_a_vector():
    with pytest.raises(DataError, match=r"shape \(n,\) but has \(4, 1\)"):
        stratified_indices(np.zeros((4, 1), int))


def test_split_examples_keeps_inputs_with_their_targets():
    targets = np.arange(20) % 2
    split = split_examples(Examples(targets[:, None] * 10.0, targets))
    for part in split:
        assert np.array_equal(part.inputs[:, 0], part.targets * 10.0)


@pytest.fixture
def two_parts():
    train = Examples(np.array([[0, 4, 7], [8, 4, 1]], np.uint8), np.array([0, 1]))
    return Split(train, Examples(np.array([[16, 5, 4]], np.uint8), np.array([1])))


@pytest.mark.parametrize(
    ("scaling", "train", "test"),
    [
        ("raw", [[0, 4, 7], [8, 4, 1]], [[16, 5, 4]]),
        ("unit", [[0, 0.25, 0.4375], [0.5, 0.25, 0.0625]], [[1, 0.3125, 0.25]]),
        ("standard", [[-1, 0, 1], [1, 0, -1]], [[3, 1, 0]]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rescale(two_parts, scaling, train, test, dtype):
    scaled = rescale(two_parts, scaling, full_scale=16, dtype=dtype)
    assert scaled.train.inputs.dtype == dtype
    assert np.array_equal(scaled.train.inputs, train)
    assert np.array_equal(scaled.test.inputs, test)


def test_an_unknown_scaling_names_the_nearest(two_parts):
    with pytest.raises(UnknownName, match="`standart`.*Did you mean `standard`"):
        rescale(two_parts, "standart", full_scale=16)
