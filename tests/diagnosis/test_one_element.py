"""What is told of a birth is of one element, and of other elements it is said so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp


def facts(f, *args):
    (birth,) = jaxbp.explain_nan(f, *args).births
    return dict(birth.facts()), birth


@pytest.mark.parametrize(
    ("f", "x", "here"),
    [
        (lambda x: jnp.sum(jnp.sqrt(1 - x * x)), [1.0, 2.0], "pole"),
        (lambda x: jnp.sum(x**0.5), [0.0, -1.0], "pole"),
        (lambda x: jnp.sum(jnp.arccos(x)), [1.0, 2.0], "pole"),
        (
            lambda x: jnp.sum(jnp.where(jnp.abs(x) < 1, jnp.sqrt(1 - x * x), 0.0)),
            [0.5, 1.0, 2.0],
            "0 x inf",
        ),
    ],
)
def test_a_pole_and_what_is_outside_the_domain(f, x, here):
    """Both in one operation: the operands told are those of the first."""
    told, birth = facts(f, jnp.array(x))
    assert told["what happened"] == here
    assert told["at other elements"] == "outside the domain"
    assert birth.remedy and np.isinf(birth.slope)


def test_products_of_matrices_have_no_operands_of_an_element():
    """w and x @ w are of one shape, and their elements have nothing to do with one
    another."""
    x = jnp.array([[1.0, 2.0], [jnp.nan, 3.0]])

    def f(w):
        y = x @ w
        return jnp.sum(jnp.where(jnp.isnan(y), 0.0, y))

    told, _ = facts(f, jnp.ones(2))
    assert told["that value"] == "nan at (1, 0) of shape (2, 2), in operand 0"
    assert not {"operands", "value", "cotangent", "slope"} & told.keys()


def test_the_operand_that_is_nan_is_told():
    y = jnp.array([1.0, jnp.nan])
    told, _ = facts(lambda w: jnp.nanmean(w * y), 2.0)
    assert told["that value"] == "nan at (1,) of shape (2,), in operand 1"


@pytest.mark.parametrize("x", [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_what_a_solver_does_within_is_no_cotangent(x):
    told, _ = facts(lambda x: jnp.linalg.inv(x).sum(), jnp.array(x))
    assert told["what happened"] == "a singular matrix"
    assert not {"cotangent", "value", "slope"} & told.keys()


@pytest.mark.parametrize("over", [jnp.nanmean, jnp.nansum])
@pytest.mark.parametrize(
    "text", ["(w - y) ** 2", "1 / (w + y)", "jnp.log(w + y)", "jnp.sqrt(w + y)"]
)
def test_data_that_are_nan_are_left_out(over, text, tmp_path, monkeypatch):
    """The remedy, word by word, gives the gradient of what is left."""
    y = jnp.array([1.0, jnp.nan, 3.0])
    (tmp_path / "of_data.py").write_text(
        f"import jax.numpy as jnp\ndef f(over, w, y):\n    return over({text})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "of_data", raising=False)
    f = __import__("of_data").f
    _, birth = facts(lambda w: f(over, w, y), 2.0)
    assert birth.remedy.old in text
    new = text.replace(birth.remedy.old, birth.remedy.new)
    mended = lambda w, y: over(eval(new, {"jnp": jnp, "w": w, "y": y}))  # noqa: E731
    expected = jax.grad(lambda w: over(eval(text, {"jnp": jnp, "w": w, "y": y[::2]})))
    np.testing.assert_allclose(mended(2.0, y), over(f(lambda a: a, 2.0, y)))
    np.testing.assert_allclose(jax.grad(mended)(2.0, y), expected(2.0), rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.complex64])
def test_the_operand_is_told_in_any_type(dtype):
    x = jnp.array([[1, 2], [jnp.nan, 3]], dtype)

    def f(w):
        y = jnp.real(x @ w)
        return jnp.sum(jnp.where(jnp.isnan(y), jnp.zeros_like(y), y))

    told, _ = facts(f, jnp.ones(2, dtype))
    assert told["that value"].startswith("nan")
    assert told["that value"].endswith(" at (1, 0) of shape (2, 2), in operand 0")
