"""Plans count the examples of `jax.vmap`, and say why a mode is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across import order
from jaxbp.across.copies import copies
from jaxbp.across.door import Point


def test_examples_of_all_axes():
    found = []

    def f(x, w):
        found.append((copies([x]), copies([w]), copies([x, w])))
        return x * w

    x = jnp.ones((5, 3))
    f(x, 1.0)
    jax.vmap(f, (0, None))(x, 1.0)
    jax.vmap(jax.vmap(f, (0, None)), (0, None))(x, 1.0)
    jax.vmap(jax.grad(lambda x: f(x, 2.0).sum()))(x)
    jax.jit(jax.vmap(f, (0, None)))(x, 1.0)
    jax.vmap(f, (None, 0))(x, jnp.ones(4))
    assert found == [
        (1, 1, 1), (5, 1, 5), (15, 1, 15), (5, 1, 5), (5, 1, 5), (1, 4, 4)
    ]  # fmt: skip


def rays(x):
    return jnp.stack([jnp.sin(x[0]) * x[1] + x.prod(), jnp.cos(x[2] * x[3]) / x[4]])


def test_many_examples_take_more_time_and_give_the_same():
    plans = []

    def whole(x):
        point = Point(rays, 0, (x,), {}, False)
        point.check(False, False, "jacobian")
        point.record()
        plans.append(point.whole().plan())
        return point.assembled(point.blocks())

    x = jnp.linspace(0.5, 1.5, 1000 * 6).reshape(1000, 6)
    found = jax.vmap(whole)(x)
    whole(x[0])
    many, one = ({way.name: way.time_s for way in plan.ways} for plan in plans)
    assert all(many[name] > 2 * one[name] for name in ("forward", "reverse"))
    wanted = jax.vmap(jax.jacfwd(rays))(x)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("n, name", [(4, "forward"), (6, "reverse")])
def test_rows_weigh_in_small_code(n, name, monkeypatch):
    monkeypatch.setattr(order, "SEEN", np.inf)  # of the modes alone
    both = lambda x: jnp.stack([x.prod(), jnp.sin(x).sum()])  # noqa: E731
    plan = jaxbp.jacobian(both).plan(jnp.ones(n))
    assert plan.chosen.name == name
    weighed = "2 rows against 4 columns" in plan.reason
    assert weighed == (name == "forward")  # as predicted, it goes without saying


def test_hessians_through_loops_are_taken_by_rows():
    def cost(u):
        def step(x, u):
            x = jnp.stack([x[1], jnp.sin(x[0]) + u])
            return x, (x**2).sum()

        return jax.lax.scan(step, jnp.ones(2), u)[1].sum()

    u = jnp.linspace(-1.0, 1.0, 7)
    plan = jaxbp.hessian(cost).plan(u)
    assert plan.chosen.name == "reverse" and "gradients" in plan.reason
    wanted = jax.hessian(cost)(u)
    np.testing.assert_allclose(jaxbp.hessian(cost)(u), wanted, atol=1e-12)
    found = jax.jit(jax.vmap(jaxbp.hessian(cost)))(jnp.stack([u, -u]))
    np.testing.assert_allclose(found[0], wanted, atol=1e-12)


def test_loops_that_give_something_are_kept_and_right():
    def states(u):
        def step(x, u):
            for _ in range(6):
                x = x + 0.1 * jnp.stack([x[1], -jnp.sin(x[0]) + u])
            return x, x

        return jax.lax.scan(step, jnp.ones(2), u)[1]

    u = jnp.linspace(-1.0, 1.0, 9)
    point = Point(states, 0, (u,), {}, False)
    point.record()
    assert not point.whole().loops
    wanted = jax.jacfwd(states)(u)
    np.testing.assert_allclose(jaxbp.jacobian(states)(u), wanted, atol=1e-12)
