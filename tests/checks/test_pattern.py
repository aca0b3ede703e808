"""What a finding says of a wrong gradient holds of all of it, or says of what."""

import jax
import jax.numpy as jnp
import pytest

from jaxbp import check

X = ((1.5, 2, 3), (1e7, 2e7, 3e7))  # the gradient of the cubes: 7 to 3e15


@pytest.mark.parametrize(
    ("factors", "said", "never"),
    [((5, 2), "2 times the right one", None), ((5, 1), "", "times the right one"),
     ((0, -1), "sign turned", None), ((-1, 1), "", "sign turned")],
)  # fmt: skip
def test_elements_below_the_noise_of_the_largest(factors, said, never):
    x, by_row = jnp.array(X, jnp.float32), jnp.array(factors, jnp.float32)[:, None]
    grad = lambda x: 3 * x**2 * by_row  # noqa: E731
    report = check(lambda x: jnp.sum(x**3), x, grad=grad, points=1)
    assert report.verdict == "differ"
    words = " ".join(found.pattern for found in report.findings)
    assert said in words and (never is None or never not in words)
    assert not said or "elements that rounding lets tell" in words


def test_a_side_is_named_only_where_the_other_is_known_to_be_right():
    f, x = lambda x: 2 * jnp.sum(x**3), jnp.array([1.5, -2.25e7, 3.0], jnp.float32)
    (found,) = check(f, x, grad=lambda x: 4 * x, points=1).findings
    assert not found.pattern
    one_sided = lambda x: jnp.where(x < 0, 12, 6) * x**2  # noqa: E731
    near = jnp.array([1.5, -2.25, 3.0, -1.0], jnp.float32)
    (found,) = check(f, near, grad=one_sided, points=1).findings
    assert "only where the argument is < 0" in found.pattern


def test_an_index_beyond_the_end_is_no_wrong_rule():
    rows = jnp.array([0, 7])
    report = check(lambda table: jnp.sum(table[rows] ** 2), jnp.arange(1.0, 5.0))
    assert report.verdict == "differ"
    assert "an index outside of its array" in report.findings[0].sentence


def test_of_whom_it_is_said_where_yours_is_right():
    f = lambda x: jnp.sum(x * jax.lax.stop_gradient(x))  # noqa: E731
    report = check(f, jnp.array([1.0, -2.0, 3.0]), grad=lambda x: 2 * x)
    assert "What they say is 0.5 times the right one." in str(report)
    assert "It is" not in str(report)
