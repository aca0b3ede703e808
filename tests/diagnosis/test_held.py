"""Whole models, with functions and counters in them, and lines as they are shown."""

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from jaxbp import ir
from jaxbp.errors import DtypeMismatch

MODEL = {"act": jnp.sqrt, "count": jnp.array(3), "name": "toy", "w": jnp.zeros(2)}
X = jnp.array([1.0, 2.0])


def apply(model, x):
    return jnp.sum(model["act"](model["w"] * x)) * model["count"].astype(x.dtype)


def test_explain_nan_and_growth_take_a_model_whole(capfd):
    report = jaxbp.explain_nan(apply, MODEL, X)
    assert report and report.spoilt == [("model['w']", 2, 2)]
    jax.jit(lambda x: [x, jaxbp.explain_nan(apply, MODEL, x)][0])(X)
    jax.effects_barrier()
    assert "model['w']" in capfd.readouterr().out
    rows = jaxbp.growth(apply, MODEL | {"w": X}, X).rows
    assert {"sqrt", "mul"} <= {row.primitive for row in rows}
    with pytest.raises(DtypeMismatch, match="int"):
        jaxbp.explain_nan(lambda n: n * 2.0, 3)


def test_check_rules_takes_a_model_whole():
    @jax.custom_jvp
    def twice(x):
        return 2 * x

    twice.defjvp(lambda p, t: (2 * p[0], 3 * t[0]))
    report = jaxbp.check_rules(apply, MODEL | {"act": twice}, X)
    assert report.verdict == "differ" and report.rows[0].name == "twice"


def test_lines_are_shown_without_folders():
    for report in (
        jaxbp.explain_nan(apply, MODEL, X),
        jaxbp.growth(apply, MODEL | {"w": X}, X),
    ):
        said = str(report)
        assert "test_held.py:" in said and "diagnosis/test_held" not in said
    assert (
        ir.brief("/a b/c.py:3 (f)") == ir.brief("C:\\a b\\c.py:3 (f)") == "c.py:3 (f)"
    )
    within = "/v/lib/python3.11/site-packages/optax/_src/base.py:7 (g)"
    assert ir.brief(within) == "optax/_src/base.py:7 (g)" and ir.brief("") == ""
