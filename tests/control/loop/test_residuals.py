"""What a scan's derivative stacks: never more than JAX's, and the same derivative."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.control.loop import scan
from jaxbp.control.loop.again import recomputes
from jaxbp.study import stacked_bytes

X = jnp.array([0.3, 1.2, -0.7])
W = jnp.array([[0.5, -0.3, 0.1], [0.2, 0.4, -0.6], [-0.1, 0.7, 0.3]])
XS = jnp.stack([X, 2 * X, -X, X * X])


@pytest.fixture(autouse=True)
def carries_as_if_large(monkeypatch):
    monkeypatch.setattr(scan, "FOLLOWS", 0)


def scanned(step, **options):
    """A loss of a weight, a first carry and elements, by scan over `step(w, c, x)`."""

    def run(w, c, xs):
        c, ys = lax.scan(functools.partial(step, w), c, xs, **options)
        return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves((c, ys)))

    return run


def tanh_cell(w, c, x):
    return jnp.tanh(w @ c + x), None


def gated(w, c, x):
    a, b = jnp.split(jnp.tile(w @ x, 2), 2)
    p, q = jnp.split(jnp.tile(w @ c, 2), 2)
    u = jax.nn.sigmoid(a + p)
    return (1 - u) * jnp.tanh(b + u * q) + u * c, None


def two_stages(w, c, x):
    k = c * (x + w @ c)
    middle = c + 0.1 * k
    return c + 0.1 * middle * (x + w @ middle), None


def logs_of_sums(w, c, x):
    return jnp.log(jnp.abs(w @ c)) + x, None


def shifting(w, carry, x):
    """One carry's new value is another's old one."""
    a, b = carry
    return (b, jnp.tanh(w @ a + b * x)), b


CASES = {
    "carry_is_residual": scanned(tanh_cell),
    "reversed": scanned(tanh_cell, reverse=True),
    "one_step": scanned(tanh_cell, unroll=True),
    "gates_share_cotangents": scanned(gated),
    "sums_and_products": scanned(two_stages),
    "absolute_value": scanned(logs_of_sums),
    "carries_in_turn": lambda w, c, xs: scanned(shifting)(w, (c, c + 1), xs),
}


@pytest.mark.parametrize("run", CASES.values(), ids=CASES)
def test_stacks_no_more_than_jax_for_the_same_derivative(run):
    args = W, X, XS
    ours, theirs = (ad.grad(run, (0, 1, 2)) for ad in (jaxbp, jax))
    assert stacked_bytes(ours, *args) <= stacked_bytes(theirs, *args)
    push = jaxbp.linearize(run, *args)[1]
    came = jax.jit(ours)(*args), push(*args)
    expected = jax.jit(theirs)(*args), jax.jvp(run, args, args)[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-12), came, expected)


def test_a_carry_and_its_new_value_are_stacked_once():
    rows = XS.nbytes
    gradient = jaxbp.grad(CASES["carry_is_residual"])
    assert stacked_bytes(gradient, W, X, XS) == 2 * rows  # the carry, its cotangent


@pytest.mark.parametrize("limit, rows", [(0, 1), (XS.nbytes - 1, 1), (XS.nbytes, 2)])
def test_cotangents_are_stacked_up_to_the_limit(limit, rows):
    run = CASES["carry_is_residual"]
    with jaxbp.loops(stack_limit_bytes=limit):
        gradient = jax.jit(jaxbp.grad(run))
        assert stacked_bytes(gradient, W, X, XS) == rows * XS.nbytes
        came = gradient(W, X, XS)
    np.testing.assert_allclose(came, jax.grad(run)(W, X, XS), 1e-12)


def test_every_residual_is_stacked_on_request():
    run = CASES["sums_and_products"]
    with jaxbp.loops(residuals="stack", stack_limit_bytes=0):
        gradient = jax.jit(jaxbp.grad(run))
        assert stacked_bytes(gradient, W, X, XS) == 5 * XS.nbytes
        came = gradient(W, X, XS)
    np.testing.assert_allclose(came, jax.grad(run)(W, X, XS), 1e-12)


def test_the_switch_knows_its_words():
    with pytest.raises(ValueError, match='"auto", "stack" or "recompute".*\'all\''):
        with jaxbp.loops(residuals="all"):
            pass


def filtered(q, xs):
    """A recursive filter: what its derivative asks for are elements and outputs."""
    b, a = q

    def step(state, x):
        y = b[0] * x + state[0]
        return (b[1] * x - a[0] * y + state[1], b[2] * x - a[1] * y), y

    return lax.scan(step, (xs[0], xs[0]), xs)[1]


def test_elements_and_outputs_serve_as_residuals():
    q, xs = (X, X[:2]), jnp.linspace(0.1, 1.0, 30)
    loss = lambda q: jnp.sum(jnp.sin(filtered(q, xs)))  # noqa: E731
    assert stacked_bytes(jaxbp.grad(loss), q) == xs.nbytes
    came, expected = jax.jit(jaxbp.grad(loss))(q), jax.jit(jax.grad(loss))(q)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-12), came, expected)


# What a step is thought to cost -----------------------------------------------------


def again(step, carry):
    body = jax.make_jaxpr(step)(carry).jaxpr
    return recomputes(body, frozenset(), [carry], 50)


@pytest.mark.parametrize(
    "dear",
    [
        lambda c: jnp.fft.irfft(jnp.fft.rfft(c) * (1 + 0.1j), n=c.size) * jnp.sin(c),
        lambda c: (
            c + jnp.sqrt((jnp.sin(c)[:, None] - jnp.ones((1, 8), c.dtype)) ** 2).min(1)
        ),
    ],
)
def test_what_takes_long_is_not_run_again(dear):
    carry = jnp.ones(1024, jnp.float32)
    assert not again(dear, carry)
    assert again(lambda c: c + c * c * (1 - c) / (2 + c) * jnp.abs(c), carry)


def sorted_softly(c):
    """Pairs are sorted softly, stacked and turned: each part of it is read anew."""
    a = c.reshape(-1, 2)
    low = jax.nn.sigmoid(a[:, 0] - a[:, 1])
    high = 1 - low
    pairs = [low * a[:, 1] + high * a[:, 0], low * a[:, 0] + high * a[:, 1]]
    return jnp.roll(jnp.stack(pairs, -1).reshape(c.shape), 1)


def test_what_is_stacked_and_read_by_others_is_not_run_again():
    assert not again(sorted_softly, jnp.ones(2048, jnp.float32))


def test_few_numbers_that_are_stacked_are_run_again():
    def lorenz(s):
        x, y, z = s
        return s + 0.01 * jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 2 * z])

    assert again(lambda s: lorenz(lorenz(s)), jnp.ones(3, jnp.float32))


def test_what_many_slopes_ask_for_counts_once():
    """It is kept once: there is less to spare than products."""

    def step(c):
        e = jnp.exp(c)
        return sum([e * c for _ in range(12)]) + jax.jit(lambda e: e * e)(e)

    assert not again(step, jnp.ones(1024, jnp.float32))


def test_products_stay_in_the_loop_where_their_stack_is_large():
    def kept(rows):
        x = jnp.ones((rows, 4), jnp.float32)
        w, v = jnp.ones((4, 64), jnp.float32), jnp.ones((64, 4), jnp.float32)

        def f(w, v):
            step = lambda h, _: (h + jnp.tanh(h @ w) @ v, None)  # noqa: E731
            return lax.scan(step, x, None, length=3)[0].sum()

        found = []
        for limit in (0, 1 << 20):
            with jaxbp.loops(stack_limit_bytes=limit):
                found.append(stacked_bytes(jaxbp.grad(f, (0, 1)), w, v))
        return found

    few, waiting = kept(2)
    assert waiting > few
    many, staying = kept(512)
    assert staying == many or jax.default_backend() != "cpu"


def test_what_a_body_computes_twice_has_one_sum():
    def f(x):
        right = lambda y: jnp.concatenate([x[:1], x[1:] * y[:-1]])  # noqa: E731
        step = lambda y, _: (right(y + 0.1 * right(y)), None)  # noqa: E731
        return lax.scan(step, jnp.zeros_like(x), None, length=3)[0].sum()

    x = jnp.linspace(0.1, 1, 6)
    program = jax.make_jaxpr(jaxbp.grad(f))(x)
    back = [eqn for eqn in program.eqns if eqn.primitive.name == "scan"][-1]
    sums = [v.aval.shape for v in back.outvars if v.aval.shape != x.shape]
    assert sums == [(1,), (5,)]
    np.testing.assert_allclose(jaxbp.grad(f)(x), jax.grad(f)(x))


def test_masks_of_small_matrices_are_not_stacked():
    def f(a):
        def step(c, _):
            return lax.linalg.triangular_solve(a, c, lower=True), None

        return lax.scan(step, a, None, length=4)[0].sum()

    program = jax.make_jaxpr(jaxbp.grad(f))(jnp.eye(3))
    outs = [
        v.aval for e in program.eqns if e.primitive.name == "scan" for v in e.outvars
    ]
    assert not [a for a in outs if a.dtype in (bool, jnp.int32)]
