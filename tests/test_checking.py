"""`jaxbp.check`, with the engine and JAX plugged in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp


def loss(params, x):
    return jnp.mean(jnp.tanh(x @ params["W"] + params["b"][None]) ** 2)


def arguments():
    rng = np.random.default_rng(0)
    params = {"W": jnp.asarray(rng.normal(size=(3, 2))), "b": jnp.zeros(2)}
    return params, jnp.asarray(rng.normal(size=(5, 3)))


def test_five_witnesses_agree_on_a_network():
    report = jaxbp.check(loss, *arguments())
    assert report, str(report)
    assert report.judged == "engine reverse"
    assert report.witnesses == [
        "jax reverse", "differences", "engine forward", "jax forward",
        "engine adjoint", "jax adjoint",
    ]  # fmt: skip
    worst = {w: report.worst("params['W']", w) for w in report.witnesses[:4]}
    assert all(worst[w].closeness < 1e-12 for w in worst if w != "differences")
    assert worst["differences"].closeness < 1e-6
    assert 0 < worst["differences"].noise < 1e-6


def test_check_is_a_function_each_time_it_is_looked_up():
    assert callable(jaxbp.check) and callable(jaxbp.check)


def test_with_a_gradient_the_first_argument_is_meant_as_in_jax():
    right = jax.grad(loss)
    assert jaxbp.check(loss, *arguments(), grad=right)
    report = jaxbp.check(loss, *arguments(), grad=jax.grad(loss, 1), argnums=1)
    assert report and [name for name, _, _ in report.leaves] == ["x"]
    both = jaxbp.check(loss, *arguments(), grad=jax.grad(loss, (0, 1)), argnums=(0, 1))
    assert both and len(both.leaves) == 3


def test_the_engine_goes_forward_through_a_custom_vjp_where_jax_refuses():
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, y_bar: (y_bar * jnp.cos(x),))
    report = jaxbp.check(sine, jnp.array([0.3, 0.7]))
    assert report and "engine forward" in report.witnesses
    assert [note.split(" was")[0] for note in report.notes] == ["jax forward"]


def test_a_numpy_function_is_judged_by_differences_alone():
    def f(x):
        return np.sum(np.asarray(x) ** 3)

    assert jaxbp.check(f, jnp.array([1.0, 2.0]), grad=lambda x: 3 * x**2)
    report = jaxbp.check(f, jnp.array([1.0, 2.0]), grad=lambda x: 2 * x**2)
    assert not report and report.findings[0].sentence.endswith("against yours.")
    assert len(report.notes) == 1 and "write jnp" in report.notes[0]
    assert "test_checking.py:" in report.notes[0]


@pytest.mark.parametrize("form", [str, repr, lambda r: r._repr_html_()])
def test_a_report_shows_itself(form):
    shown = form(jaxbp.check(loss, *arguments(), points=1))
    assert "all witnesses agree" in shown and "W" in shown
    assert "float64[3,2]" in shown and "noise" in shown


def test_a_report_s_rows_are_data():
    report = jaxbp.check(loss, *arguments(), points=2)
    rows = report.as_dicts()
    assert {row["point"] for row in rows} == {0, 1}
    assert set(rows[0]) == {
        "leaf", "point", "judged", "witness", "closeness", "index", "value", "other",
        "noise", "excess", "verdict",
    }  # fmt: skip
    indexed = [r for r in rows if r["leaf"] == "params['W']" and r["index"]]
    gradient = jax.grad(loss)(*arguments())["W"]
    for row in (r for r in indexed if r["point"] == 0):
        assert row["value"] == pytest.approx(float(gradient[row["index"]]))
