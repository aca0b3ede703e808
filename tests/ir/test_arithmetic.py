"""Python's operators on the tracers that record: what JAX's own operators give."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv]
SHAPES = [
    ((), (3,)),
    ((3,), ()),
    ((4, 3), (3,)),
    ((3,), (4, 3)),
    ((4, 1), (3,)),
    ((0, 3), (3,)),
]
PRODUCTS = [((3,), (3,)), ((4, 3), (3,)), ((4, 3), (3, 2)), ((3,), (3, 2)),
            ((2, 4, 3), (3, 2)), ((0, 3), (3, 2))]  # fmt: skip


@pytest.fixture(autouse=True)
def as_users_have_it():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def drawn(shape, dtype, seed):
    draw = np.random.default_rng(seed)
    return jnp.asarray(1 + draw.uniform(size=shape), dtype)


def holds(function, *args):
    """The value is the function's own, bit for bit, and the pushforward JAX's."""
    tangents = [drawn(x.shape, x.dtype, 7) for x in args]
    found = jaxbp.jvp(function, args, tuple(tangents))
    wanted = jax.jvp(function, args, tuple(tangents))
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype and one.weak_type == other.weak_type
    np.testing.assert_array_equal(*map(np.asarray, (found[0], function(*args))))
    atol = 4 * float(jnp.finfo(found[1].dtype).eps)
    found, wanted = [np.asarray(x[1], np.complex64) for x in (found, wanted)]
    np.testing.assert_allclose(found, wanted, 1e-5, atol * abs(wanted).max(initial=1))


def kinds(shapes):
    """All shapes in one type, the third in the others, too."""
    rows = [(shape, jnp.float32) for shape in shapes]
    rows += [(shapes[2], dtype) for dtype in (jnp.bfloat16, jnp.complex64)]
    named = [f"{shape}-{dtype.__name__}" for shape, dtype in rows]
    return pytest.mark.parametrize("shapes, dtype", rows, ids=named)


@kinds(SHAPES)
def test_operators_of_two_shapes(shapes, dtype):
    x, y = [drawn(shape, dtype, i) for i, shape in enumerate(shapes)]
    for apply in BINARY:
        holds(apply, x, y)


@kinds(PRODUCTS)
def test_products(shapes, dtype):
    holds(operator.matmul, *[drawn(s, dtype, i) for i, s in enumerate(shapes)])


@pytest.mark.parametrize("power", [-2, 0, 1, 2, 7, 0.5, True, np.int32(3)], ids=str)
def test_powers(power):
    for dtype in (jnp.float32, jnp.complex64):
        holds(lambda x: x**power, drawn((3,), dtype, 0))
    holds(operator.neg, drawn((3,), jnp.float32, 0))


def test_other_types_are_promoted():
    x = drawn((2, 3), jnp.float32, 0)
    others = [jnp.arange(3), jnp.arange(3, dtype=jnp.bfloat16), np.ones(3), 2, 1e39, 2j]
    for other in others:
        holds(lambda x, other=other: x * other, x)
    holds(lambda x: x * jnp.sin(2.0), x)  # a weak array
    holds(lambda x: x + x.sum() - 1, x)


@pytest.mark.parametrize("shapes", [((2,), (3,)), ((2, 3), (2,))], ids=str)
def test_shapes_that_do_not_fit(shapes):
    x, y = [jnp.ones(shape) for shape in shapes]
    for apply in (operator.add, operator.matmul):
        with pytest.raises((TypeError, ValueError)) as wanted:
            jax.linearize(lambda x, apply=apply: apply(x, y), x)
        with pytest.raises(wanted.type):
            jaxbp.linearize(lambda x, apply=apply: apply(x, y), x)


def test_rank_promotion_is_refused_where_jax_refuses_it():
    x, y = jnp.ones((2, 3)), jnp.ones(3)
    with jax.numpy_rank_promotion("raise"):
        with pytest.raises(ValueError, match="rank_promotion"):
            jaxbp.grad(lambda x: (x * y).sum())(x)
        jaxbp.grad(lambda x: (x * y[None]).sum())(x)


def test_an_operator_is_one_edge():
    """Not a program of its own, nor a conversion to the type that it has."""
    x, row, w = jnp.ones((4, 3)), jnp.ones((1, 3)), jnp.ones((3, 2))
    for name, f in {
        "add": lambda x: x + row,
        "neg": lambda x: -x,
        "integer_pow": lambda x: x**3,
        "dot_general": lambda x: x @ w,
    }.items():
        (edge,) = jaxbp.linearize(f, x)[1].program.structure.edges
        assert edge.origin.primitive == name
