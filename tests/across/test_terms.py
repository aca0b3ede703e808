"""Terms: every edge as a term is the matrix that its map pushes with."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.across import edges, expand, order
from jaxbp.across.places import Axis, Index, Label, Window, crossing
from jaxbp.across.term import Term, composed, identity, meet

X = np.linspace(0.1, 1.0, 12)
KERNEL = np.random.default_rng(0).normal(size=(3, 2, 2, 3))
IMAGE = np.random.default_rng(1).normal(size=(2, 5, 6, 2))
SPEC = ("NHWC", "HWIO", "NCHW")


def convolved(padding, strides, gaps, dilation):
    def f(image, kernel):
        return lax.conv_general_dilated(
            image, kernel, strides, padding, gaps, dilation, dimension_numbers=SPEC
        )

    return f


CONVOLUTIONS = {
    "same": convolved("SAME", (1, 1), (1, 1), (1, 1)),
    "valid": convolved("VALID", (2, 1), (1, 1), (1, 2)),
    "gaps": convolved([(1, 2), (0, 1)], (1, 2), (2, 1), (1, 1)),
    "cropped": convolved([(-1, 0), (0, 1)], (1, 2), (1, 1), (1, 1)),
}
FUNCTIONS = {
    "concatenate": lambda x: jnp.concatenate([x[3:], x[:3] * 2]),
    "stack": lambda x: jnp.stack([x[0], x[5] * x[1], x[-1]]),
    "digits": lambda x: x.reshape(3, 4).T.reshape(2, 6)[::-1, 1::2],
    "pad": lambda x: lax.pad(x.reshape(3, 4), 0.0, [(1, -1, 1), (-1, 2, 0)]),
    "gather": lambda x: x[np.array([3, 1, 1, 20])] * x[np.array([0, 2, 4, 6])],
    "scatter-add": lambda x: jnp.zeros(9).at[np.array([3, 1, 1, 25] * 3)].add(x),
    "pairs": lambda x: x.reshape(3, 4)[np.array([0, 2]), np.array([1, 1])],
    "dynamic slice": lambda x: lax.dynamic_slice(x, (jnp.argmax(x) - 3,), (4,)),
    "update": lambda x: x.at[2:4].set(x[5:7] ** 2),
    "dynamic update": lambda x: lax.dynamic_update_slice(x, x[:2], (jnp.argmin(x),)),
    "split": lambda x: jnp.split(x, 3)[1] * 2,
    "tile": lambda x: jnp.tile(x.reshape(3, 4), (2, 2)),
    "other digits": lambda x: x.reshape(3, 4)[:, ::-1].reshape(4, 3)[:, 1],
    "cumsum": lambda x: lax.cumsum(x.reshape(3, 4), 1, reverse=True),
    **{k: lambda x, f=f: f(x, KERNEL) for k, f in CONVOLUTIONS.items()},
    **{f"{k} kernel": lambda w, f=f: f(IMAGE, w) for k, f in CONVOLUTIONS.items()},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_edge_is_what_it_pushes(name):
    x = KERNEL if "kernel" in name else IMAGE if name in CONVOLUTIONS else X
    _, push = jaxbp.linearize(FUNCTIONS[name], jnp.asarray(x))
    program = push.program.opened().parts()

    def both():
        found = []
        for edge in program.structure.edges:
            (source,), (target,) = edge.ins, edge.outs
            a, b = (program.structure.avals[slot] for slot in (source, target))
            held = program.residuals(edge)
            term = edges.term_of(edge, held, a, b, False)
            assert isinstance(term, edges.Term), edge
            seeds = jnp.eye(a.size).reshape(a.size, *a.shape)
            columns = jax.vmap(lambda s, e=edge, h=held: e.map.push(h, [s])[0])(seeds)
            shape = (*b.shape, *a.shape)
            pushed = jnp.moveaxis(columns, 0, -1).reshape(shape)
            found.append((expand.dense([term], shape, np.float64), pushed))
        return found

    with jax.numpy_rank_promotion("allow"):
        for came, wanted in jax.jit(both)():
            np.testing.assert_allclose(came, wanted, atol=1e-14)


def test_progressions_cross_where_they_are_equal():
    steps = (-3, -2, -1, 1, 2, 4)
    counts = itertools.product((0, 3, 8), steps, (1, 4), (0, 5), steps, (1, 3))
    for s, t, n, u, v, m in counts:
        met = crossing(Window(s, t, n), Window(u, v, m))
        found = [
            (met.first[0] + met.first[1] * k, met.second[0] + met.second[1] * k)
            for k in range(met.count)
        ]
        pairs = itertools.product(range(n), range(m))
        assert found == [(a, b) for a, b in pairs if s + t * a == u + v * b]


@pytest.mark.parametrize("jit", (False, True))
def test_one_element_that_is_read_many_times_is_added_up(jit):
    def summed(x):
        label = Label(3)
        places = jnp.zeros(3, jnp.int32) + 0 * x.astype(jnp.int32)
        read = Term((), (Axis(1, 0, (), Index((label,), places)),))
        product = composed(meet(read, identity((1,)), x.dtype), x.dtype, None)
        return expand.dense([product], (1,), x.dtype)

    found = (jax.jit(summed) if jit else summed)(jnp.ones(()))
    np.testing.assert_array_equal(found, [3.0])


def test_a_call_that_is_read_many_times(monkeypatch):
    monkeypatch.setattr(order, "CLEARLY", float("inf"))
    monkeypatch.setattr(order, "SEEN", -float("inf"))

    def f(x, i, chosen):
        same = [jnp.sin, lambda x: jnp.sin(x)]
        return jnp.sum(lax.cond(chosen, *same, jnp.sin(jnp.sin(x)))[i])

    args = jnp.array([0.41]), jnp.array([0, 0]), True
    assert jaxbp.jacobian(f).plan(*args).chosen.order
    found = jax.jit(lambda *a: jaxbp.jacobian(f)(*a))(*args)
    np.testing.assert_allclose(found, jax.jacfwd(f)(*args), 1e-6)
