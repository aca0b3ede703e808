"""Predicting in batches equals predicting at once."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.errors import InvalidArgument, ShapeMismatch
from jaxbp.training import predict

PARAMS = {"W": jnp.arange(6.0).reshape(2, 3)}


def apply(params, x):
    return {"y": x @ params["W"], "norm": jnp.sum(x * x, axis=1)}


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_batches_join_to_the_whole(batch_size, kind):
    inputs = kind(np.arange(14.0).reshape(7, 2))
    found, expected = predict(apply, PARAMS, inputs, batch_size), apply(PARAMS, inputs)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-14)


def test_wrong_arguments_are_named():
    with pytest.raises(InvalidArgument, match="at least 1 but is 0"):
        predict(apply, PARAMS, jnp.ones((3, 2)), 0)
    with pytest.raises(ShapeMismatch, match="`inputs` must be arrays"):
        predict(apply, PARAMS, (jnp.ones((3, 2)), jnp.ones(2)))
