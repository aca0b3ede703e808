"""Every program: a finite scalar of its dtype, with the gradient its values tell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.errors import InvalidArgument, UnknownName
from jaxbp.problems.programs import PROGRAMS, networks, program


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_gradient_is_finite_and_is_the_slope(name):
    told = program(name, "small", dtype=np.float64)
    params, *data = told.args
    value, gradient = jax.jit(jax.value_and_grad(told.f))(*told.args)
    assert value.shape == () and value.dtype == jnp.float64
    norm = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(gradient)) ** 0.5
    h = 1e-5  # along the gradient, so that the slope is its norm and nothing cancels

    def at(step):
        ahead = jax.tree.map(lambda p, g: p + step / norm * g, params, gradient)
        return float(told.f(ahead, *data))

    assert 0 < norm < np.inf
    slope = (at(h) - at(-h)) / (2 * h)
    assert slope == pytest.approx(norm, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", PROGRAMS)
def test_float32_stays_float32(name):
    told = program(name, "small")
    shapes = jax.eval_shape(jax.value_and_grad(told.f), *told.args)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_seed_draws_the_same_arguments(name):
    one, two = (jax.tree.leaves(program(name, "small", seed=3).args) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_real_sizes_build_and_trace(name):
    told = program(name)
    value = jax.eval_shape(told.f, *told.args)
    assert value.shape == () and told.sizes == PROGRAMS[name][2]


def test_laplace_s_determinant_is_the_determinant():
    told = program("determinant", "small", dtype=np.float64)
    assert float(told.f(*told.args)) == pytest.approx(np.linalg.det(told.args[0]))


def test_both_pendulums_swing_alike():
    scan, fori = (program(f"pendulum_{loop}", "small") for loop in ("scan", "fori"))
    assert float(scan.f(*scan.args)) == pytest.approx(float(fori.f(*fori.args)))


def test_attention_sees_no_later_token():
    told = program("transformer_block", "small", dtype=np.float64)
    params, x, _ = told.args
    before = networks.attention(params, x, networks.HEADS)
    after = networks.attention(params, x.at[:, -1].add(1), networks.HEADS)
    assert jnp.array_equal(before[:, :-1], after[:, :-1])
    assert not jnp.allclose(before[:, -1], after[:, -1])


def test_an_unknown_program_names_its_nearest():
    with pytest.raises(UnknownName, match="`lstmm`.*`lstm`"):
        program("lstmm")


def test_an_unknown_size_is_refused():
    with pytest.raises(InvalidArgument, match="`real` or `small`, but is `huge`"):
        program("lstm", "huge")
