"""`budget_bytes`: the same Jacobians, so many columns or rows at a time as fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import InvalidArgument
from jaxbp.transforms import chunks

RNG = np.random.default_rng(0)
W, V = RNG.normal(size=(64, 40)) / 6, RNG.normal(size=(24, 64)) / 8
X = RNG.normal(size=40)


def f(x, w, v):
    return {"a": jnp.tanh(v @ jnp.sin(w @ x)), "b": (x[:3] ** 2).sum()}


def energy(x, w, v):
    return jnp.sum(f(x, w, v)["a"] ** 2)


DOORS = {
    "jacfwd": (jaxbp.jacfwd, f),
    "jacrev": (jaxbp.jacrev, f),
    "jacobian": (jaxbp.jacobian, f),
    "hessian": (jaxbp.hessian, energy),
}


@pytest.mark.parametrize("name", DOORS)
def test_values_and_peak(name):
    door, fun = DOORS[name]
    wanted = (jax.hessian if fun is energy else jax.jacrev)(fun)(X, W, V)
    with pytest.raises(InvalidArgument, match="at least, but is 1,0") as found:
        door(fun, budget_bytes=1000)(X, W, V)
    least = int(str(found.value).split("be ")[1].split(" at")[0].replace(",", ""))
    for budget in (least, int(1.2 * least), 100 * least):
        program = jax.jit(door(fun, budget_bytes=budget)).lower(X, W, V).compile()
        found = program(X, W, V)
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        for one, other in zip(
            jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-10)
        memory = program.memory_analysis()
        peak = memory.temp_size_in_bytes + memory.argument_size_in_bytes
        peak += memory.output_size_in_bytes - memory.alias_size_in_bytes
        assert peak <= 1.1 * budget


def test_several_arguments_and_aux():
    def g(p, x):
        return p["w"][:4, :3] @ x[:3], x

    came, aux = jaxbp.jacfwd(g, (0, 1), True, budget_bytes=10**6)({"w": W}, X)
    wanted, _ = jax.jacfwd(g, (0, 1), True)({"w": W}, X)
    assert aux is X or (aux == X).all()
    for one, other in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize(
    "door", [jaxbp.jacfwd, jaxbp.jacobian], ids=lambda d: d.__name__
)
def test_where_no_tape_fits_forward_mode_keeps_none(door):
    """The tape of all steps alone has eight times the budget."""
    budget = 8000

    def through(x):
        return lax.scan(lambda c, _: (jnp.sin(c) * c, None), x, None, length=2000)[0]

    x = jnp.linspace(0.5, 1, 8, dtype=jnp.float32)
    program = jax.jit(door(through, budget_bytes=budget)).lower(x).compile()
    plan = program.memory_analysis()
    assert plan.argument_size_in_bytes + plan.temp_size_in_bytes <= budget
    np.testing.assert_allclose(program(x), jax.jacfwd(through)(x), rtol=1e-5)
    if door is jaxbp.jacobian:
        told = " ".join(str(door(through, budget_bytes=budget).plan(x)).split())
        assert "bytes for arguments, Jacobian" in told  # and no tape


@pytest.mark.parametrize("budget", [-5, 1.5, True, "1 giga"], ids=repr)
def test_a_budget_is_a_number_of_bytes(budget):
    with pytest.raises(InvalidArgument, match="must be a number of bytes"):
        jaxbp.jacrev(f, budget_bytes=budget)


@pytest.mark.parametrize("budget, least", [(190_000, 6), (171_000, 2), (160_000, 0)])
def test_one_seed_may_take_more_than_two(budget, least):
    """XLA's peaks of 144 columns of a force between pairs."""

    def peak(size):
        total = 204_088 if size == 1 else 166_656 + 1_728 * size
        return chunks.Peak(83_520, total, 20 * -(-144 // size))

    found = chunks.tried(budget, peak, 144)
    size = chunks.quickest(budget, found)
    assert size >= least and len(found) <= chunks.TRIES + 5
    assert (size == 0) == (least == 0)


@pytest.mark.parametrize("count, most", [(300, 119), (100, 35), (7, 3), (96, 95)])
def test_sweeps_are_of_one_size(count, most):
    """No fewer seeds than asked for would need as few sweeps."""

    def peak(size):
        return chunks.Peak(0, 1_000 * size)

    found = chunks.tried(1_000 * most, peak, count)
    size = chunks.quickest(1_000 * most, found)
    sweeps = -(-count // size)
    assert size <= most and -(-count // max(size - 1, 1)) > sweeps or size == 1


@pytest.mark.parametrize("count", [240, 480, 50])
def test_what_scatters_takes_an_odd_number_of_seeds(count):
    def peak(size):
        return chunks.Peak(100_000, 100_000 + 9_000 * size, 10, scatters=True)

    budget = 1_000_000 if count > 100 else 400_000
    found = chunks.tried(budget, peak, count)
    size = chunks.quickest(budget, found)
    assert size % 2 and found[size].total <= budget
    assert len(found) <= chunks.TRIES + 6


def test_that_a_program_scatters_is_read_from_it():
    places = jnp.array([0, 2, 2])
    adds = lambda x: jnp.zeros(4).at[places].add(x)  # noqa: E731
    x = jnp.ones(3)
    assert chunks.peak_bytes(jax.jacfwd(adds), (x,)).scatters
    assert not chunks.peak_bytes(jax.jacfwd(jnp.sin), (x,)).scatters
