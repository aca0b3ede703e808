"""Products written by hand are the Jacobians that JAX has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.errors import UnknownName
from jaxbp.problems.jacobians import FAMILIES, family

DENSE = [
    name for name, known in FAMILIES.items()
    if not known.wanted.startswith("sparse") and not name.endswith("2048")
]  # fmt: skip


@pytest.mark.parametrize("name", DENSE)
def test_by_hand(name):
    with jax.enable_x64(True):
        known, args = family(name, "small", dtype=np.float64)
        by_hand = known.by_hand
        if known.wanted == "batched":
            by_hand, wanted = jax.vmap(by_hand), jax.vmap(jax.jacrev(known.f))
        elif known.wanted == "jacobian":
            wanted = jax.jacrev(known.f)
        else:
            wanted = jax.hessian(known.f)
        found, wanted = jax.jit(by_hand)(*args), jax.jit(wanted)(*args)
        wanted = jnp.trace(wanted) if known.wanted == "laplacian" else wanted
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_no_such_family():
    with pytest.raises(UnknownName, match="Kuramoto"):
        family("Kuramotto")
