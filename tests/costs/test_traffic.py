"""Bytes read and written, by hand: fusion, views, slices, loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbp.costs import traced_amount

X = jnp.ones(8)  # 64 bytes
A, B = jnp.ones((3, 5)), jnp.ones((5, 7))  # 120 and 280 bytes; A @ B 168
INDICES = np.array([0, 3])


@pytest.mark.parametrize(
    ("f", "args", "read", "written"),
    [
        (lambda x: jnp.tanh(x * 2) + x, (X,), 64, 64),  # one pass
        (lambda x: jnp.sin(x).sum(), (X,), 64, 8),
        (lambda x: x.reshape(2, 4).T, (X,), 0, 0),
        (lambda a, b: a @ b, (A, B), 120 + 280, 168),
        (lambda a, b: jnp.tanh(a @ b), (A, B), 120 + 280 + 168, 2 * 168),
        (lambda a, b: jnp.tanh(a) @ b, (A, B), 120 + 120 + 280, 120 + 168),
        (lambda a: a.T @ a, (A,), 120, 200),  # one array, read once a pass
        (lambda x: (x + 1, x - 1), (X,), 128, 128),  # two passes: no value joins them
        (lambda x: x[2:4] * 3, (X,), 16, 16),
        (lambda x: lax.dynamic_update_slice(x, x[:2] * 2, (3,)), (X,), 32, 32),
        (lambda x: x, (X,), 0, 0),
    ],
)
def test_hand_counts(f, args, read, written):
    counted = traced_amount(f, *args)
    assert (counted.read_bytes.low, counted.written_bytes.low) == (read, written)
    assert counted.read_bytes.certain and counted.written_bytes.certain


def test_a_calls_boundary_does_not_stop_fusion():
    def f(x):
        return jax.jit(jnp.tanh)(jax.jit(lambda x: x * 2)(x))

    counted = traced_amount(f, X)
    assert (counted.read_bytes.low, counted.written_bytes.low) == (64, 64)


def test_a_gather_reads_rows_and_a_scatter_writes_them():
    gathered = traced_amount(lambda a: a[INDICES], A)
    assert 80 <= gathered.read_bytes.low < 120  # two rows and their indices
    assert gathered.written_bytes.low <= 80 + 2 * 16  # and indices made int
    added = traced_amount(lambda a: a.at[INDICES].add(1.0), A)
    assert added.written_bytes.low < 2 * 80 + 2 * 16


def test_every_step_of_a_loop_moves_its_bytes():
    def f(x):
        return lax.scan(lambda c, _: (jnp.tanh(c), None), x, None, length=10)[0]

    counted = traced_amount(f, X)
    assert (counted.read_bytes.low, counted.written_bytes.low) == (640, 640)
