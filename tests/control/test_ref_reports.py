"""Functions that make refs: their Jacobians, what they cost, and their trace."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp.costs import price


def doubled_first(x):
    ref = jax.new_ref(x)
    ref[0] = ref[0] * 2
    return ref[...] ** 2


def loss(x):
    return jnp.sum(doubled_first(x))


X = jnp.array([1.0, 2.0, 3.0])


def test_jacobians():
    expected = jnp.diag(jnp.array([8.0, 4.0, 6.0]))
    for jacobian in (jaxbp.jacfwd, jaxbp.jacrev):
        np.testing.assert_array_equal(jacobian(doubled_first)(X), expected)
        np.testing.assert_array_equal(jax.jit(jacobian(doubled_first))(X), expected)
    with_aux = jaxbp.jacfwd(lambda x: (doubled_first(x), x), has_aux=True)
    jacobian, aux = with_aux(X)
    np.testing.assert_array_equal(jacobian, expected)
    np.testing.assert_array_equal(aux, X)


def test_hessian():
    expected = jnp.diag(jnp.array([8.0, 2.0, 2.0]))
    np.testing.assert_array_equal(jaxbp.hessian(loss)(X), expected)


def test_trace_and_cost():
    rows = {row["operation"]: row for row in jaxbp.trace(loss, X).as_dicts()}
    assert rows["new_ref"]["flops"] is None
    assert rows["reduce_sum"]["primal"] == 17
    report = jaxbp.cost(loss, X)
    assert report.pullback is not None and report.jacobian_forward is not None
    assert not report.remarks


def test_a_trace_shows_a_ref_by_its_name():
    trace = jaxbp.trace(loss, X)
    line = next(line for line in str(trace).splitlines() if "new_ref" in line)
    assert " ref " in line and "17" in str(trace)
    assert trace.picture() is not None


def test_cost_says_what_it_cannot_count(monkeypatch):
    """An error of JAX's own takes one row, not the report."""

    def refuse(*args):
        raise ValueError("refs are not mapped\nand more lines")

    monkeypatch.setattr(price, "jacfwd", lambda *args: refuse)
    report = jaxbp.cost(loss, X)
    assert report.jacobian_forward is None and report.pullback is not None
    assert "no Jacobian by pushforwards: refs are not mapped" in report.remarks
