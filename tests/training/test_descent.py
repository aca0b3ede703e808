"""Descent as a pure function: the loop's updates, and many networks side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxbp import problems, training
from jaxbp.layers import half_sum_of_squares, mlp, value_and_grad

MODEL = mlp([2, 3, 1])
BY_HAND = value_and_grad(MODEL, half_sum_of_squares)
DATA = (np.arange(8.0).reshape(4, 2), np.ones((4, 1)))


def trained(seed, rate):
    params = MODEL.init(jax.random.key(seed), jnp.float64)
    rows = training.batch_rows(jax.random.key(seed), 4, 2, 3)
    optimizer = optax.sgd(rate, 0.9)
    return training.descend(BY_HAND, optimizer, params, DATA, rows)


def test_each_update_is_the_optimisers():
    params, losses = trained(0, 0.01)
    own = MODEL.init(jax.random.key(0), jnp.float64)
    velocity = jax.tree.map(jnp.zeros_like, own)
    rows = training.batch_rows(jax.random.key(0), 4, 2, 3)
    for k, batch in enumerate(np.asarray(rows)):
        loss, grads = BY_HAND(own, DATA[0][batch], DATA[1][batch])
        np.testing.assert_allclose(losses[k], loss, rtol=1e-12)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, grads)
        own = jax.tree.map(lambda p, v: p - 0.01 * v, own, velocity)
    for ours, theirs in zip(jax.tree.leaves(params), jax.tree.leaves(own), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_rates_and_seeds_vary_under_vmap():
    seeds, rates = jnp.arange(3), jnp.array([0.01, 0.02, 0.03])
    together = jax.jit(jax.vmap(trained))(seeds, rates)[1]
    alone = trained(2, 0.03)[1]
    np.testing.assert_allclose(together[2], alone, rtol=1e-10)


def test_an_epoch_sees_every_row_once_and_each_in_another_order():
    rows = np.asarray(training.batch_rows(jax.random.key(0), 7, 2, 2)).reshape(2, 6)
    assert all(len(set(epoch)) == 6 for epoch in rows)
    assert list(rows[0]) != list(rows[1])


def test_digits_of_seeds_stacks_the_splits():
    stacked = problems.digits_of_seeds((3, 4))
    alone = problems.digits(4)
    assert stacked.train.inputs.shape == (2, 1347, 64)
    assert stacked.test.targets.shape == (2, 450)
    assert np.array_equal(stacked.train.inputs[1], alone.train.inputs)
    assert np.array_equal(stacked.test.targets[1], alone.test.targets)
