"""Products of many small matrices in gradients, where the CPU has its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

# terms of an einsum, and sizes of its axes
CASES = {
    "squares": ("bij,bjk->bik", {"b": 16, "i": 4, "j": 4, "k": 5}),
    "rows_with_rows": ("bij,bkj->bik", {"b": 16, "i": 3, "j": 8, "k": 4}),
    "columns_with_columns": ("jbi,bjk->bki", {"b": 20, "i": 4, "j": 5, "k": 6}),
    "two_batched": ("abij,bajk->abik", {"a": 3, "b": 6, "i": 6, "j": 2, "k": 7}),
    "two_contracted": ("bijl,bljk->bik", {"b": 16, "i": 4, "j": 2, "l": 2, "k": 4}),
    "two_kept": ("bijl,bjk->bilk", {"b": 16, "i": 2, "j": 4, "l": 3, "k": 4}),
}


def _operands(terms, sizes, dtype="float64"):
    left, right = terms.split("->")[0].split(",")
    return [
        jax.random.normal(jax.random.key(i), [sizes[axis] for axis in term], dtype)
        for i, term in enumerate((left, right))
    ]


def _loss(terms):
    return lambda x, y: jnp.sum(jnp.sin(jnp.einsum(terms, jnp.sin(x), y)))


@pytest.mark.parametrize("terms, sizes", CASES.values(), ids=CASES)
def test_gradients_are_those_of_the_product(terms, sizes):
    f, operands = _loss(terms), _operands(terms, sizes)
    ours = jax.jit(jaxbp.grad(f, (0, 1))).lower(*operands)
    theirs = jax.jit(jax.grad(f, (0, 1)))(*operands)
    assert "inlineable" in ours.as_text()
    ours = ours.compile()(*operands)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-11), ours, theirs)


def test_other_platforms_have_the_product():
    f, operands = _loss("bij,bjk->bik"), _operands(*CASES["squares"])
    staged = jax.jit(jaxbp.grad(f)).trace(*operands)
    text = staged.lower(lowering_platforms=("tpu",)).as_text()
    assert text.count("dot_general") == 2 and "inlineable" not in text


def test_what_is_transformed_again_is_the_product():
    f, (x, y) = _loss("bij,bjk->bik"), _operands(*CASES["squares"])
    gradient = jax.jit(jaxbp.grad(f))

    def of(gradient):
        return lambda x: jnp.sum(jnp.cos(gradient(x, y)))

    theirs = jax.jit(jax.grad(of(jax.grad(f))))(x)
    for outer in (jaxbp.grad, jax.grad):
        ours = jax.jit(outer(of(gradient)))(x)
        np.testing.assert_allclose(ours, theirs, 1e-9, 1e-12)
    many = jax.jit(jax.vmap(gradient))(x[None], y[None])
    np.testing.assert_allclose(many[0], gradient(x, y), 1e-11)


def test_in_a_loop():
    x, y = _operands(*CASES["squares"])
    y = y[..., :4]

    def f(x):
        return jnp.sum(
            jax.lax.scan(lambda c, _: (jnp.tanh(c @ x), None), y, None, 3)[0]
        )

    ours, theirs = jax.jit(jaxbp.grad(f))(x), jax.jit(jax.grad(f))(x)
    np.testing.assert_allclose(ours, theirs, 1e-10, 1e-13)
