"""Models that hold functions and names beside arrays, and arguments that are no arrays:
trace and cost take them as check does."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp

MODEL = {"w": jnp.array([1.0, 2.0]), "activation": jnp.tanh, "name": "toy", "steps": 3}
X = jnp.array([0.5, -1.0])


def apply(model, x, mode="sum"):
    y = model["activation"](model["w"] * x) * model["steps"]
    return jnp.sum(y) if mode == "sum" else y


def test_trace_takes_a_model_whole():
    trace = jaxbp.trace(apply, MODEL, X, "sum")
    assert [row.names[0] for row in trace.rows if row.kind == "input"] == [
        "model['steps']",
        "model['w']",
        "x",
    ]
    wanted = jaxbp.grad(lambda w: apply(MODEL | {"w": w}, X))(MODEL["w"])
    np.testing.assert_allclose(trace["model['w']"].cotangents[0], wanted)


def test_trace_of_a_function_without_arguments():
    trace = jaxbp.trace(lambda: jnp.sin(2.0))
    assert [row.kind for row in trace.rows] == ["output"]


def test_cost_takes_a_model_whole():
    report = jaxbp.cost(apply, MODEL, X, "sum")
    assert (report.inputs, report.outputs) == (2, 1)
    plain = jaxbp.cost(lambda w, x: apply(MODEL | {"w": w}, x), MODEL["w"], X)
    assert report.rows == plain.rows and not report.remarks


@pytest.mark.parametrize("of", [jaxbp.trace, jaxbp.cost])
def test_an_equinox_model(of):
    equinox = pytest.importorskip("equinox")
    import jax

    model = equinox.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    assert "loss" in str(of(loss, model, X))


def loss(model, x):
    return jnp.sum(model(x) ** 2)


def test_a_conversion_to_the_type_there_is_is_no_step():
    trace = jaxbp.trace(lambda x: jnp.mean((x - 1) ** 2), jnp.arange(3.0))
    assert "convert_element_type" not in [row.operation for row in trace.rows]
    np.testing.assert_allclose(trace["x"].cotangents[0], [-2 / 3, 0, 2 / 3])


def test_what_seeds_lack_is_named():
    with pytest.raises(jaxbp.errors.StructureMismatch, match=r"`tangents\[0\]\['w'\]`"):
        jaxbp.trace(added, {"w": 1.0, "v": 2.0}, tangents=({"v": 1.0},))


def added(parts):
    return parts["w"] + parts["v"]
