"""Each task's targets, recomputed step by step from its inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.errors import InvalidArgument
from jaxbp.problems import adding, copy_memory, parity


@pytest.mark.parametrize("length", [2, 3, 20])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_adding(key, length, dtype):
    inputs, targets = (np.asarray(a) for a in adding(key, 50, length, dtype))
    assert inputs.shape == (50, length, 2) and inputs.dtype == targets.dtype == dtype
    numbers, marks = inputs[..., 0], inputs[..., 1]
    assert np.all(marks[:, : length // 2].sum(1) == 1)
    assert np.all(marks[:, length // 2 :].sum(1) == 1)
    marked = [row[mark == 1].sum() for row, mark in zip(numbers, marks, strict=True)]
    np.testing.assert_allclose(targets, marked, rtol=1e-6)


def test_parity(key):
    inputs, labels = parity(key, 64, 5)
    expected = [int(sum(bits)) % 2 for bits in np.asarray(inputs)[..., 0]]
    assert inputs.shape == (64, 5, 1) and labels.tolist() == expected
    assert 0 < sum(expected) < 64


@pytest.mark.parametrize("delay", [0, 7])
def test_copy_memory(key, delay):
    tokens, targets = (np.asarray(a) for a in copy_memory(key, 16, delay, 3, 4))
    assert tokens.shape == targets.shape == (16, delay + 6)
    memory = tokens[:, :3]
    assert memory.min() >= 1 and memory.max() <= 4
    assert np.all(tokens[:, 3 + delay] == 5)
    rest = np.delete(tokens[:, 3:], delay, axis=1)
    assert not rest.any() and not targets[:, :-3].any()
    assert np.array_equal(targets[:, -3:], memory)


@pytest.mark.parametrize("task", [adding, parity, copy_memory])
def test_tasks_are_drawn_by_their_key(task):
    first, again, other = (task(jax.random.key(s), 8, 6)[0] for s in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("task", "sizes", "name"),
    [
        (adding, (4, 1), "length"),
        (parity, (4, 0), "length"),
        (copy_memory, (4, -1), "delay"),
        (copy_memory, (4, 5, 0), "symbols"),
        (copy_memory, (4, 5, 3, 0), "alphabet"),
    ],
)
def test_impossible_sizes_are_refused(key, task, sizes, name):
    with pytest.raises(InvalidArgument, match=f"`{name}` must be at least"):
        task(key, *sizes)
