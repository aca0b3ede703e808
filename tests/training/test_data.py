"""Batches: every example once an epoch, or the stated ones left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbp.errors import InvalidArgument, ShapeMismatch, UnknownName
from jaxbp.training.data import Batches, epoch_rows, plan_batches, slices, take


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 12),
    size=st.integers(1, 12),
    shuffle=st.booleans(),
    last=st.sampled_from(["keep", "drop"]),
)
def test_an_epoch_uses_each_example_once(count, size, shuffle, last):
    batches = Batches(count, min(size, count), shuffle, last)
    full, rest = epoch_rows(batches, jax.random.key(count))
    rows = np.concatenate([full.ravel(), rest])
    assert full.shape == (batches.full, batches.size)
    assert len(rows) == batches.examples == len(set(rows.tolist()))
    left_out = count - batches.examples
    assert left_out == (count % batches.size if last == "drop" else 0)
    assert batches.steps == len(full) + (len(rest) > 0)
    if not shuffle:
        assert rows.tolist() == list(range(batches.examples))


def test_orders_differ_by_key():
    orders = [epoch_rows(Batches(50, 50), jax.random.key(s))[0] for s in (0, 0, 1)]
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_take_gathers_every_leaf():
    data = {"x": jnp.arange(8.0).reshape(4, 2), "y": (jnp.arange(4),)}
    taken = take(data, jnp.array([3, 0]))
    assert taken["x"].tolist() == [[6, 7], [0, 1]] and taken["y"][0].tolist() == [3, 0]


def test_slices_cover():
    assert [range(7)[s] for s in slices(7, 3)] == [range(3), range(3, 6), range(6, 7)]


def test_no_size_takes_all():
    assert plan_batches((np.ones((5, 2)),), None, True, "keep").size == 5


@pytest.mark.parametrize("size", [0, -1, 6])
def test_sizes_outside_the_data_are_refused(size):
    with pytest.raises(InvalidArgument, match="from 1 to the number of examples, 5"):
        plan_batches((np.ones((5, 2)),), size, True, "keep")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((np.ones((5, 2)), np.ones(4)), ShapeMismatch, r"`data\[1\]` \(4,\)"),
        ((np.ones((5, 2)), 3.0), ShapeMismatch, r"`data\[1\]` \(\)"),
        ((), ShapeMismatch, "none, it is empty"),
        ((np.ones((0, 2)),), InvalidArgument, "at least one example"),
    ],
)
def test_inconsistent_data_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        plan_batches(data, None, True, "keep")


def test_an_unknown_policy_names_the_nearest():
    with pytest.raises(UnknownName, match="`last_batch` is `kep`.*Did you mean `keep`"):
        plan_batches((np.ones(5),), 2, True, "kep")
