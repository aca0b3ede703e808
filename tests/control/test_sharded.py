"""shard_map and its collectives on four devices, beside JAX's own derivatives.

Each program is one compilation for both systems: value and gradient, the pushforward,
and the pushforward of the gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, PartitionSpec

import jaxbp

ROWS, WHOLE = PartitionSpec("a"), PartitionSpec()
TYPED = pytest.mark.parametrize("typed", [True, False], ids=["typed", "untyped"])


def mesh():
    if jax.device_count() < 4:
        pytest.skip("needs four devices; XLA_FLAGS in conftest.py makes them on a CPU")
    return jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)


def collectives(x, w):
    y = jnp.sin(x @ w)
    copies = lax.all_gather(y, "a", to="invarying")
    total = lax.psum(y, "a") + lax.pmean(y * y, "a") + copies.prod(0)
    gathered = lax.all_gather(y, "a", tiled=True) * lax.all_gather(y, "a").sum()
    passed = lax.ppermute(y, "a", [(0, 1), (1, 0)])
    swapped = lax.all_to_all(y**3, "a", 0, 1, tiled=True)
    share = lax.psum_scatter(y, "a", tiled=True) * lax.axis_index("a").astype(float)
    highest = lax.pmax(lax.stop_gradient(y.max()), "a")
    heat = jnp.exp(y - highest) / lax.psum(jnp.exp(y - highest).sum(), "a")
    return total, gathered, passed + heat, swapped, share


def control(x, w):
    def step(carry, _):
        carry = jnp.tanh(carry @ w)
        return carry, lax.psum(carry, "a")

    carry, sums = lax.scan(step, x, None, length=3)
    first = lax.axis_index("a") == 0
    chosen = lax.cond(first, jnp.sin, lambda y: y * y * y, x @ w)
    again = jax.checkpoint(lambda x: lax.psum(jnp.sin(jnp.cos(x @ w)), "b"))(x)
    rounds = lax.fori_loop(0, 2, lambda _, c: jnp.sin(c @ w), x)
    return carry + sums.sum(0), chosen, again, rounds, jnp.sum(carry)[None, None]


def custom(x, w):
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, y_bar: (y_bar * jnp.cos(x) * 2,))
    return lax.psum(sine(x @ w), ("a", "b"))


def nested(x, w):
    inner = jax.shard_map(
        lambda y: lax.psum(jnp.sin(y), "b") * y, in_specs=PartitionSpec(None, "b"),
        out_specs=PartitionSpec(None, "b"), axis_names={"b"},
    )  # fmt: skip
    return lax.psum(inner(x @ w), "a")


def unnested(x, w):
    """What `nested` computes, on one device: JAX cannot differentiate that."""
    y = (x @ w).reshape(2, 2, 2, 2)
    return (jnp.sin(y).sum(2, keepdims=True) * y).sum(0).reshape(2, 4)


def point():
    x = np.linspace(-1, 1, 16).reshape(4, 4)
    return jnp.asarray(x), jnp.asarray(np.eye(4) + x**3)


def derivatives(system, f, modes="both"):
    """All that is compared of f(x, w), which gives a tree of arrays."""

    def loss(x, w):
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(f(x, w)))

    def found(x, w):
        first = system.value_and_grad(loss, (0, 1))(x, w)
        if modes == "reverse":
            return first
        pushed = system.jvp(loss, (x, w), (w, x))
        return first, pushed, system.jvp(system.grad(loss, 1), (x, w), (w, x))

    return found


def agree(ours, others, compiled=True):
    """Both of (x, w) -> tree, in one compilation."""

    def both(x, w):
        return ours(x, w), others(x, w)

    found, expected = (jax.jit(both) if compiled else both)(*point())
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
        assert jax.typeof(a) == jax.typeof(b)


PROGRAMS = {
    "collectives": (collectives, (WHOLE, ROWS, ROWS, PartitionSpec(None, "a"), ROWS)),
    "control": (control, ROWS),
}


@TYPED
@pytest.mark.parametrize("name", PROGRAMS)
def test_derivatives_outside(name, typed):
    body, out = PROGRAMS[name]
    mapped = jax.shard_map(
        body, mesh=mesh(), in_specs=(ROWS, WHOLE), out_specs=out, check_vma=typed
    )
    agree(derivatives(jaxbp, mapped), derivatives(jax, mapped))


def test_custom_rules_and_some_axes_only():
    grid = mesh()
    sides = [
        jax.shard_map(
            custom, mesh=grid, in_specs=(ROWS, WHOLE), out_specs=WHOLE, check_vma=False
        ),
        jax.shard_map(
            lambda x, w: lax.psum(jnp.sin(x @ w), "a"), mesh=grid, axis_names={"a"},
            in_specs=(ROWS, WHOLE), out_specs=WHOLE,
        ),
    ]  # fmt: skip
    within = jax.shard_map(
        nested, mesh=grid, axis_names={"a"}, in_specs=(ROWS, WHOLE), out_specs=WHOLE
    )

    def together(*functions):
        return lambda x, w: [f(x, w) for f in functions]

    agree(
        derivatives(jaxbp, together(*sides, within), "reverse"),
        derivatives(jax, together(*sides, unnested), "reverse"),
    )


@TYPED
def test_derivatives_inside_and_of_these(typed):
    """A step of data-parallel descent, differentiated by where it starts."""

    def descended(system):
        def step(x, w):
            def loss(w):
                return lax.pmean(jnp.sum(jnp.sin(x @ w) ** 2), "a")

            slope = system.grad(loss)(w)
            return w - 0.1 * (slope if typed else lax.pmean(slope, "a"))

        mapped = jax.shard_map(
            step, mesh=mesh(), in_specs=(ROWS, WHOLE), out_specs=WHOLE, check_vma=typed
        )
        return derivatives(system, mapped, "reverse")

    agree(descended(jaxbp), descended(jax))


def test_collectives_that_a_cpu_cannot_run_have_the_types_of_jax():
    """Traced only: XLA's CPU backend has no ragged exchange and no broadcast."""

    def body(x, w):
        ones = jnp.ones(2, jnp.int32)
        sent = lax.ragged_all_to_all(
            x @ w, w, 0 * ones, ones, ones, ones, axis_name="a"
        )
        source = ones[0] if jax.__version_info__ >= (0, 12) else 1  # or dynamic
        return sent * lax.pbroadcast(jnp.sum(sent), "a", source)

    mapped = jax.shard_map(
        body, mesh=mesh(), in_specs=(ROWS, WHOLE), out_specs=ROWS, check_vma=False
    )
    found, expected = (
        jax.eval_shape(derivatives(system, mapped), *point()) for system in (jaxbp, jax)
    )
    assert found == expected


def reduced_sums(x, w):
    """Values that are unreduced, whose cotangents are reduced, and the other way."""
    y = jnp.sin(x @ lax.pcast(w, "a", to="reduced"))
    gathered = lax.all_gather(jnp.cos(x), "a", tiled=True, to="reduced")
    summed = lax.psum(lax.pcast(y, "a", to="unreduced"), "a")
    part = lax.psum_scatter(lax.pcast(y * y, "a", to="unreduced"), "a", tiled=True)
    return summed, part, jnp.sin(x @ gathered)


def test_casts_between_reduced_and_unreduced():
    explicit = jax.make_mesh((2, 2), ("a", "b"), axis_types=(AxisType.Explicit,) * 2)
    with jax.set_mesh(explicit):
        mapped = jax.shard_map(
            reduced_sums, in_specs=(ROWS, WHOLE), out_specs=(WHOLE, ROWS, ROWS)
        )

        def sharded(x, w):
            return mapped(jax.sharding.reshard(x, ROWS), w)

        agree(derivatives(jaxbp, sharded), derivatives(jax, sharded))


def test_a_closed_over_array_and_nothing_compiled():
    """The live walk of a mapped function, which closes over what is differentiated."""

    def f(x, w):
        mapped = jax.shard_map(
            lambda x: lax.psum(x * w[:2], "a"),
            mesh=mesh(),
            in_specs=ROWS,
            out_specs=WHOLE,
        )
        return mapped(x) * w[0, 0], mapped(lax.stop_gradient(x))

    sides = [derivatives(system, f, "reverse") for system in (jaxbp, jax)]
    agree(*sides, compiled=False)
