"""The evaluation trace: known tables, both modes against JAX, loops, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import (
    DtypeMismatch,
    InvalidArgument,
    MissingRule,
    ShapeMismatch,
    StructureMismatch,
    UnknownName,
)


def baydin(x1, x2):
    return jnp.log(x1) + x1 * x2 - jnp.sin(x2)


# Baydin et al. 2018, tables 2 and 3 at (2, 5): equation, primal, tangents for the
# seeds (1, 0) and (0, 1), cotangent.
TABLE = [
    ("v1", "log(x1)", 0.693147180560, 0.5, 0.0, 1.0),
    ("v2", "x1 × x2", 10.0, 5.0, 2.0, 1.0),
    ("v3", "v1 + v2", 10.693147180560, 5.5, 2.0, 1.0),
    ("v4", "sin(x2)", -0.958924274663, 0.0, 0.283662185463, -1.0),
    ("v5", "v3 − v4", 11.652071455223, 5.5, 1.716337814537, 1.0),
]


def test_the_published_tables_line_by_line():
    one = jaxbp.trace(baydin, 2.0, 5.0, tangents=(1.0, 0.0))
    other = jaxbp.trace(baydin, 2.0, 5.0, tangents=(0.0, 1.0))
    rows = [row for row in one.rows if row.kind == "equation"]
    for row, (name, equation, primal, dot_1, dot_2, bar) in zip(
        rows, TABLE, strict=True
    ):
        assert (row.names, row.equation) == ((name,), equation)
        assert row.primals[0] == pytest.approx(primal, abs=1e-12)
        assert (row.tangents[0] or 0.0) == pytest.approx(dot_1, abs=1e-12)
        assert (other[name].tangents[0] or 0.0) == pytest.approx(dot_2, abs=1e-12)
        assert row.cotangents[0] == pytest.approx(bar, abs=1e-12)
    assert one["x1"].cotangents[0] == pytest.approx(5.5, abs=1e-12)
    assert one["x2"].cotangents[0] == pytest.approx(1.716337814537, abs=1e-12)
    assert one["output"].primals[0] == pytest.approx(11.652071455223, abs=1e-12)
    assert all(row.source.startswith("test_trace.py:") for row in rows)
    assert {float(b) for b in one.rows[3].carried} == {5.0, 2.0}  # x1 × x2, to each


def net(params, x, labels):
    (w1, b1), (w2, b2) = params
    hidden = jax.nn.relu(x @ w1 + b1[None])
    scores = jax.nn.log_softmax(hidden @ w2 + b2[None])
    return -jnp.take_along_axis(scores, labels[:, None], 1).mean()


@pytest.fixture(scope="module")
def net_args():
    rng = np.random.default_rng(0)
    shapes = ((4, 8), (8,)), ((8, 3), (3,))
    params = jax.tree.map(
        lambda s: jnp.asarray(rng.normal(size=s)),
        shapes,
        is_leaf=lambda s: isinstance(s[0], int),
    )
    return params, jnp.asarray(rng.normal(size=(5, 4))), jnp.array([0, 2, 1, 1, 0])


@pytest.fixture(scope="module")
def net_trace(net_args):
    return jaxbp.trace(net, *net_args)


def test_a_network_against_jax_and_cost(net_args, net_trace):
    value, (params_bar, x_bar) = jax.value_and_grad(net, (0, 1))(*net_args)
    assert net_trace["output"].primals[0] == pytest.approx(float(value), rel=1e-14)
    w1_bar = net_trace["params[0][0]"].cotangents[0]
    np.testing.assert_allclose(w1_bar, params_bar[0][0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(net_trace["x"].cotangents[0], x_bar, atol=1e-14)
    along = sum(float(leaf.sum()) for leaf in jax.tree.leaves((params_bar, x_bar)))
    assert net_trace["output"].tangents[0] == pytest.approx(along, rel=1e-12)
    report = jaxbp.cost(net, *net_args, argnums=(0, 1))
    assert net_trace.kept_bytes == report.tape.total_bytes
    assert net_trace.flops == report.f.flops


def test_equations_are_told_as_one_writes_them(net_trace):
    equations = [row.equation for row in net_trace.rows]
    assert "x @ params[0][0]" in equations
    assert any(e.startswith("relu(v") for e in equations)
    assert any(e.startswith("reduce_max(v") and "axes=(1,)" in e for e in equations)
    assert net_trace["labels"].tangents == (None,)
    assert not net_trace["labels"].differentiable[0]


def rnn(w, h, xs):
    """A scan in each direction, with stacked outputs and integers among them."""

    def step(carry, x):
        h, count = carry
        h = jnp.tanh(w * h + x)
        return (h, count + 1), (h * x, count)

    (h, _), (ys, counts) = jax.lax.scan(step, (h, 0), xs)
    (h, _), (zs, _) = jax.lax.scan(step, (h, 0), xs, reverse=True)
    return h + jnp.sin(ys).sum() + (zs * jnp.arange(7.0)).sum(), counts.sum()


@pytest.mark.parametrize(("depth", "steps"), [(0, 3), (1, 1), (1, 3), (1, 9)])
def test_scans_closed_and_opened(depth, steps):
    args = jnp.array(0.5), jnp.array(0.1), jnp.linspace(-1, 1, 7)
    found = jaxbp.trace(rnn, *args, depth=depth, steps=steps, has_aux=True)
    (value, _), bars = jax.value_and_grad(rnn, (0, 1, 2), has_aux=True)(*args)
    assert found["output"].primals[0] == pytest.approx(float(value), rel=1e-14)
    for name, bar in zip(("w", "h", "xs"), bars, strict=True):
        np.testing.assert_allclose(found[name].cotangents[0], bar, rtol=1e-12)
    along = sum(float(bar.sum()) for bar in bars)
    assert found["output"].tangents[0] == pytest.approx(along, rel=1e-12)
    stacked = [row for row in found.rows if row.kind == "opened"]
    assert all(len(row.reads) > len(row.names) + min(steps, 7) for row in stacked)
    headings = [row.equation for row in found.rows if row.kind == "step"]
    assert len(headings) == 2 * depth * min(steps, 7)
    between = [r.equation for r in found.rows if r.equation.startswith("steps ")]
    assert between == {(1, 1): ["steps 1 to 6"] * 2, (1, 3): ["steps 3 to 6"] * 2}.get(
        (depth, steps), []
    )


def newton(a, x):
    return jax.lax.while_loop(
        lambda x: jnp.abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, x
    )


@pytest.mark.parametrize(("depth", "steps"), [(0, 3), (1, 2)])
def test_a_while_loop_in_both_modes(depth, steps):
    found = jaxbp.trace(newton, 2.0, 1.0, depth=depth, steps=steps, tangents=(1.0, 0.0))
    slope = 0.5 / np.sqrt(2)
    assert found["output"].tangents[0] == pytest.approx(slope, rel=1e-9)
    assert found["a"].cotangents[0] == pytest.approx(slope, rel=1e-9)
    assert found.flops.low == found.flops.high > 0  # the steps were counted
    assert len([r for r in found.rows if r.kind == "step"]) == depth * steps


def branching(x):
    if x > 0:  # on the value itself
        x = jnp.sin(x)
    return jax.lax.cond(x > 0.5, lambda x: x * x, lambda x: -x, x)


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("x", [2.0, -2.0])
def test_branches(x, depth):
    found = jaxbp.trace(branching, x, depth=depth)
    assert found["x"].cotangents[0] == pytest.approx(float(jax.grad(branching)(x)))
    assert len([r for r in found.rows if r.equation.startswith("branch")]) == depth


def test_custom_derivatives_and_checkpoint():
    @jax.custom_vjp
    def twice(x):
        return 2 * x

    twice.defvjp(lambda x: (2 * x, None), lambda _, y_bar: (3 * y_bar,))
    checkpointed = jax.checkpoint(lambda x: jnp.sin(twice(x)))
    for depth in (0, 1):
        found = jaxbp.trace(lambda x: twice(x) + checkpointed(x), 0.5, depth=depth)
        assert found["x"].cotangents[0] == pytest.approx(3 + 3 * np.cos(1.0))
        assert found["v1"].equation == "twice(x)" and found["v1"].flops.low == 1
        operations = {row.operation for row in found.rows}
        assert ("sin" in operations) == (depth == 1)


def test_cotangents_of_several_outputs():
    found = jaxbp.trace(
        lambda x: {"y": x * x, "x": x}, 3.0, cotangents={"y": 10, "x": 1}
    )
    assert found["x"].cotangents[0] == 61.0
    assert found["output['x']"].cotangents[0] == 1.0


def test_python_integers_stay_as_they_are():
    power = jax.jit(lambda x, n: x**n, static_argnums=1)
    found = jaxbp.trace(power, 2.0, 3)
    assert found["v1"].equation == "x**3" and found["x"].cotangents[0] == 12.0
    (note,) = jaxbp.trace(power, 2, 3).notes
    assert note.startswith("no argument is floating") and not found.notes


def test_where_a_nan_is_born():
    found = jaxbp.trace(lambda x: jnp.sqrt(x) + jnp.log(-x), 0.0)
    said = list(found.suspicions())
    assert len(said) == 3
    assert said[0].startswith("the first NaN or Inf of the primals is in v3 = log(v2)")
    assert said[1].startswith("the first NaN or Inf of the tangents is in v1 = sqrt(x)")
    assert "first NaN or Inf of the cotangents is in v2 = −x" in said[2]
    assert not list(jaxbp.trace(jnp.sin, 0.0).suspicions())


ERRORS = [
    (lambda: jaxbp.trace(3, 1.0), InvalidArgument, "`fun` must be callable"),
    (lambda: jaxbp.trace(jnp.sin, "x"), DtypeMismatch, "must be an array or a number"),
    (lambda: jaxbp.trace(lambda x: "no", 1.0), DtypeMismatch, "`output` of `<lambda>`"),
    (lambda: jaxbp.trace(jnp.sin, 1.0, depth=-1), InvalidArgument, "`depth` must be"),
    (lambda: jaxbp.trace(jnp.sin, 1.0, steps=0), InvalidArgument, "`steps` must be"),
    (
        lambda: jaxbp.trace(jnp.sin, 1.0, tangents=1.0),
        StructureMismatch,
        "`tangents` must have the tree structure of `args`",
    ),
    (
        lambda: jaxbp.trace(jnp.sin, jnp.ones(2), tangents=(jnp.ones(3),)),
        ShapeMismatch,
        r"`tangents\[0\]` must have shape \(2,\)",
    ),
    (
        lambda: jaxbp.trace(jnp.sin, jnp.ones(2), cotangents=1.0),
        ShapeMismatch,
        r"`cotangents` must have shape \(2,\)",
    ),
    (
        lambda: jax.jit(lambda x: jaxbp.trace(jnp.sin, x))(1.0),
        InvalidArgument,
        "Call `trace` outside jit, vmap and grad",
    ),
    (lambda: jaxbp.trace(jnp.sin, 1.0)["v7"], UnknownName, "no value is called `v7`"),
]


@pytest.mark.parametrize(("call", "error", "match"), ERRORS)
def test_what_cannot_be_traced(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_primitive_without_a_rule():
    from jax.extend.core import Primitive

    odd_p = Primitive("odd")
    odd_p.def_impl(lambda x: x)
    odd_p.def_abstract_eval(lambda x: x)
    with pytest.raises(MissingRule, match="`odd`"):
        jaxbp.trace(odd_p.bind, 1.0)


def test_the_row_of_an_opened_loop_has_the_carrys_own_cotangent():
    def stacked(x):
        def body(c, u):
            return jnp.tanh(c * u), c * u

        return lax.scan(body, x, jnp.arange(1.0, 4.0))[1].sum()

    def passed(x):  # the branch gives what other readers have, too
        return lax.cond(True, lambda x: x, jnp.sin, x) + 3 * x

    for f in (stacked, passed):
        shut, opened = (jaxbp.trace(f, 2.0, depth=depth) for depth in (0, 1))
        loop, rows = (
            next(row for row in t.rows if row.operation in ("scan", "cond"))
            for t in (shut, opened)
        )
        for ours, theirs in zip(rows.cotangents, loop.cotangents, strict=True):
            assert np.allclose(*(0 if x is None else x for x in (ours, theirs)))
        assert np.allclose(opened.rows[0].cotangents[0], jax.grad(f)(2.0))


def test_nothing_of_nothing_is_no_flop():
    assert jaxbp.trace(lambda x: jnp.sum(x**2), jnp.zeros(0)).flops.high == 0


def test_a_function_without_output_is_refused():
    with pytest.raises(InvalidArgument, match="must return arrays"):
        jaxbp.trace(lambda x: None, 2.0)


def test_numpy_inside_is_told_with_its_line():
    with pytest.raises(TypeError) as caught:
        jaxbp.trace(lambda x: np.sum(np.asarray(x)), jnp.ones(2))
    (note,) = caught.value.__notes__
    assert "test_trace.py:" in note and "write jnp where it says np" in note
