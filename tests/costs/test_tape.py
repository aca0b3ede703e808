"""Tape bytes by hand: each residual once, inputs and constants apart."""

import jax
import jax.numpy as jnp
import pytest

import jaxbp

X = jnp.ones(8)  # 64 bytes
A, W = jnp.ones((3, 5)), jnp.ones((5, 7))  # A @ W: 168 bytes


def tape(f, *args, **options):
    return jaxbp.cost(f, *args, **options).tape


@pytest.mark.parametrize(
    ("f", "computed", "inputs"),
    [
        (lambda x: jnp.tanh(x).sum(), 64, 0),
        (lambda x: jnp.sin(x).sum(), 0, 64),
        (lambda x: (3 * x).sum(), 0, 0),  # linear: nothing to keep
        (lambda x: (jnp.sin(x) * jnp.cos(x)).sum(), 128, 64),  # x once for two slopes
        (lambda x: jnp.exp(jax.jit(jnp.exp)(x)).sum(), 128, 0),
    ],
)
def test_hand_counts(f, computed, inputs):
    found = tape(f, X)
    assert (found.computed_bytes, found.input_bytes) == (computed, inputs)
    assert found.total_bytes == computed + inputs + found.constant_bytes


def test_a_layer_keeps_its_input_and_its_output():
    found = tape(lambda W, a: jnp.tanh(a @ W).sum(), W, A)
    assert (found.computed_bytes, found.input_bytes) == (168, 120)


def test_closed_over_arrays_are_constants():
    found = tape(lambda W: (A @ W).sum(), W)
    assert (found.computed_bytes, found.input_bytes) == (0, 0)
    assert found.constant_bytes == 120


def test_a_scan_stacks_what_changes_and_keeps_the_rest_once():
    W = jnp.eye(8)

    def f(W, x):
        def step(h, _):
            return jnp.tanh(W @ h), None

        return jax.lax.scan(step, x, None, length=10)[0].sum()

    found = tape(f, W, X)
    assert found.input_bytes <= 64 * 8 + 64  # W, not stacked; perhaps the first state
    assert 10 * 64 <= found.computed_bytes <= 2 * 10 * 64  # states before and after


def test_checkpoint_keeps_inputs_alone():
    def f(x):
        return jnp.sin(jnp.sin(jnp.sin(x))).sum()

    assert tape(f, X).computed_bytes == 128
    assert tape(jax.checkpoint(f), X).computed_bytes == 0


def test_residuals_name_their_source_largest_first():
    def f(W, a):
        return jnp.tanh(jnp.exp(a) @ W).sum()

    largest, second = [r for r in tape(f, W, A).residuals if r.origin != "literal"]
    assert (largest.type, largest.origin) == ("float64[3,7]", "tanh")
    assert second.origin == "exp"
    assert "test_tape.py" in largest.where
    assert largest.where.endswith(("(f)", ".f)"))


def test_what_a_scan_stacks_is_told_by_the_lines_of_its_body():
    def step(h, x):
        a = jnp.tanh(h @ S + x)
        b = jnp.exp(a)
        return a * jnp.sin(b), b

    def loss(h):
        return jax.lax.scan(step, h, jnp.ones((9, 4)))[1].sum()

    S = jnp.ones((4, 4))
    first = step.__code__.co_firstlineno
    stacked = [r for r in tape(loss, jnp.ones(4)).residuals if r.tape_bytes >= 9 * 32]
    assert len(stacked) >= 3
    lines = {
        (r.origin, int(r.where.partition(" (")[0].rpartition(":")[2])) for r in stacked
    }
    assert {("tanh", first + 1), ("exp", first + 2)} <= lines
    assert all(first < line <= first + 3 for _, line in lines), lines
