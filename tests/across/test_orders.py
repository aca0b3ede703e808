"""Orders of elimination that find what others do not."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp.problems.jacobians import networks


def test_a_narrow_matrix_is_scaled_in_the_place_of_a_large_one():
    sizes = (1024,), (1024, 1024), (8, 1024), (1024, 8), (1024, 1024)
    types = [jax.ShapeDtypeStruct(size, jnp.float32) for size in sizes]
    found = []
    plan = jaxbp.jacobian(networks.gated).plan
    jax.eval_shape(lambda *args: found.append(plan(*args)), *types)  # nothing is run
    times = {way.name: way.time_s for way in found[0].ways}
    assert times["fewest elements first"] < times["widest first"]
    assert found[0].chosen.time_s == min(times.values())


def test_its_values():
    rng = np.random.default_rng(0)
    sizes = (128,), (128, 128), (4, 128), (128, 4), (128, 128)
    args = [jnp.asarray(rng.normal(size=size) / 9) for size in sizes]
    found = jax.jit(jaxbp.jacobian(networks.gated))(*args)
    np.testing.assert_allclose(found, jax.jacrev(networks.gated)(*args), 1e-6, 1e-9)
