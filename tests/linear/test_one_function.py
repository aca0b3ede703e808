"""Small loops, compiled to one function: what may be inside compiles, and is equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

import jaxbp
from jaxbp.linear.loop import one_function
from jaxbp.linear.loop.one_function import MOST, as_one_function

TABLE = np.linspace(-1, 1, 5000, dtype=np.float32)
MARK = 'xla_cpu_small_call="true"'


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    monkeypatch.setattr(one_function, "_alone", lambda: True)
    jax.config.update("jax_disable_most_optimizations", False)


def one(step, *carry):
    return as_one_function(lambda *c: lax.fori_loop(0, 7, step, c), *carry)


def looped(step, *carry):
    return lax.fori_loop(0, 7, step, carry)


def reductions(i, c):
    (x,) = c
    total = jnp.sum(x) + jnp.max(x) + jnp.cumsum(x)
    least = jnp.argmin(x).astype(x.dtype)
    return (0.1 * x + 1e-4 * (total + least) * jax.nn.softmax(x),)


def smooth(i, c):
    (x,) = c
    y = jnp.tanh(x) + lax.erf(x) + jnp.exp(-(x**2)) + jnp.sqrt(1 + x * x)
    return (0.3 * y + jnp.sin(x) * jnp.log1p(x * x) + jnp.arctan2(x, 1 + x * x),)


def moves(i, c):
    (x,) = c
    y = jnp.concatenate([x[::-1][3:], jnp.pad(x[:1], (1, 1))])
    return (y.reshape(2, -1).T.reshape(-1) * 0.9 + x[(jnp.arange(x.size) * 7) % 50],)


def products(i, c):
    x, a, b = c
    return x @ a * 0.1 + a @ x * 0.1, a * 0.5 + jnp.outer(x, x) * 0.01, b @ b * 0.2


def branches(i, c):
    x, y = c
    x = lax.cond(x[0] > 0.2, lambda x: 0.5 * x, lambda _: y, x)
    return lax.switch(i % 3, [lambda: y, lambda: x, lambda: x + y]), y + 0.1


def tables(i, c):
    x, y = c
    part = lax.dynamic_slice(jnp.asarray(TABLE), (i * 100,), (4,))
    y = lax.dynamic_update_slice(y, part * x[i], (i * 2,))
    return x * 0.9 + jnp.asarray(TABLE)[i], y


def scatters(i, c):
    x, m = c
    x = x.at[jnp.array([1, 3, 1])].add(x[:3]).at[jnp.array([0, 99])].add(2.0)
    x = x.at[i].set(x[i - 1]).at[jnp.array([-1, 88])].set(0.5, mode="drop")
    m = m.at[i, 1:3].add(x[:2]).at[jnp.array([0, i]), jnp.array([2, 0])].set(x[0])
    return x, m.at[:, jnp.array([1, 1])].add(0.1, mode="clip")


def whole_numbers(i, c):
    n, on = c
    return (n * 3 + i) % 11, jnp.logical_xor(on, n > 4)


def nested(i, c):
    (x,) = c
    inner = lax.while_loop(lambda s: s[0] < i, lambda s: (s[0] + 1, s[1] * 0.9), (0, x))
    return (inner[1] + lax.scan(lambda c, y: (c + y, c), 0.0, x)[1],)


def unread(i, c):
    x, y, z = c
    return x + 0.5, y, jnp.ones_like(z)


BIG, X = np.linspace(0.1, 1, MOST), np.linspace(0.1, 1, 8)
CASES = [
    (reductions, (BIG,)), (smooth, (BIG,)), (moves, (BIG,)),
    (products, (X[:6], np.eye(6), np.eye(6))),
    (branches, (X, X)), (tables, (X, np.zeros(40))),
    (scatters, (X, np.ones((8, 4)))), (whole_numbers, (np.arange(8), X > 0.5)),
    (nested, (X,)), (unread, (X, np.zeros(3), X)),
]  # fmt: skip


@pytest.mark.parametrize(("step", "carry"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_compiles_and_is_equal(step, carry):
    carry = [jnp.asarray(c, np.float32 if c.dtype.kind == "f" else None) for c in carry]
    compiled = jax.jit(lambda *c: one(step, *c)).lower(*carry).compile()
    assert MARK in compiled.as_text()
    wanted = jax.jit(lambda *c: looped(step, *c))(*carry)
    for found, expected in zip(compiled(*carry), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_known_operands_compile():
    def f(x):
        return one(lambda i, c: (c[0] * c[1], c[1]), x, jnp.full(8, 0.5) * 2)

    compiled = jax.jit(lambda x: f(x)[0]).lower(X).compile()
    np.testing.assert_allclose(compiled(X), X)


def library(i, c):
    return jnp.linalg.inv(c.reshape(2, 4) @ c.reshape(4, 2)).sum() * c


def transform(i, c):
    return jnp.fft.irfft(jnp.fft.rfft(c), 8)


def ordered(i, c):
    return jnp.sort(c)


def tall(i, c):
    """A product of 32 terms, but of eight rows: XLA gives it to a library."""
    return jnp.stack([c, c], 1) @ jnp.stack([c[:2], c[1:3]]) @ jnp.ones(2)


@pytest.mark.parametrize(
    "step", [library, transform, ordered, tall], ids=lambda f: f.__name__
)
def test_what_cannot_be_inside_stays_a_loop(step):
    f = jax.jit(lambda x: as_one_function(lambda x: lax.fori_loop(0, 3, step, x), x))
    assert "one_function" not in f.lower(X).as_text()


def test_large_arrays_stay_a_loop():
    f = jax.jit(lambda x: one(lambda i, c: (jnp.tanh(c[0]),), x))
    assert "one_function" not in f.lower(jnp.ones(MOST + 1)).as_text()


def stages(p):
    def step(c, t):
        a, b = c
        for _ in range(2):
            a, b = a + 0.05 * jnp.sin(b) * p[0], b - 0.05 * a * p[1]
        return (a, b), a * t

    (a, b), ys = lax.scan(step, (p[0], p[1]), jnp.arange(20, dtype=p.dtype))
    return a * b + jnp.sum(ys)


class TestDerivatives:
    p = np.array([0.5, 0.7])

    def test_are_one_function_alone_and_nothing_else_is_named(self):
        gradient = jax.jit(jaxbp.grad(stages))
        text = gradient.lower(self.p).as_text()
        named = [line for line in text.split("\n") if "xla_cpu_small_call" in line]
        assert len(named) == 2
        assert all("@one_function" in line for line in named)

    def test_transformations_give_what_they_gave(self):
        gradient, known = jax.jit(jaxbp.grad(stages)), jax.jit(jax.grad(stages))
        p, hessian = jnp.asarray(self.p), jax.jit(jax.hessian(stages))(self.p)
        many = jnp.stack([p, 2 * p])
        np.testing.assert_allclose(
            jax.jit(jax.vmap(gradient))(many), jax.vmap(known)(many)
        )
        for found in (jax.jacfwd(gradient), jax.jacrev(gradient),
                      jaxbp.jacfwd(gradient), jaxbp.jacrev(gradient)):  # fmt: skip
            np.testing.assert_allclose(jax.jit(found)(p), hessian, rtol=1e-9)

    def test_a_batch_is_not_one_function(self):
        batched = jax.jit(jax.vmap(jax.jit(jaxbp.grad(stages))))
        assert "xla_cpu_small_call" not in batched.lower(jnp.ones((3000, 2))).as_text()

    def test_other_platforms_get_no_name(self):
        exported = jax.export.export(jax.jit(jaxbp.grad(stages)), platforms=["tpu"])
        assert "xla_cpu" not in exported(self.p).mlir_module()


def test_what_is_named_for_xla_is_differentiated():
    """By `set_xla_metadata` around values."""
    x = jnp.arange(3.0)

    def f(x):
        return jnp.sum(set_xla_metadata(jnp.sin(x), kind="sine") ** 2)

    for found, wanted in [
        (jaxbp.grad(f)(x), jax.grad(f)(x)),
        (jaxbp.jvp(f, (x,), (x,)), jax.jvp(f, (x,), (x,))),
        (jax.jit(jaxbp.hessian(f))(x), jax.hessian(f)(x)),
    ]:
        jax.tree.map(np.testing.assert_allclose, found, wanted)


def test_what_is_not_asked_for_is_not_kept():
    """A call is left out what nothing reads of it: stacks above all."""

    def step(c, x):
        a, b = c
        return (jnp.sin(a) * x, b + jnp.cos(b)), (jnp.tanh(a), jnp.exp(b), a)

    def some(a, xs):
        run = as_one_function(lambda c, xs: lax.scan(step, c, xs), (a, a + 1), xs)
        (last, _), (_, _, before) = run
        return last, before

    def plain(a, xs):
        (last, _), (_, _, before) = lax.scan(step, (a, a + 1), xs)
        return last, before

    args = jnp.float32(0.3), jnp.linspace(0, 1, 30, dtype=jnp.float32)
    lowered = jax.jit(some).lower(*args)
    assert "call" in lowered.as_text()
    assert "exponential" not in lowered.as_text()
    assert "tanh" not in lowered.as_text()
    for ours, theirs in zip(lowered.compile()(*args), plain(*args), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
