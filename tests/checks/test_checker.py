"""A function checked at many points is compiled once, and anew where it must be."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.errors import InvalidArgument


class Counted:
    """A function that counts how often it is traced or run."""

    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, *args):
        self.calls += 1
        return self.f(*args)


def test_other_points_trace_nothing():
    f = Counted(lambda x, n: jnp.sum(jnp.sin(x)) * n)
    again = jaxbp.Checker(f)
    x = jnp.array([0.3, 2.0])
    assert again(x, 2)
    before = f.calls
    assert all(again(x + k, 2, seed=k) for k in range(3))
    assert f.calls == before
    assert again(x, 3) and f.calls > before  # 3 is another function of x


def test_a_point_is_judged_for_itself():
    """The derivative of |x - 1| x is JAX's but for the point where it has none."""
    again = jaxbp.Checker(lambda x: jnp.sum(x**3))
    x = jnp.array([0.3, 2.0])
    assert again(x, grad=lambda x: 3 * x**2)
    wrong = again(2 * x, grad=lambda x: jnp.where(x > 3, 2.9, 3.0) * x**2)
    assert wrong.verdict == "differ" and wrong.findings[0].element == "x[1]"
    assert again(2 * x) and again(2 * x).rows[0].judged == "engine reverse"


def test_other_types_compile_anew():
    again = jaxbp.Checker(lambda x: jnp.sum(jnp.sin(x)))
    for x in (jnp.ones(2), jnp.ones(3), jnp.ones(2, jnp.float32), 1.5):
        report = again(x)
        assert report and report.leaves[0][1] in str(report)


def test_says_what_check_says():
    f = lambda p, data: jnp.mean((data @ p["w"] - 1.0) ** 2)  # noqa: E731
    p, data = {"w": jnp.array([0.5, -1.0])}, jnp.arange(6.0).reshape(3, 2)
    again = jaxbp.Checker(f, argnums=0)
    again({"w": jnp.ones(2)}, data)
    for options in ({}, {"points": 1, "probes": 1}, {"order": 2}, {"rtol": 1e-9}):
        found = again(p, data, **options)
        assert str(found) == str(jaxbp.check(f, p, data, argnums=0, **options))


def test_second_order_at_other_points():
    again = jaxbp.Checker(lambda x: jnp.sum(jnp.exp(x)))
    names = [leaf[0] for leaf in again(jnp.zeros(2), order=2).leaves]
    assert names == ["x", "x, order 2"] and again(jnp.ones(2), order=2)


def test_refuses_what_check_refuses():
    again = jaxbp.Checker(jnp.sum)
    with pytest.raises(InvalidArgument, match="at least one floating-point leaf"):
        again(np.arange(3))
    with pytest.raises(InvalidArgument, match="`points`"):
        again(jnp.ones(2), points=0)
