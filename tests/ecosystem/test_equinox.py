"""Equinox: models with filtered parameters, its own loops and primitives."""

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from tests.ecosystem.agreement import agree

eqx = pytest.importorskip("equinox", reason="needs equinox: pip install .[ecosystem]")
internal = pytest.importorskip("equinox.internal")

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (5, 4))


def recurrent(cell, xs):
    start = jnp.zeros(cell.hidden_size)
    carry = (start, start) if isinstance(cell, eqx.nn.LSTMCell) else start

    def step(carry, x):
        carry = cell(x, carry)
        return carry, carry

    return jax.lax.scan(step, carry, xs)[1]


def over_rows(model, xs):
    return eqx.filter_jit(eqx.filter_vmap(model))(xs)


def attending(model, xs):
    mask = jnp.tril(jnp.ones((len(xs), len(xs)), bool))
    return model(xs, xs, xs, mask=mask)


def pictures(model, xs):
    return model(xs.reshape(1, 5, 4), key=KEY)


def convolutional():
    return eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 4, 3, padding=1, key=KEY),
            eqx.nn.GroupNorm(2, 4),
            eqx.nn.MaxPool2d(2, 2),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(16, 3, key=KEY),
            eqx.nn.LayerNorm(3),
            eqx.nn.Dropout(0.5),
        ]
    )


MODELS = {
    "MLP": (lambda: eqx.nn.MLP(4, 2, 8, 2, jax.nn.gelu, key=KEY), over_rows),
    "attention": (lambda: eqx.nn.MultiheadAttention(2, 4, key=KEY), attending),
    "GRU": (lambda: eqx.nn.GRUCell(4, 6, key=KEY), recurrent),
    "LSTM": (lambda: eqx.nn.LSTMCell(4, 6, key=KEY), recurrent),
    "CNN": (convolutional, pictures),
}


@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    make, call = MODELS[name]
    params, static = eqx.partition(make(), eqx.is_inexact_array)
    agree(lambda p, xs: call(eqx.combine(p, static), xs), params, X)


def loop(kind, x):
    def step(carry):
        value, count = carry
        return jnp.sin(value) * 1.1, count + 1

    return internal.while_loop(
        lambda carry: carry[1] < 5, step, (x, 0), max_steps=16, kind=kind
    )[0]


def test_checkpointed_loop_in_reverse():
    def loss(x):
        return jnp.sum(loop("checkpointed", x) ** 2)

    expected = jax.value_and_grad(loss)(X[0])
    found = jaxbp.value_and_grad(loss)(X[0])
    assert jax.tree.all(jax.tree.map(jnp.allclose, found, expected))


def test_its_primitives_by_the_foreign_door():
    with jaxbp.foreign("jax"):
        found = jaxbp.jvp(lambda x: loop("lax", x), (X[0],), (X[1],))
    expected = jax.jvp(lambda x: loop("lax", x), (X[0],), (X[1],))
    assert jax.tree.all(jax.tree.map(jnp.allclose, found, expected))
