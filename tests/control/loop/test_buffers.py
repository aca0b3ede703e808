"""Loops that carry arrays and read and write them by parts: in place, and right."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp

N = 600  # elements: so many that an array is updated in place
X = jnp.linspace(-1.0, 1.0, N)
AT = jnp.array([3, 599, 7000, -4, 3, 0, 11, 250] * 2)  # outside, and twice


def recurrence(x, at):
    def body(i, x):
        return x.at[i].set(jnp.sin(x[i - 1]) + x[i] * x[-1])

    return jnp.sum(lax.fori_loop(1, 40, body, x) ** 2)


def table(x, at):
    d, start = x[:36].reshape(6, 6), jnp.full((25, 25), 3.0).at[0, 0].set(x[0])

    def row(i, R):
        def cell(j, R):
            s = jnp.stack([R[i - 1, j], R[i, j - 1], R[i - 1, j - 1]])
            return R.at[i, j].set(d[i - 1, j - 1] - jax.nn.logsumexp(-s))

        return lax.fori_loop(1, 7, cell, R)

    return lax.fori_loop(1, 7, row, start)[6, 6]


def history(x, at):
    """Read before and after it is written, at several places, with another buffer."""
    w = x[:5]

    def body(k, c):
        y, H, log = c
        H = H.at[k + 2].set(jnp.sin(y) * w)
        y = y + 0.1 * (3 * H[k + 2] - H[k + 1] * y + H[k])
        return y, H, log.at[k].set(jnp.sum(y))

    start = x[5:10], jnp.zeros((150, 5)), jnp.zeros(700)
    y, H, log = lax.fori_loop(0, 6, body, start)
    return jnp.sum(y**2) + jnp.sum(log**3) + jnp.sum(H)


def ring(x, at):
    def step(c, xt):
        buf, k = c
        y = xt + 0.5 * jnp.tanh(buf[k % 7]) + buf[(k + 3) % 7]
        return (buf.at[k % 7].set(y), k + 1), y

    ys = lax.scan(step, (x * 2, jnp.uint8(0)), x[:20], reverse=True)[1]
    return jnp.sum(ys**2)


def replay(x, at):
    """Places from data: some outside, some written twice."""

    def step(c, i):
        d = jnp.tanh(c[i] - c[0])
        c = c.at[i].add(-0.1 * d).at[i - 1].add(d)
        return c.at[2 * i].multiply(0.9).at[i].subtract(d), d

    c, ds = lax.scan(step, x, at)
    return jnp.sum(c**2) + jnp.sum(ds)


def outside(x, at):
    """Writes that are dropped, clipped, and promised to be inside."""

    def step(c, i):
        v = jnp.sin(c[5]) * 2
        c = c.at[i + 590].set(v, mode="drop").at[i].set(v * c[1], mode="clip")
        return c.at[6].set(c[5] * v, mode="promise_in_bounds"), None

    return jnp.sum(lax.scan(step, x, at)[0] ** 2)


def windows(x, at):
    """Windows that overlap; the last ones are moved inside."""

    def body(k, x):
        w = lax.dynamic_slice(x, (70 * k,), (30,))
        return lax.dynamic_update_slice(x, jnp.sin(w) * w[0], (70 * k + 10,))

    return jnp.sum(lax.fori_loop(0, 9, body, x) ** 2)


def blocks(x, at):
    m = x.reshape(20, 30)

    def body(k, m):
        block = lax.dynamic_slice(m, (k, 2 * k), (2, 3))
        m = m.at[:, k].set(m[:, k + 1] * m[0, 0])
        return lax.dynamic_update_slice(m, jnp.cos(block).T, (k, k))

    return jnp.sum(lax.fori_loop(0, 8, body, m) ** 2)


def groups(x, at):
    """Several places at once, some of them twice."""

    def step(c, i):
        near = jnp.stack([i, i + 1, i, 5])
        return c.at[near].set(jnp.sin(c[near + 2]) * c[9]), None

    return jnp.sum(lax.scan(step, x, at)[0] ** 2)


def overwritten(x, at):
    """What is overwritten has no derivative, even where it would not be finite."""

    def step(c, i):
        c = c.at[i].set(jnp.where(c[i] > 5, jnp.sqrt(c[i] - 5), 0.0) + 1.0)
        return c.at[i].set(c[i + 1] * 2.0), None

    return jnp.sum(lax.scan(step, x, at)[0] ** 2)


def in_branches(x, at):
    def step(c, i):
        s = jnp.tanh(jnp.sum(c[:2]) + x[i])
        c = lax.cond(i % 2 == 0, lambda c: c.at[i // 2].set(s), lambda c: c, c)
        return c, None

    return jnp.sum(lax.scan(step, x, at)[0] ** 2)


def cache(x, at):
    """Read as a whole: before the write, after it, and twice in a step."""
    w = x[:9].reshape(3, 3)

    def step(c, t):
        q, K, V = c
        K = lax.dynamic_update_slice(K, (q @ w)[None], (t, 0))
        s = jax.nn.softmax(jnp.where(jnp.arange(200) <= t, K @ q, -1e9))
        q = jnp.tanh(s @ V + q * K[t])
        return (q, K, V.at[t].set(q).at[t + 1].add(q * V[t])), q[0]

    start = x[:3], jnp.zeros((200, 3)), jnp.zeros((200, 3))
    return jnp.sum(lax.scan(step, start, jnp.arange(6))[1])


def orthogonal(x, at):
    A = jnp.sin(jnp.arange(900.0)).reshape(30, 30) + jnp.outer(x[:30], x[30:60])
    start = jnp.zeros((25, 30)).at[0].set(x[:30])

    def body(k, Q):
        w = A @ Q[k]
        w = w - Q.T @ (Q @ w)
        return Q.at[k + 1].set(w / jnp.sqrt(1.0 + jnp.sum(w * w)))

    return jnp.sum(jnp.sin(lax.fori_loop(0, 5, body, start)))


def complex_ones(x, at):
    z = x.astype(complex) * (1 + 2j)

    def body(i, z):
        return z.at[i].set(z[i - 1] * jnp.exp(1j * z[i]).conj())

    return jnp.sum(jnp.abs(lax.fori_loop(1, 20, body, z)) ** 2)


FUNCTIONS = [
    recurrence, table, history, ring, replay, outside, windows, blocks, groups,
    overwritten, in_branches, cache, orthogonal, complex_ones,
]  # fmt: skip


def close(ours, theirs, tolerance=1e-11):
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_gradients_are_those_of_jax(f):
    value, ours = jax.jit(jaxbp.value_and_grad(f))(X, AT)
    known, theirs = jax.jit(jax.value_and_grad(f))(X, AT)
    close(value, known)
    close(ours, theirs)


TWICE = [recurrence, history, replay, groups, cache, in_branches]


@pytest.mark.parametrize("f", TWICE, ids=lambda f: f.__name__)
def test_batches_and_second_derivatives(f):
    v = jnp.cos(3 * X)

    def both(module, x):
        gradient = module.grad(lambda x: f(x, AT))
        return jax.vmap(gradient)(jnp.stack([x, v])), module.jvp(gradient, (x,), (v,))

    ours, theirs = (jax.jit(lambda x, m=m: both(m, x))(X) for m in (jaxbp, jax))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        close(one, other, 1e-9)


def test_gradients_of_gradients():
    v = jnp.cos(3 * X)

    def slope(module, inner):
        gradient = inner(lambda x: replay(x, AT[:5]))
        return jax.jit(module.grad(lambda x: jnp.vdot(gradient(x), v)))(X)

    theirs = slope(jax, jax.grad)
    close(slope(jaxbp, jaxbp.grad), theirs, 1e-9)
    close(slope(jax, jaxbp.grad), theirs, 1e-9)


@pytest.mark.parametrize("f", [history, cache], ids=lambda f: f.__name__)
def test_linear_programs(f):
    v = jnp.cos(3 * X)
    _, pushed = jaxbp.linearize(lambda x: f(x, AT), X)
    close(pushed(v), jnp.vdot(jax.grad(f)(X, AT), v), 1e-9)


def copies_in_loops(f, size, *args):
    """How many copies of arrays of `size` elements the loops of a program make."""
    text = jax.jit(f).lower(*args).compile().as_text()
    assert text is not None
    bodies = set(re.findall(r"body=(%[\w.\-]+)", text))
    found = 0
    for computation in re.split(r"\n(?=%|ENTRY)", text):
        if computation.split(" ")[0] in bodies:
            shapes = re.findall(r"= \w+\[([\d,]*)\]\S* copy\(", computation)
            sizes = [np.prod([int(n) for n in s.split(",") if n]) for s in shapes]
            found += sum(n >= size for n in sizes)
    return found


IN_PLACE = [recurrence, table, history, windows, replay, ring]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about XLA's CPU compiler")
@pytest.mark.parametrize("f", IN_PLACE, ids=lambda f: f.__name__)
def test_no_array_is_copied_at_every_step(f):
    assert copies_in_loops(jaxbp.grad(f), 500, X, AT) == 0


def test_what_is_read_whole_is_not_stacked():
    """The tape holds what the loop wrote, not the array at every step."""

    def memory(module):
        compiled = jax.jit(module.grad(cache)).lower(X, AT).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory(jaxbp) < 0.7 * memory(jax)


def test_counts_are_not_on_the_tape():
    _, program = jax.eval_shape(lambda x: jaxbp.vjp(recurrence, x, AT), X)
    integers = [r for r in jax.tree.leaves(program) if r.dtype == np.int32 and r.size]
    assert sum(r.size for r in integers) <= AT.size + 2


def grid(x, at):
    """A field that is written as a whole at every step, and seen at one place."""
    field = x.reshape(20, 30)

    def step(field, source):
        curl = field[1:, 1:] - field[:-1, 1:] + jnp.sin(field[1:, :-1])
        field = field.at[1:, 1:].add(0.1 * curl).at[3, 4].add(source)
        return field, field[7, 8]

    field, seen = lax.scan(step, field, x[:9])
    return jnp.sum(seen**2) + field[0, 0]


def test_what_is_written_as_a_whole_is_read_as_it_is():
    """No operation of its own for the number that is read: it is had from the sum."""
    expected = jax.grad(grid)(X, AT)
    np.testing.assert_allclose(jax.jit(jaxbp.grad(grid))(X, AT), expected, 1e-11, 1e-13)
    assert "reduce_window_max" not in str(jax.make_jaxpr(jaxbp.grad(grid))(X, AT))
