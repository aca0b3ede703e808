"""Points outside a domain, integers, what is not finite: nothing untrue is said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.errors import DtypeMismatch, InvalidArgument


def remedies(f, *args, **options):
    return [b.remedy for b in jaxbp.explain_nan(f, *args, **options).births if b.remedy]


def of_columns(x):
    z = (x - x.mean(0)[None]) / x.std(0)[None]
    return jnp.sum(z**3)


def ratio(x):
    return jnp.sum((jnp.exp(x) - jnp.exp(-x)) / (jnp.exp(x) + jnp.exp(-x)))


def power(x, p):
    return jnp.sum(x**p)


def root(x):
    return jnp.sum(jnp.sqrt(x))


def test_a_method_with_an_axis():
    x = jnp.array([[1.0, 2.0], [1.0, 5.0], [1.0, 3.0]])
    found = remedies(of_columns, x)
    assert any("jnp.var(x, 0)" in remedy.new for remedy in found)
    assert not any("var(0)" in remedy.new for remedy in found)


def test_no_guard_that_changes_nothing():
    report = jaxbp.explain_nan(ratio, jnp.array([1.0, 400.0], jnp.float32))
    assert report and not any("!= 0" in str(birth.remedy) for birth in report.births)


def test_no_guard_that_changes_a_right_value():
    report = jaxbp.explain_nan(power, jnp.array([-1.0, 2.0]), 2.0, argnums=1)
    assert report and all(birth.remedy is None for birth in report.births)


def test_outside_a_domain_it_is_said():
    (found,) = remedies(root, jnp.array([4.0, -1.0]))
    assert "outside its domain" in found.why
    (found,) = remedies(root, jnp.array([4.0, 0.0]))
    assert "where the slope is infinite" in found.why


def test_forward_mode_has_tangents():
    x = jnp.array([0.0, 1.0])
    (birth,) = jaxbp.explain_nan(root, x, tangents=(jnp.ones(2),)).births
    assert "tangent" in dict(birth.facts()) and "cotangent" not in dict(birth.facts())


@pytest.mark.parametrize("ask", [jaxbp.explain_nan, jaxbp.growth])
def test_integers_are_refused(ask):
    with pytest.raises(DtypeMismatch, match="requires real- or complex-valued"):
        ask(lambda x: jnp.sum(x) * 1.0, jnp.array([1, 0, 4]))


@jax.custom_vjp
def half_a_square(x):
    return x * x


half_a_square.defvjp(lambda x: (x * x, x), lambda x, g: (x * g,))


@jax.custom_vjp
def sine(x):
    return jnp.sin(x)


sine.defvjp(lambda x: (jnp.cos(x), x), lambda x, g: (jnp.cos(x) * g,))


def test_of_integers_rules_cannot_be_told():
    report = jaxbp.check_rules(half_a_square, jnp.array([1, 2]))
    assert report.verdict == "cannot tell" and not report


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rules_are_judged_where_all_is_finite(bad):
    (row,) = jaxbp.check_rules(half_a_square, jnp.array([0.3, bad])).failures
    assert row.what == "derivative" and row.index == (0,) and np.isfinite(row.says)
    report = jaxbp.check_rules(lambda x: sine(x) * 2, jnp.array([0.3, bad, 2.0]))
    assert report.failures[0].what == "value" and np.isfinite(report.failures[0].says)


def test_a_sparse_hessian_is_of_a_scalar():
    with pytest.raises(InvalidArgument, match="must return one scalar"):
        jaxbp.sparse.hessian(lambda x: x[1:] * x[:-1])(jnp.ones(5))


def test_a_checkpointed_function_refuses_what_it_was_not_told_of():
    def rnn(w, x):
        step = lambda h, _: (jnp.tanh(h @ w), None)  # noqa: E731
        return jnp.sum(jax.lax.scan(step, x, None, length=8)[0] ** 2)

    w, x = jnp.eye(16) / 2, jnp.ones((64, 16))
    f = jaxbp.checkpointed(rnn, "100kB")
    np.testing.assert_allclose(jaxbp.grad(f)(w, x), jax.grad(rnn)(w, x), rtol=1e-9)
    asked = [
        lambda: jaxbp.grad(f, 1)(w, x),
        lambda: jax.grad(f, (0, 1))(w, x),
        lambda: jaxbp.jvp(lambda x: f(w, x), (x,), (x,)),
        lambda: jax.grad(lambda w: jaxbp.checkpointed(lambda x: rnn(w, x), "1MB")(x))(
            w
        ),
    ]
    for ask in asked:
        with pytest.raises(InvalidArgument, match="none of these arguments"):
            ask()
