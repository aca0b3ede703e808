"""Predicted peaks of small programs, counted by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxbp.checkpointing.live import live_bytes

X = jnp.ones((64, 64), jnp.float32)
SIZE = X.nbytes


def live(f, *args):
    return live_bytes(jax.make_jaxpr(f)(*args)) / SIZE


def test_what_is_elementwise_is_fused_and_outputs_are_counted():
    assert live(lambda x: jnp.tanh(2 * x + 1), X) == 1
    assert live(lambda x: x.T.reshape(-1, 1), X) == 1
    assert live(lambda x: (x, x), X) == 2


def test_products_are_arrays_and_leave_after_their_last_reader():
    assert live(lambda x: x @ x @ x, X) == 2
    assert live(lambda x: ((x @ x) @ x) @ x, X) == 2
    # What is dear and read twice is an array, what is cheap is computed twice.
    assert live(lambda x: jnp.tanh(x) @ jnp.sin(x), X) == 3
    assert live(lambda x: (x + 1) * (x + 1), X) == 1


def test_an_output_hosts_smaller_values_before_it():
    f = lambda x: jnp.concatenate([(x @ x) @ x, x])  # noqa: E731
    assert live(f, X) == 3


def test_a_loop_has_one_place_for_its_carry_and_all_rows_it_stacks():
    def f(x):
        return lax.scan(lambda c, _: (jnp.tanh(c), c), x, None, length=10)

    assert live(f, X) == 11


def test_a_product_copies_what_does_not_lie_as_it_needs_it():
    x = jnp.ones((8, 16, 4, 8), jnp.float32)
    f = lambda x: jnp.einsum("bthd,bshd->bhts", x, x)  # noqa: E731
    copies = live_bytes(jax.make_jaxpr(f)(x)) - 8 * 4 * 16 * 16 * 4
    assert x.nbytes <= copies <= 2 * x.nbytes


def xla(f, *args):
    used = jax.jit(f).lower(*args).compile().memory_analysis()
    return (used.temp_size_in_bytes + used.output_size_in_bytes) / SIZE


def test_branches_run_side_by_side_as_what_is_ready_runs_first():
    def branch(x):
        return jnp.tanh(jnp.tanh(x @ x) @ x) @ x[:, :1]

    f = lambda x, y: branch(x).T @ branch(y)  # noqa: E731
    assert live(f, X, X) == pytest.approx(xla(f, X, X), rel=0.01)


def test_what_is_dear_is_computed_once_for_two_arrays():
    def f(x):
        y = jax.nn.softplus(x @ x)  # cheap, but for the logarithm in it
        return (2 * y) @ x, (y + 1) @ x

    assert live(f, X) == pytest.approx(xla(f, X), rel=0.01)
