"""Planted bugs are caught, and the leaf, the element and the culprit are named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.checks import Witness, compare
from jaxbp.errors import InvalidArgument, ShapeMismatch, StructureMismatch

JAX = Witness("jax", jax.jvp, jax.vjp, (TypeError,))
SIZE, BATCH = 4, 6


def loss(params, x, y):
    """Mean over the batch of half the squared error of a tanh layer, W (4, 4)."""
    error = jnp.tanh(x @ params["W"] + params["b"][None]) - y
    return 0.5 * jnp.mean(jnp.sum(error**2, axis=1))


def arguments(dtype):
    rng = np.random.default_rng(3)
    params = {"W": rng.normal(size=(SIZE, SIZE)), "b": rng.normal(size=SIZE)}
    x, y = rng.normal(size=(2, BATCH, SIZE))
    return jax.tree.map(lambda a: jnp.asarray(a, dtype), (params, x, y))


def by_hand(params, x, y, bug=""):
    """The gradient of `loss` by hand, with one of the usual mistakes in it."""
    output = jnp.tanh(x @ params["W"] + params["b"][None])
    delta = (output - y) * (1 if bug == "slope" else 1 - output**2)
    delta = delta if bug == "mean" else delta / BATCH
    w_bar, b_bar = x.T @ delta, delta.sum(axis=0)
    if bug == "transposed":
        w_bar = w_bar.T
    elif bug == "sign":
        w_bar = -w_bar
    elif bug == "factor":
        b_bar = 2 * b_bar
    elif bug == "zero":
        b_bar = 0 * b_bar
    elif bug == "element":
        w_bar = w_bar.at[2, 1].add(jnp.asarray(0.1, w_bar.dtype))
    elif bug == "rolled":
        b_bar = jnp.roll(b_bar, 1)
    elif bug == "nan":
        w_bar = w_bar.at[1, 3].set(jnp.nan)
    return {"W": w_bar, "b": b_bar}


BUGS = {
    "transposed": {"params['W']"},
    "sign": {"params['W']"},
    "factor": {"params['b']"},
    "zero": {"params['b']"},
    "element": {"params['W']"},
    "rolled": {"params['b']"},
    "nan": {"params['W']"},
    "mean": {"params['W']", "params['b']"},
    "slope": {"params['W']", "params['b']"},
}


def failed_leaves(report):
    return {row.leaf for row in report.failures}


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("bug", BUGS)
class TestHandWrittenGradient:
    """The user's own gradient is the fifth witness."""

    def test_is_caught_with_the_leaf_named(self, bug, dtype):
        grad = lambda *args: by_hand(*args, bug=bug)  # noqa: E731
        report = compare(loss, arguments(dtype), (JAX,), grad=grad, argnums=0, points=2)
        assert failed_leaves(report) == BUGS[bug] == {f.leaf for f in report.findings}
        assert report.judged == "yours"
        said = [f.sentence for f in report.findings]
        assert all("against yours" in s or "in yours" in s for s in said), said

    def test_is_caught_by_differences_alone(self, bug, dtype):
        """With no other gradient at hand, as for a numpy function."""
        grad = lambda *args: by_hand(*args, bug=bug)  # noqa: E731
        report = compare(loss, arguments(dtype), (), grad=grad, argnums=0, points=1)
        assert failed_leaves(report) == BUGS[bug]


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32, jnp.bfloat16])
def test_the_right_gradient_by_hand_passes(dtype):
    report = compare(loss, arguments(dtype), (JAX,), grad=by_hand, argnums=0)
    assert report, str(report)


def test_the_wrong_element_is_named():
    grad = lambda *args: by_hand(*args, bug="element")  # noqa: E731
    report = compare(loss, arguments(jnp.float64), (JAX,), grad=grad, argnums=0)
    assert report.findings[0].element == "params['W'][2, 1]"
    values = report.findings[0].values
    assert values["yours"] - values["differences"] == pytest.approx(0.1)
    assert values["jax reverse"] == pytest.approx(values["differences"])
    assert "params['W'][2, 1]" in str(report)


def test_nan_in_one_witness_only_is_named():
    grad = lambda *args: by_hand(*args, bug="nan")  # noqa: E731
    report = compare(loss, arguments(jnp.float64), (JAX,), grad=grad, argnums=0)
    finding = report.findings[0]
    assert finding.element == "params['W'][1, 3]"
    assert finding.sentence == "Not finite in yours alone."


COUNT, WRONG = 100_000, 7_777


def sines_with_rule(cosine):
    """sum of sin with a custom_vjp rule that uses `cosine`."""

    @jax.custom_vjp
    def sines(x):
        return jnp.sum(jnp.sin(x))

    sines.defvjp(
        lambda x: (jnp.sum(jnp.sin(x)), x), lambda x, y_bar: (y_bar * cosine(x),)
    )
    return sines


def one_wrong(x):
    return jnp.cos(x).at[WRONG].add(jnp.asarray(1, x.dtype))


@pytest.mark.parametrize(
    ("dtype", "count"), [(jnp.float64, COUNT // 4), (jnp.float32, COUNT // 10)]
)
def test_one_element_of_very_many_in_a_rule(dtype, count):
    """Every exact witness believes the rule; only the numbers tell, by halving."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=count), dtype)
    assert compare(sines_with_rule(jnp.cos), (x,), (JAX,), points=1)
    report = compare(sines_with_rule(one_wrong), (x,), (JAX,), points=1)
    assert not report and report.failures[0].witness == "differences"
    if dtype == jnp.float64:  # float32 sums of 1e4 terms hide which of a few it is
        assert report.findings[0].element == f"x[{WRONG}]"
        assert "custom_vjp" in report.findings[0].sentence


def test_one_element_of_a_hundred_thousand_by_hand():
    x = jnp.asarray(np.random.default_rng(0).normal(size=COUNT))
    f = lambda x: jnp.sum(jnp.sin(x))  # noqa: E731
    report = compare(f, (x,), (JAX,), grad=one_wrong, points=1)
    assert report.findings[0].element == f"x[{WRONG}]"


def slope_and_intercept(p):
    """At times of 1e5 the gradient of the slope is 1e5 times that of the intercept."""
    t = jnp.linspace(1e5, 1e5 + 99, 100, dtype=jnp.float32)
    return jnp.mean((p[0] * t + p[1] - (0.5 * t + jnp.sin(t))) ** 2)


def squares(x):
    return jnp.sum(x**2)


@pytest.mark.parametrize(
    ("f", "x", "element", "factor"),
    [
        (slope_and_intercept, [0.6, 3.0], 1, 0.0),
        (squares, [1e6, 1.0, 1e-3], 2, -1.0),
        (squares, [1e5, 1.0, 1.0], 2, 0.0),
    ],
)
def test_a_small_element_beside_a_large_one(f, x, element, factor):
    """What the leaf's largest entry is rounded by is no excuse for it."""
    x = jnp.array(x, jnp.float32)
    assert compare(f, (x,), [JAX], grad=jax.grad(f)).verdict == "agree"
    wrong = compare(
        f, (x,), [JAX], grad=lambda x: jax.grad(f)(x).at[element].multiply(factor)
    )
    assert wrong.verdict == "differ"
    assert {row.index for row in wrong.failures} == {(element,)}


def wrong_custom_jvp():
    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(
        lambda primals, tangents: (primals[0] ** 3, primals[0] ** 2 * tangents[0])
    )
    return cube


RULES = {
    "custom_vjp": lambda x: sines_with_rule(lambda x: 2 * jnp.cos(x))(x),
    "custom_jvp": lambda x: wrong_custom_jvp()(x),
    "stop_gradient": lambda x: x * jax.lax.stop_gradient(x),
    "rounding": lambda x: jnp.round(x * 1e9) / 1e9,
}


@pytest.mark.parametrize("name", RULES)
def test_what_every_exact_witness_believes_is_caught_by_the_differences(name):
    f = RULES[name]
    report = compare(lambda p: f(p["a"]), ({"a": jnp.array([0.7, 1.3])},), (JAX,))
    assert failed_leaves(report) == {"p['a']"}
    assert {row.witness for row in report.failures} == {"differences"}
    assert "say otherwise" in report.findings[0].sentence


def test_a_stop_gradient_forgotten_by_hand():
    f = lambda x: jnp.sum(x * jax.lax.stop_gradient(x))  # noqa: E731
    report = compare(f, (jnp.ones(3),), (JAX,), grad=lambda x: 2 * x)
    assert "jax reverse" in {row.witness for row in report.failures}


def test_wrong_at_displaced_points_only():
    """3x equals the slope 3x^2 of x^3 at the ones given, and nowhere near."""
    report = compare(
        lambda x: jnp.sum(x**3), (jnp.ones(4),), (JAX,), grad=lambda x: 3 * x
    )
    assert not report and min(row.point for row in report.failures) == 1
    assert "displaced point 1" in str(report)


def test_two_modes_that_are_not_transposes():
    """The adjoint identity sees a wrong pullback without any reference."""

    def vjp(f, *xs):
        y, pull = jax.vjp(f, *xs)
        return y, lambda y_bar: tuple(-x_bar for x_bar in pull(y_bar))

    wrong = Witness("wrong", jax.jvp, vjp)
    report = compare(jnp.sin, (jnp.ones(3),), (wrong,), differences=False)
    assert any(row.witness == "wrong adjoint" for row in report.failures)
    assert "NOT transposes" in str(report)


def test_a_wrong_pushforward_is_caught_and_named():
    wrong = Witness("wrong", lambda f, x, d: (jax.jvp(f, x, d)[0], [2 * d[0]]), jax.vjp)
    report = compare(jnp.sin, (jnp.ones(3),), (wrong, JAX))
    assert "against wrong forward" in report.findings[0].sentence


def test_the_value_of_a_value_and_grad_is_compared():
    f = lambda x: jnp.sum(x**2)  # noqa: E731
    right = compare(f, (jnp.ones(2),), (JAX,), value_and_grad=jax.value_and_grad(f))
    assert right
    wrong = lambda x: (f(x) + 1, 2 * x)  # noqa: E731
    report = compare(f, (jnp.ones(2),), (JAX,), value_and_grad=wrong)
    assert failed_leaves(report) == {"value"}


def test_kinked_but_outside_both_slopes():
    relu = lambda x: jnp.sum(jnp.maximum(x, 0.0))  # noqa: E731
    report = compare(relu, (jnp.zeros(2),), (JAX,), grad=lambda x: 2 + 0 * x)
    assert "one-sided slopes are 0 and 1" in report.findings[0].sentence


@pytest.mark.parametrize(
    ("f", "x", "element"),
    [
        (jnp.log, jnp.array([1.0, -1.0]), "output[1] is nan"),
        (
            lambda x: {"a": x, "b": 1 / x},
            jnp.array([1.0, 0.0]),
            "output['b'][1] is inf",
        ),
    ],
)
def test_a_value_that_is_not_finite_is_named(f, x, element):
    report = compare(f, (x,), (JAX,))
    assert not report and element in str(report) and report.points == 0
    assert "The arguments are finite" in report.notes[0]


def test_arguments_that_are_not_finite_are_named():
    point = {"w": jnp.ones(2), "b": jnp.array([0.0, jnp.nan])}
    report = compare(lambda p: jnp.sum(p["w"] * p["b"]), (point,), (JAX,))
    assert not report and "already: `p['b']`" in report.notes[0]


@pytest.mark.parametrize(
    ("f", "sentence"),
    [
        (lambda x: jnp.sum(jnp.sqrt(x)), "Not finite in any witness"),
        (lambda x: jnp.sqrt(jnp.sum(x**2)), "No derivative rule is finite"),
    ],
)
def test_a_gradient_that_is_not_finite_is_named(f, sentence):
    report = compare(f, (jnp.zeros(3),), (JAX,))
    assert not report and report.findings[0].sentence.startswith(sentence)
    assert report.findings[0].element == "x[0]"


def test_wrong_input_is_refused_in_words():
    x, f = jnp.ones(3), lambda x: jnp.sum(x**2)
    with pytest.raises(InvalidArgument, match="no leaf|at least one floating-point"):
        compare(f, (jnp.arange(3),), (JAX,))
    with pytest.raises(InvalidArgument, match="` must return at least one floating"):
        compare(lambda x: jnp.argmax(x), (x,), (JAX,))
    with pytest.raises(InvalidArgument, match="`argnums` must name one of the 1"):
        compare(f, (x,), (JAX,), argnums=3)
    with pytest.raises(InvalidArgument, match="gradient of a real scalar"):
        compare(jnp.sin, (x,), (JAX,), grad=jnp.cos)
    with pytest.raises(InvalidArgument, match="not both"):
        compare(f, (x,), (JAX,), grad=f, value_and_grad=f)
    with pytest.raises(InvalidArgument, match="`grad` must be a function.* is 3"):
        compare(f, (x,), (JAX,), grad=3)
    with pytest.raises(ShapeMismatch, match=r"`x` must have its shape \(3,\)"):
        compare(f, (x,), (JAX,), grad=lambda x: jnp.ones(4))
    with pytest.raises(StructureMismatch, match=r"gradient\['x'\]` has no counterpart"):
        compare(f, (x,), (JAX,), grad=lambda x: {"x": 2 * x})
    with pytest.raises(InvalidArgument, match="x is traced"):
        jax.jit(lambda x: compare(f, (x,), (JAX,)))(x)
    with pytest.raises(InvalidArgument, match="no witness could differentiate"):
        numpy_sum = lambda x: jnp.asarray(np.sum(np.asarray(x)))  # noqa: E731
        compare(numpy_sum, (x,), (JAX,))
