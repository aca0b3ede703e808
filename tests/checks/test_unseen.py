"""What rounding hides is not called agreement, and reports say what could be seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp import check
from jaxbp.checks import draws
from jaxbp.checks.eager import options_of
from tests.checks.test_missed import with_rule

P = jnp.array([0.3, -0.2, 0.8, 0.1], jnp.float32)


def test_a_dead_rule_in_a_network_of_few_digits():
    """All gradients are given as zero: nothing is seen beside which little hides."""
    draw = np.random.default_rng(0).normal
    half = lambda *shape: jnp.asarray(draw(size=shape), jnp.bfloat16)  # noqa: E731
    x, y, W, V = half(64, 8), half(64, 4), half(8, 16) / 3, half(16, 4) / 4
    dead = jax.custom_vjp(jnp.tanh)
    dead.defvjp(lambda x: (jnp.tanh(x), None), lambda _, g: (jnp.zeros_like(g),))

    def loss(W, act):
        return jnp.mean((act(x @ W) @ V - y) ** 2)

    for seed in range(3):
        report = check(lambda W: loss(W, dead), W, seed=seed)
        assert report.verdict == "differ"


@pytest.mark.parametrize("offset", [3e5, 1e6, 3e6, 1e9])
def test_a_stop_gradient_beside_a_large_constant(offset):
    stopped = lambda p: offset + jnp.sum(jnp.sin(lax.stop_gradient(p)))  # noqa: E731
    assert check(stopped, P).verdict == "differ"


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0, 3.0])
def test_a_factor_beside_a_large_constant(factor):
    scaled = with_rule(lambda p: jnp.sum(jnp.sin(p)), lambda g: (factor * g[0],))
    assert check(lambda p: 1e6 + scaled(p), P).verdict == "differ"


def test_how_much_the_differences_see_is_said():
    p64 = P.astype(jnp.float64)
    report = check(lambda p: 1.6e14 + jnp.sum(jnp.sin(p)), p64)
    assert report and 0.1 < report.precision["p"] < 0.5
    said = f"by `p` to {report.precision['p']:.0%} at best"
    assert any(said in note for note in report.notes)
    unseen = check(lambda p: 5e17 + jnp.sum(jnp.sin(p)), p64)
    assert "see nothing of the gradient by `p`" in unseen.notes[0]
    assert not check(lambda p: jnp.sum(jnp.sin(p)), P).notes


def test_zeros_that_are_told():
    """A dead unit beside live ones, what is not used, a stair, a loss that is met."""
    dead = lambda p: 1 + jnp.sum(jax.nn.relu(p - 0.4)) + jnp.sum(p[3:])  # noqa: E731
    unused = lambda p, q: 1e9 + jnp.sum(jnp.sin(q))  # noqa: E731
    for f, args in (
        (dead, (P,)),
        (unused, (P, P)),
        (lambda p: jnp.sum(jnp.round(10 * p + 0.2)), (P,)),
        (lambda p: jnp.sum(jax.nn.relu(p - 5)), (P,)),
    ):
        report = check(f, *args)
        assert report.verdict == "agree" and not report.findings, str(report)


def test_a_disagreement_in_doubt_is_called_one():
    """Not that the gradient was lost: it was seen, and disagrees by about its noise."""
    off = with_rule(lambda p: jnp.sum(jnp.sin(p)), lambda g: (1.5 * g[0],))
    report = check(lambda p: 1.1e14 + off(p), P.astype(jnp.float64))
    assert report.verdict == "cannot tell"
    assert any("may do as much" in note for note in report.notes)


def test_not_finite_is_a_verdict():
    report = check(lambda x: jnp.sum(jnp.log(-x)), jnp.ones(2))
    assert report.verdict == "not finite" and not report
    report = check(lambda x: jnp.sum(jnp.sqrt(x)), jnp.zeros(2))
    assert report.verdict == "not finite"
    assert report.headline.endswith("the gradient is not finite: x.")


def test_a_deep_residual_network_compiles_in_proportion():
    """XLA's fusion takes the sum of all blocks into each: it is left out."""

    @jax.grad
    def gradient(layers, h):
        for W in layers:
            h = h / 2 + jnp.tanh(h @ W)
        return jnp.sum(h)

    def length(depth):
        args = [jnp.eye(16) / k for k in range(2, depth + 2)], jnp.ones((8, 16))
        options = options_of(jax.make_jaxpr(gradient)(*args))
        return len(jax.jit(gradient).lower(*args).compile(options).as_text())

    was = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        assert length(120) < 2.5 * length(60)  # with fusion 3.5 times
    finally:
        jax.config.update("jax_disable_most_optimizations", was)


@pytest.mark.parametrize("act", [jax.nn.relu, jnp.abs])
def test_a_network_of_kinks_in_float32(act):
    """Every direction crosses kinks; along other directions they lie elsewhere."""
    draw = np.random.default_rng(1).normal
    single = lambda *shape: jnp.asarray(draw(size=shape), jnp.float32)  # noqa: E731
    layers = [(single(n, 64) / n**0.5, jnp.zeros(64)) for n in (32, 64)]
    x, y, V = single(64, 32), single(64, 10), single(64, 10) / 8

    def loss(layers):
        h = x
        for W, b in layers:
            h = act(h @ W + b.astype(h.dtype)[None])
        return jnp.mean((h @ V - y) ** 2)

    report = check(loss, layers)
    assert report.verdict == "agree", str(report)
    (W, b), *rest = layers
    one_off = lambda g: ([(g[0][0][0].at[3, 5].multiply(-1), g[0][0][1]), *g[0][1:]],)  # noqa: E731
    assert check(with_rule(loss, one_off), layers).verdict == "differ"


@pytest.mark.parametrize("name", ["log", "exp", "sqrt", "cos"])
def test_a_staircase_of_rounding_is_not_called_wrong(name):
    """Long steps that all are lost agree in nothing: they say little of f's noise."""
    f, scale = {
        "log": (lambda x: jnp.sum(jnp.log(1 + x * 1e-6)) * 1e6, 1.0),
        "exp": (lambda x: jnp.sum((jnp.exp(1e-6 * x) - 1) * 1e6), 1.0),
        "sqrt": (lambda x: jnp.sum(jnp.sqrt(1 + x * x) - 1) * 1e6, 1e-3),
        "cos": (lambda x: jnp.sum((1.0 - jnp.cos(1e-3 * x)) / 1e-6), 1.0),
    }[name]
    x = jnp.array([-0.15443718, 0.08470728, -0.13598049, -0.15503626, 1.2666674])
    report = check(f, (scale * x).astype(jnp.float32))
    assert report.verdict != "differ", str(report)


def test_a_report_without_rows_has_an_empty_table():
    report = jaxbp.check_rules(lambda x: jnp.sum(x**2), jnp.ones(2))
    assert not report.rows and not report.table().lines
    str(report.table())


@pytest.mark.parametrize("away", [1e-9, 1e-6])
def test_what_is_almost_singular_is_not_called_wrong(away):
    """At 1e-9 forward mode has no digit of -1, and f is flat at every visible step."""
    f = lambda a: jnp.sum(jnp.linalg.inv(a))  # noqa: E731
    report = check(f, jnp.array([[1.0, 1.0], [1.0, 1 + away]]))
    assert report.verdict in ("agree", "cannot tell") and not report.failures
    unclear = [note for note in report.notes if "the point given" in note]
    assert unclear and "not all can be told at the point given" in report.headline


def test_draws_by_rejection_are_named():
    """Their rule is no slope of their values."""
    drawn = lambda a: jax.random.gamma(jax.random.key(0), a)  # noqa: E731
    report = check(drawn, jnp.array(2.5), points=1)
    assert report.verdict == "cannot tell" and "rejection" in str(report)


def test_what_depends_on_no_draw_is_held_to_its_values(monkeypatch):
    monkeypatch.setattr(draws, "DRAWS", {"tan"})
    off = lambda g: (1.1 * g[0],)  # noqa: E731
    drawn, ruled = with_rule(jnp.tan, off), with_rule(jnp.sin, off)
    f, a, b = lambda a, b: drawn(a) + ruled(b), jnp.array(0.5), jnp.array(0.3)
    both = check(f, a, b, argnums=(0, 1))
    assert list(map(both.verdict_of, both.looked_at)) == ["cannot tell", "differ"]
    yours = check(drawn, a, grad=lambda a: 1.1 * jax.grad(drawn)(a))
    assert yours.verdict == "differ"


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("size", [1e3, 3e4, 1e5, 1e8, 1e10])
def test_a_small_element_beside_a_large_one(size, dtype):
    x = jnp.array([0.3, 0.5], dtype)
    c, off = jnp.array([1, size], dtype), jnp.array([1.1, 1], dtype)
    f = lambda x: jnp.sum(jnp.sin(x) * c)  # noqa: E731
    assert check(f, x, grad=lambda x: jnp.cos(x) * c)
    assert check(f, x, grad=lambda x: jnp.cos(x) * c * off).verdict == "differ"
    ruled = with_rule(lambda x: jnp.sum(jnp.sin(x) * c), lambda g: (g[0] * off,))
    assert check(ruled, x).verdict == "differ"


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_small_slope_among_many_large_ones(dtype):
    """Of 200 elements those that change f by about as much are looked at together."""
    sizes = np.full(200, 1e6)
    sizes[7:9] = 1.0
    c, off = jnp.asarray(sizes, dtype), jnp.ones(200, dtype).at[8].set(1.2)
    x = jnp.asarray(np.random.default_rng(0).uniform(0.2, 1, 200), dtype)
    f = lambda x: jnp.sum(jnp.sin(x) * c)  # noqa: E731
    assert check(with_rule(f, lambda g: g), x)
    report = check(with_rule(f, lambda g: (g[0] * off,)), x)
    assert report.verdict == "differ" and "[8]" in str(report)


def test_features_in_other_units():
    """Least squares by a feature of 1 beside one of 50,000."""
    draw = np.random.default_rng(0).uniform
    A = jnp.asarray(np.stack([draw(0, 1, 50), draw(3e4, 6e4, 50)], 1), jnp.float32)
    y = jnp.asarray(draw(size=50), jnp.float32)
    f = lambda w: jnp.mean((A @ w - y) ** 2)  # noqa: E731
    right = lambda w: 2 * A.T @ (A @ w - y) / 50  # noqa: E731
    w = jnp.array([0.5, 1e3], jnp.float32)
    assert check(f, w, grad=right)
    off = jnp.array([1.1, 1], jnp.float32)
    assert check(f, w, grad=lambda w: right(w) * off).verdict == "differ"


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_elements_of_all_sizes_in_one_leaf(dtype):
    """Moved by the size of the largest, the smallest would leap to its other end."""
    sizes = jnp.array([1e-8, 1e-4, 1, 1e4, 1e8], dtype)
    x = sizes * jnp.asarray(0.3, dtype)
    report = check(lambda x: jnp.sum(jnp.tanh(x / sizes)), x)
    assert report and not any("discontinuous" in note for note in report.notes)
    f = with_rule(lambda x: jnp.sum(jnp.tanh(x / sizes)), lambda g: (1.1 * g[0],))
    assert check(f, x).verdict == "differ"


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.03])
def test_a_value_that_cancels_is_one_program_s_rounding(shift):
    """Exactly 0 as f alone, 1e-6 as the value beside a gradient."""
    f = lambda x: jax.nn.logsumexp(jnp.stack([x @ x / t, x[0] / t])) - x @ x / t  # noqa: E731
    t = jnp.float32(0.02)
    assert check(f, jnp.array([1.6, 0.7, -0.4, -0.9], jnp.float32) + jnp.float32(shift))


def test_reciprocals_of_all_sizes():
    x = jnp.array([1e-30, 1, 1e30], jnp.float32)
    assert check(lambda x: jnp.sum(jnp.log(x)), x, grad=lambda x: 1 / x)


def test_constants_computed_before_were_rounded_then():
    """Normal equations at the optimum: X'X in float32 is off by as much as cancels; a
    wrong gradient away from there is still found, and so is one of f's own X alone."""
    X = jax.random.normal(jax.random.key(0), (200, 5)) * jnp.arange(1.0, 6.0)[None]
    X = X.astype(jnp.float32)
    y = X @ jnp.arange(5, dtype=jnp.float32)
    y += jax.random.normal(jax.random.key(1), (200,), jnp.float32)
    exact = np.linalg.lstsq(np.float64(X), np.float64(y), rcond=None)[0]
    w, XX, Xy = jnp.asarray(exact, jnp.float32), X.T @ X, X.T @ y
    loss = lambda w: jnp.sum((X @ w - y) ** 2)  # noqa: E731
    normal = jax.jit(lambda w: 2 * (XX @ w - Xy))
    assert check(loss, w, grad=normal).verdict == "agree"
    wrong = jax.jit(lambda w: 2 * (XX @ w - 1.001 * Xy))
    assert check(loss, w, grad=wrong).verdict == "differ"
    scale = jnp.array([1, 1, 1, 1.1, 1], jnp.float32)
    own = lambda w: 2 * X.T @ (X @ w - y) * scale  # noqa: E731
    assert check(loss, w + 1e-3, grad=own).verdict == "differ"
