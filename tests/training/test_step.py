"""One update against the same update by hand; gradients that do not fit are named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbp.errors import DtypeMismatch, ShapeMismatch, StructureMismatch
from jaxbp.training import make_step
from tests.training.problem import make, value_and_grad


def test_sgd_step_is_the_textbook_one():
    params, data = make()
    optimizer = optax.sgd(0.1)
    step = jax.jit(make_step(value_and_grad, optimizer))
    found, _, found_loss = step(params, optimizer.init(params), *data)
    loss, grads = value_and_grad(params, *data)
    np.testing.assert_allclose(found_loss, loss, rtol=1e-14)
    for name in params:
        expected = params[name] - 0.1 * grads[name]
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(1e-3),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
        optax.lion(1e-3),
        optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
    ],
    ids=["adam", "clipped adamw", "lion", "plateau"],
)
def test_optimizers_run_under_strict_promotion(optimizer, dtype):
    params, data = make(dtype=dtype)
    state = optimizer.init(params)
    found, _, _ = make_step(value_and_grad, optimizer)(params, state, *data)
    assert all(found[name].dtype == dtype for name in params)
    assert not np.array_equal(found["W1"], params["W1"])


def test_promotion_is_strict_again_outside_the_update():
    def promoting(params, inputs, targets):
        return value_and_grad(params, inputs + jnp.float32(1), targets)

    params, data = make()
    step = make_step(promoting, optax.sgd(0.1))
    with pytest.raises(Exception, match="dtype_promotion=strict"):
        step(params, optax.sgd(0.1).init(params), *data)


ONE = jnp.ones(())


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        ((jnp.ones(3), {"W": jnp.ones(2)}), ShapeMismatch, r"scalar but .* \(3,\)"),
        ((jnp.int32(1), {"W": jnp.ones(2)}), DtypeMismatch, "floating but .* int32"),
        ((ONE, {"V": jnp.ones(2)}), StructureMismatch, "structure of the parameters"),
        ((ONE, {"W": jnp.ones(3)}), ShapeMismatch, r"`params\['W'\]`.*\(2,\) .*\(3,\)"),
        (
            (ONE, {"W": jnp.ones(2, jnp.float32)}),
            DtypeMismatch,
            r"`params\['W'\]`.* float64 but has float32",
        ),
        (
            (ONE, {"W": np.zeros(2, jax.dtypes.float0)}),
            DtypeMismatch,
            "has float0|has \\[\\('float0'",
        ),
    ],
)
def test_what_does_not_fit_is_named(returned, error, message):
    params = {"W": jnp.ones(2)}
    step = make_step(lambda params: returned, optax.sgd(0.1))
    with pytest.raises(error, match=message):
        step(params, optax.sgd(0.1).init(params))


def test_a_gradient_alone_is_named():
    params, data = make()
    step = make_step(lambda *args: value_and_grad(*args)[1], optax.sgd(0.1))
    with pytest.raises(StructureMismatch, match="returned a dict. Of a loss, `jaxbp.v"):
        step(params, optax.sgd(0.1).init(params), *data)
