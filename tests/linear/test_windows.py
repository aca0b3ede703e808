"""Arrays read by parts: the cotangent is written once, whatever the number of reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp import ir

X = jnp.linspace(-1.0, 1.0, 4000)
M = X.reshape(200, 20)
AT = jnp.array([3, 3999, 5000, -4])  # beyond the end, and before the start


def numbers(x, at):
    return sum(jnp.sin(x[7 * i]) * x[7 * i + 1] for i in range(9))


def computed(x, at):
    return sum(jnp.sin(x[i]) * x[0] for i in at)


def windows(x, at):
    parts = [lax.dynamic_slice(x, (i,), (5,)) for i in at]
    return sum(jnp.sum(jnp.sin(p)) for p in parts) + x[2] ** 2 + jnp.sum(x[3:8] ** 3)


def rows(x, at):
    m = x.reshape(200, 20)
    return sum(jnp.sum(jnp.tanh(m[3 * i])) for i in range(9)) + jnp.sum(m[:, 2] ** 2)


def everything_else_too(x, at):
    return jnp.sum(x**2) + jnp.sum(jnp.sin(x[jnp.array([5, 5, 9])])) + x[5] * x[-1]


def in_a_scan(x, at):
    def step(carry, i):
        inside = x[i] * carry + x[2 * i + 1] + jnp.sum(lax.dynamic_slice(x, (i,), (3,)))
        return jnp.sin(inside), inside

    return jnp.sum(lax.scan(step, 0.5, jnp.arange(7) * 11)[1])


def in_a_long_scan(x, at):
    """More is read than x has: the loop adds to the whole array in place."""

    def step(carry, i):
        return carry + jnp.sum(jnp.sin(lax.dynamic_slice(x, (i,), (40,)))), None

    return lax.scan(step, 0.0, jnp.arange(900) * 3)[0]


FUNCTIONS = [
    numbers, computed, windows, rows, everything_else_too, in_a_scan, in_a_long_scan,
]  # fmt: skip


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
def test_gradients_are_those_of_jax(f, jitted):
    wrap = jax.jit if jitted else lambda g: g
    ours, theirs = wrap(jaxbp.grad(f))(X, AT), jax.jit(jax.grad(f))(X, AT)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_second_derivatives_and_batches(f):
    v = jnp.cos(X)
    product = jax.jit(lambda x: jaxbp.hvp(lambda x: f(x, AT), (x,), (v,)))(X)
    theirs = jax.jit(lambda x: jax.jvp(lambda x: jax.grad(f)(x, AT), (x,), (v,))[1])(X)
    np.testing.assert_allclose(product, theirs, rtol=1e-11, atol=1e-12)
    batch = jnp.stack([X, v])
    ours = jax.jit(jax.vmap(jaxbp.grad(lambda x: f(x, AT))))(batch)
    theirs = jax.jit(jax.vmap(jax.grad(lambda x: f(x, AT))))(batch)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def whole_arrays(f, size):
    """How many equations of the gradient's program write `size` elements."""
    program = jax.make_jaxpr(jaxbp.grad(f))(X, AT)
    return sum(v.aval.size >= size for eqn in program.eqns for v in eqn.outvars)


def test_reads_do_not_each_write_the_whole():
    def reads(count):
        return lambda x, at: sum(jnp.sin(x[7 * i]) for i in range(count))

    assert whole_arrays(reads(40), X.size) == whole_arrays(reads(4), X.size) <= 2


def test_a_captured_table_is_updated_in_place():
    """The loop adds no array as large as the table, and stacks nothing for it."""
    program = jax.make_jaxpr(jaxbp.grad(in_a_scan))(X, AT)
    (back,) = [
        e for e in program.eqns if e.primitive.name == "scan" and e.params["reverse"]
    ]
    body, _ = ir.inner(back.params["jaxpr"])
    whole = [e.primitive.name for e in body.eqns if e.outvars[0].aval.size >= X.size]
    assert set(whole) == {"dynamic_update_slice"}
    stacked = back.outvars[ir.scan_counts(back.params)[1] :]
    assert all(v.aval.size < X.size for v in stacked)


def columns(x):
    return sum((i + 1) * jnp.sin(x[:, i]) @ x[:, (i + 1) % 5] for i in range(5))


def every_other_block(x):
    return sum(jnp.sum(x[:, i : i + 2] ** 2) for i in (0, 4, 4)) + jnp.sum(x[3])


def overlapping(x):
    return sum(jnp.prod(x[:, i : i + 3]) for i in (0, 2, 7))


def elements(x):
    """Of small matrices, all but one row; one of them twice."""
    x = x.reshape(-1, 3, 3)
    return sum(
        (3 * i + j) * jnp.sin(x[:, i, j]) @ x[:, 2, 2] for i in (0, 2) for j in range(3)
    )


def far_columns(x):
    return sum(i * jnp.sin(x[:, i]) @ x[:, i + 2] for i in range(0, 40, 8))


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (columns, (600, 5)), (every_other_block, (400, 8)), (overlapping, (3, 900)),
        (elements, (300, 9)), (far_columns, (60, 44)),
    ],
    ids=["columns", "blocks", "overlapping", "elements", "far_columns"],
)  # fmt: skip
def test_parts_beside_one_another(f, shape):
    x = jnp.linspace(0.5, 1.5, shape[0] * shape[1]).reshape(shape)
    assert ("scatter" in str(jax.make_jaxpr(jaxbp.grad(f))(x))) == (f is overlapping)
    found = jax.jit(jaxbp.grad(f))(x)
    np.testing.assert_allclose(found, jax.jit(jax.grad(f))(x), rtol=1e-5)


def test_columns_are_not_held():
    """Of more than are joined in one kernel: they are computed where they are added."""
    x = jnp.ones((600, 44))
    memory = jax.jit(jaxbp.grad(far_columns)).lower(x).compile().memory_analysis()
    if jax.default_backend() == "cpu":
        assert memory.temp_size_in_bytes < 600 * x.dtype.itemsize


def test_many_numbers_are_joined_by_few_kernels():
    """By eights: of more, XLA for CPUs makes a kernel for each number."""

    def f(x):
        return sum(jnp.sin(x[20 * i] * x[20 * i + 1]) for i in range(70))

    def at_once(x):
        return jnp.sum(jnp.sin(x[:1400:20] * x[1:1401:20]))

    gradient = jax.jit(jaxbp.grad(f))
    if jax.default_backend() == "cpu":
        entry = gradient.lower(X).compile().as_text().partition("ENTRY")[2]
        assert entry.count(" fusion(") < 60  # one each would be 140
    expected = jax.grad(at_once)
    np.testing.assert_allclose(gradient(X), expected(X), rtol=1e-12)
    second = [
        jax.jit(lambda x, v, g=g: jax.jvp(g, (x,), (v,))[1])
        for g in (gradient, expected)
    ]
    ours, theirs = [push(X, X**2) for push in second]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def apart(x):
    return sum(jnp.sin(x[9 * i] * x[9 * i + 4]) for i in range(40))


def touching(x):
    return sum(jnp.sin(x[9 * i] * x[9 * (i + 1)]) for i in range(40))


def far_rows(x):
    m = x.reshape(200, 20)
    return sum(jnp.sum(jnp.sin(m[5 * i])) for i in range(20))


def pairs(x):
    return sum(jnp.prod(x[9 * i : 9 * i + 2]) for i in range(40))


@pytest.mark.parametrize("f, way", [
    (apart, "scatter"), (far_rows, "scatter"), (touching, "scatter-add"),
    (pairs, "scatter-add"),
])  # fmt: skip
def test_what_is_read_once_is_written_and_not_added(f, way):
    program = jax.make_jaxpr(jaxbp.grad(f))(X)
    found = {e.primitive.name for e in ir.every_equation(program.jaxpr)}
    assert way in found and len(found & {"scatter", "scatter-add", "scatter_add"}) == 1
    np.testing.assert_allclose(jaxbp.grad(f)(X), jax.grad(f)(X), rtol=1e-12)
    twice = lambda g: lambda x: jnp.sum(g(f)(x) ** 2)  # noqa: E731
    second = jaxbp.grad(twice(jaxbp.grad))(X), jax.grad(twice(jax.grad))(X)
    np.testing.assert_allclose(*second, rtol=1e-12)
    batched = jax.vmap(jaxbp.grad(f))(jnp.stack([X, 2 * X]))
    np.testing.assert_allclose(batched[1], jax.grad(f)(2 * X), rtol=1e-12)
