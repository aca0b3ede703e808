"""Orders of elimination that find what others do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across.door import Point
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


@pytest.mark.parametrize(
    ("product", "mode"),
    [(lambda w, x: x @ w, "forward"), (lambda w, x: w @ x, "reverse")],
    ids=["x @ W", "W @ x"],
)
def test_of_modes_alike_the_one_that_reads_matrices_as_they_lie(product, mode):
    def network(x, *weights):
        for w in weights:
            x = jnp.tanh(product(w, x))
        return x

    weights = [jnp.ones((256, 256))] * 3
    first, last = jnp.ones((10, 256)), jnp.ones((256, 10))
    if mode == "reverse":
        first, last = first.T, last.T
    plan = jaxbp.jacobian(network).plan(jnp.ones(10), first, *weights, last)
    assert plan.chosen.name == mode


def lens(p):
    x, y, a, b = p
    for _ in range(3):
        x, y = x + 0.5 * a, y + 0.5 * b
        a, b = a - x - 0.1 * x**3, b - y - 0.1 * y**3
    return jnp.stack([x, y, a, b])


@pytest.mark.parametrize("f", [lens, lambda p: jnp.cross(p[:3], jnp.sin(p[1:]))])
def test_numbers_of_many_examples(f):
    """What is planned in part is what is told, and gives JAX's values."""
    xs = np.random.default_rng(0).normal(size=(300, 4))
    chosen = []

    def of(x):
        found = Point(f, 0, (x,), {}, False)
        found.check(False, False, "jacobian")
        found.record()
        chosen.extend(found.whole().plan(every).chosen for every in (True, False))
        return found.result(None)

    found = jax.vmap(of)(xs)
    assert chosen[0].order == chosen[1].order
    np.testing.assert_allclose(found, jax.vmap(jax.jacfwd(f))(xs), atol=1e-12)
    if f is lens:
        assert chosen[0].order
