"""Right gradients pass, in every precision, whatever the function looks like.

JAX stands in for both systems: these are tests of the comparison, not of an engine.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.checks import Witness, compare

FIRST = Witness("first", jax.jvp, jax.vjp, (TypeError,))
SECOND = Witness("second", jax.jvp, jax.vjp, (TypeError,))


def run(f, *args, **settings):
    return compare(f, args, (FIRST, SECOND), **settings)


def normal(dtype, *shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def mlp_loss(params, x, labels):
    """Cross-entropy of a tanh network; params {'W': (4, 3), 'b': (3,)}, x (8, 4)."""
    logits = jnp.tanh(x @ params["W"] + params["b"][None])
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    return -jnp.mean(picked)


def relu_loss(params, x):
    """Three relu layers with zero biases: kinks at the point and all around it."""
    for w, b in params:
        x = jax.nn.relu(x @ w + b[None])
    return jnp.mean(x**2)


def mlp_arguments(dtype):
    params = {"W": normal(dtype, 4, 3), "b": jnp.zeros(3, dtype)}
    return params, normal(dtype, 8, 4, seed=1), jnp.arange(8) % 3


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32, jnp.bfloat16, jnp.float16])
class TestEveryPrecision:
    def test_mlp(self, dtype):
        report = run(mlp_loss, *mlp_arguments(dtype))
        assert report.points == 3 and not report.findings
        if jnp.finfo(dtype).bits > 16:
            assert report and not report.notes, str(report)
        else:  # the loss in bfloat16 has two digits, of which the biases change none
            assert report, str(report)
            assert "params['b']" in report.widened or dtype == jnp.float16

    def test_relu_network(self, dtype):
        half = jnp.asarray(0.5, dtype)
        params = [
            (normal(dtype, 8, 8, seed=i) * half, jnp.zeros(8, dtype)) for i in range(2)
        ]
        report = run(relu_loss, params, normal(dtype, 16, 8, seed=9), points=2)
        assert report, str(report)

    def test_small_gradients(self, dtype):
        tiny = jnp.asarray(1e-4, dtype)
        report = run(lambda x: jnp.sum(tiny * jnp.sin(x)), normal(dtype, 5))
        assert report, str(report)


FUNCTIONS = {
    "scalar": (lambda x: x**3, 2.0),
    "pytree out": (lambda x: {"a": jnp.exp(x), "b": jnp.outer(x, x), "n": 3}, "x5"),
    "relu at 0": (lambda x: jax.nn.relu(x).sum(), "zeros"),
    "abs at 0": (lambda x: jnp.abs(x).sum(), "zeros"),
    "maximum of equals": (lambda x: jnp.max(x), "zeros"),
    "domain edge": (lambda x: jnp.log(x).sum(), jnp.array([1e-3, 1.0, 100.0])),
    "python control flow": (lambda x: x if x.sum() > 0 else -2.5 * x, "x5"),
    "constant": (lambda x: jnp.sum(0 * x) + 1.0, "x5"),
    "cholesky": (lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(3)), "x3x3"),
    "while loop": (lambda x: jax.lax.fori_loop(0, 3, lambda i, v: jnp.sin(v), x), "x5"),
    "masked": (lambda x: jax.nn.softmax(x)[:2], jnp.array([1.0, 2.0, -jnp.inf])),
    "empty leaf": (lambda x: sum(v.sum() for v in x), [jnp.zeros((0, 2)), jnp.ones(2)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_every_kind(name):
    f, x = FUNCTIONS[name]
    named = {"x5": (5,), "x3x3": (3, 3)}
    if isinstance(x, str):
        x = jnp.zeros(4) if x == "zeros" else normal(jnp.float64, *named[x])
    report = run(f, x)
    assert report, str(report)


def test_complex_in_and_out():
    z = jax.lax.complex(normal(jnp.float64, 3), normal(jnp.float64, 3, seed=1))
    report = run(lambda z: (jnp.sum(jnp.abs(jnp.exp(z)) ** 2), jnp.fft.fft(z)), z)
    assert report, str(report)


def test_a_kink_is_told_apart_and_any_subgradient_accepted():
    relu = lambda x: jnp.sum(jnp.maximum(x, 0.0))  # noqa: E731
    for slope_at_0 in (0.0, 0.3, 1.0):
        grad = lambda x: jnp.where(x > 0, 1.0, jnp.where(x < 0, 0.0, slope_at_0))  # noqa: B023, E731
        report = run(relu, jnp.array([0.0, 2.0, -1.0]), grad=grad)
        assert report, str(report)
        assert "agree, at a kink" in str(report)


def test_leaves_without_derivative_are_named_with_their_kind():
    f = lambda key, n, flag, x: x * jax.random.normal(key, (3,)) * n  # noqa: E731
    report = run(f, jax.random.key(0), jnp.array([2.0]), True, jnp.ones(3))
    obstacles = {name: obstacle for name, _, obstacle in report.leaves}
    assert obstacles["key"].startswith("key<") and obstacles["flag"] == "bool"
    assert obstacles["x"] == "" and report
    assert str(report).count("no derivative") == 2


def test_argnums_kwargs_and_aux():
    f = lambda a, b, *, scale: (jnp.sum(a * b) * scale, {"aux": a})  # noqa: E731
    settings = {"kwargs": {"scale": 2.0}, "has_aux": True}
    report = run(f, jnp.ones(2), jnp.ones(2), argnums=(1,), **settings)
    assert report and [name for name, _, _ in report.leaves] == ["b"]
    report = run(f, jnp.ones(2), jnp.ones(2), **settings)
    assert report and [name for name, _, _ in report.leaves] == ["a", "b"]


def test_refusals_are_noted_and_do_not_fail():
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, y_bar: (y_bar * jnp.cos(x),))
    report = run(sine, jnp.ones(3))
    assert report
    assert [note.split(" were left out. TypeError")[0] for note in report.notes] == [
        "first forward, second forward"
    ]
    assert report.notes[0].endswith(".")


def test_differences_can_be_left_out_where_the_derivative_is_meant_to_differ():
    straight_through = lambda x: jnp.sum(x + jax.lax.stop_gradient(jnp.round(x) - x))  # noqa: E731
    x = jnp.array([0.3, 1.7])
    assert not run(straight_through, x)
    assert run(straight_through, x, differences=False)


def test_the_same_seed_gives_the_same_numbers():
    x = normal(jnp.float64, 40)
    rows = [run(lambda x: jnp.sin(x).sum(), x, probes=8).as_dicts() for _ in range(2)]
    assert rows[0] == rows[1]


def test_kinks_far_from_most_elements_are_no_noise():
    """The median of an offset vector: by all elements but one it moves only where long
    steps jump, and that is not what the values are rounded by."""
    x = 1e6 + jnp.array([1.63, 1.33, 1.51])
    report = run(lambda x: jnp.median(x - 1e6), x)
    assert report, str(report)
    staircase = run(lambda x: jnp.sum((x + 1e9) - 1e9), jnp.array([0.3, 0.7]))
    assert staircase.verdict != "differ", str(staircase)


def test_the_value_of_a_loss_trained_to_nothing_is_its_rounding():
    """Two programs for it differ by as much as it is; a wrong value is another one."""
    target = jnp.asarray(np.random.default_rng(0).normal(size=6))
    f = lambda w: jnp.mean((jnp.sqrt(w * w) * jnp.sign(w) / 3 * 3 - target) ** 2)  # noqa: E731
    slightly = jax.jit(lambda w: jnp.mean((w - target * (1 + 2e-16)) ** 2))
    given = lambda w: (slightly(w), jax.grad(f)(w))  # noqa: E731
    assert run(f, target, value_and_grad=given).verdict != "differ"
    off = lambda w: (f(w) + 1e-20, jax.grad(f)(w))  # noqa: E731
    assert run(f, target, value_and_grad=off).verdict == "differ"


def test_a_saturated_unit_at_an_offset_is_rounded_as_its_slope_nearby():
    """tanh stays at 1 - 2 eps, whose 1 - tanh^2 is no slope that its values show."""
    f = lambda x: jnp.tanh(x - 1000)  # noqa: E731
    for x in (1007.0, 1008.05, 1010.0):
        report = run(f, jnp.float32(x))
        assert report.verdict != "differ", str(report)


@pytest.mark.parametrize("scale, samples", [(30, 16), (100, 32)])
def test_a_classifier_trained_to_nothing_is_rounded_as_its_logits(scale, samples):
    """Short steps move few of the samples' logits past the next number, and none of
    the probabilities almost 1: neither they nor shaken arguments show the rounding."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 4)).astype(np.float32)
    w = (scale * rng.normal(size=(4, 3))).astype(np.float32)
    labels = np.argmax(x @ w, axis=1)

    def loss(w):
        picked = jax.nn.log_softmax(x @ w)[np.arange(samples), labels]
        return -jnp.mean(picked)

    assert run(loss, jnp.asarray(w), points=2).verdict != "differ"


EXTREMES = {
    "grows by e^125 in the longest step": (lambda x: jnp.exp(500 * x), 1.0),
    "underflows beside the point": (jax.scipy.stats.norm.cdf, -30.0),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_agree(name):
    f, x = EXTREMES[name]
    report = run(f, x)
    assert report.verdict == "agree", report


def test_a_unit_at_its_kink_agrees():
    """Long steps see the slope beyond other kinks; those that see the unit's own find
    the gradient on one side of it."""
    x = np.float32(1.2)
    kinks = jnp.asarray(x + np.array([2e-5, 3e-4, -2e-3, 0.02, -0.04]), jnp.float32)
    a = jnp.asarray([0.06, 0.01, -0.01, 0.02, 0.01], jnp.float32)
    f = lambda x: 0.3 + jnp.sum(a * jax.nn.relu(x - kinks))  # noqa: E731
    assert run(f, x, points=1).verdict != "differ"


def test_many_kinks_on_the_way_do_not_outweigh_the_shortest_steps():
    """Each shorter step leaves some kinks behind; all of them lean to the gradient."""
    rng = np.random.default_rng(5)
    x = np.float32(1.2)
    kinks = jnp.asarray(x + 0.01 * rng.normal(size=400), jnp.float32)
    a = jnp.asarray(1e-3 * rng.normal(size=400), jnp.float32)
    f = lambda x: 0.3 + jnp.sum(a * jax.nn.relu(x - kinks))  # noqa: E731
    assert run(f, x, points=1).verdict != "differ"
