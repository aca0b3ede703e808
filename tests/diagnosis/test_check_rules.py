"""check_rules: planted errors are found and named, and right rules are left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_batching import custom_vmap

from jaxbp.diagnosis import check_rules
from jaxbp.errors import InvalidArgument

DTYPES = ("float32", "float64")


def with_rule(body, forward, backward, name="own"):
    """`body` as a custom_vjp function with this rule."""
    body.__name__ = name
    made = jax.custom_vjp(body)
    made.defvjp(forward, backward)
    return made


def gated(x, w):
    return jnp.tanh(x @ w) * x


def gated_forward(x, w):
    y = jnp.tanh(x @ w)
    return y * x, (x, w, y)


def gated_backward(residuals, bar):
    x, w, y = residuals
    inner = bar * x * (1 - y**2)
    return inner @ w.T + bar * y, x.T @ inner


def mutated(name):
    """The backward rule of `gated` with an error of a kind."""

    def backward(residuals, bar):
        x_bar, w_bar = gated_backward(residuals, bar)
        x, w, y = residuals
        inner = bar * x * (1 - y**2)
        return {
            "scaled": (x_bar * (1 + 1e-3), w_bar),
            "negated": (x_bar, -w_bar),
            "zero": (x_bar, jnp.zeros_like(w_bar)),
            "term dropped": (inner @ w.T, w_bar),
            "transposed": (x_bar, w_bar.T),
            "not transposed": (inner @ w + bar * y, w_bar),
            "shifted": (jnp.roll(x_bar, 1, 0), w_bar),
            "exchanged": (w_bar, x_bar),
            "output for input": (inner @ w.T + bar * x, w_bar),
            "one side": (jnp.where(x < 0, 2 * x_bar, x_bar), w_bar),
            "one element": (x_bar.at[1, 2].multiply(1.01), w_bar),
            "not linear": (x_bar * bar, w_bar),
            "constant": (x_bar + 1e-2, w_bar),
        }[name]

    return backward


# What is said of them: of which argument, a word of the pattern.
SAID = {
    "scaled": (0, "1.001 times"), "negated": (1, "sign"), "zero": (1, "zero"),
    "term dropped": (0, ""), "transposed": (1, "transposed"), "not transposed": (0, ""),
    "shifted": (0, "shifted by 1"), "exchanged": (0, "argument 1"),
    "output for input": (0, ""), "one side": (0, "< 0"), "one element": (0, ""),
    "not linear": (0, "not linear in"), "constant": (0, "zero to zero"),
}  # fmt: skip


def operands(dtype):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    return jnp.asarray(x, dtype), jnp.asarray(w, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SAID)
def test_a_planted_error_is_found_and_named(name, dtype):
    f = with_rule(gated, gated_forward, mutated(name), "gated")
    report = check_rules(lambda x, w: jnp.sum(f(x, w) ** 2), *operands(dtype))
    assert not report
    (row,) = report.failures
    argument, words = SAID[name]
    assert row.name == "gated" and row.argument == argument, str(report)
    assert words in row.pattern, str(report)
    assert "test_check_rules.py" in row.line
    if row.what == "derivative":
        assert row.says != row.right


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_right_rule_is_left_alone(dtype):
    f = with_rule(gated, gated_forward, gated_backward, "gated")
    x, w = operands(dtype)

    def whole(x, w):
        def body(h, _):
            return jax.checkpoint(f)(h, w), None

        h = jax.lax.scan(body, x, None, length=3)[0]
        return jax.lax.cond(h[0, 0] > 9, jnp.sum, lambda h: jnp.sum(f(h, w)), h)

    assert check_rules(whole, x, w)
    assert check_rules(jax.jit(whole), x, w)
    assert check_rules(lambda x: jnp.sum(jax.vmap(lambda r: f(r[None], w))(x)), x)


def test_wrong_at_one_step_of_a_scan_alone():
    @jax.custom_vjp
    def own(x, t):
        return jnp.sin(x) * t

    def forward(x, t):
        return own(x, t), (x, t)

    def backward(residuals, bar):
        x, t = residuals
        factor = jnp.where(t == 17, 1.5, 1.0)
        return bar * jnp.cos(x) * t * factor, bar * jnp.sin(x)

    own.defvjp(forward, backward)

    def f(x):
        return jax.lax.scan(lambda h, t: (h + own(x, t), None), 0.0, jnp.arange(40.0))[
            0
        ]

    (row,) = check_rules(f, 0.3).failures
    assert row.steps == (("scan", 17, 40),) and "1.5 times" in row.pattern


def test_kinks_and_bodies_that_are_worse_than_their_rules():
    @jax.custom_vjp
    def rectified(x):
        return jnp.maximum(x, 0.0)

    rectified.defvjp(
        lambda x: (rectified(x), x), lambda x, b: (jnp.where(x > 0, b, 0.0),)
    )

    @jax.custom_jvp
    def softplus(x):
        return jnp.log(1 + jnp.exp(x))  # its own derivative is NaN at 1000

    softplus.defjvps(lambda t, y, x: t * jax.nn.sigmoid(x))

    @jax.custom_vjp
    def root(x):
        step = lambda _, y: 0.5 * (y + x / y)  # noqa: E731
        return jax.lax.while_loop(
            lambda s: s[0] < 30, lambda s: (s[0] + 1, step(0, s[1])), (0, x)
        )[1]

    root.defvjp(lambda x: (root(x), root(x)), lambda y, b: (b / (2 * y),))
    x = jnp.array([-1.0, 0.0, 2.0, 30.0])
    assert check_rules(lambda x: jnp.sum(rectified(x)), x)
    assert check_rules(lambda x: jnp.sum(jax.nn.relu(x) + jax.nn.gelu(x)), x)
    assert check_rules(lambda x: jnp.sum(softplus(x)), x)
    assert check_rules(lambda x: jnp.sum(root(x**2 + 1)), x)


def test_what_is_meant_to_differ_is_silenced_by_name():
    @jax.custom_vjp
    def rounded(x):
        return jnp.round(x)

    rounded.defvjp(lambda x: (rounded(x), None), lambda _, b: (b,))
    f, x = lambda x: jnp.sum(rounded(x)), jnp.array([0.3, 1.8])
    report = check_rules(f, x)
    assert not report and "not the derivative" in str(report)
    silenced = check_rules(f, x, expected=("rounded",))
    assert silenced and silenced.rows[0].verdict == "meant to differ"
    with pytest.raises(InvalidArgument, match="rounder"):
        check_rules(f, x, expected=("rounder",))
    with pytest.raises(InvalidArgument, match="must be names"):
        check_rules(f, x, expected=3)


def test_the_value_that_the_rule_gives():
    @jax.custom_vjp
    def own(x):
        return jnp.sin(x)

    own.defvjp(lambda x: (jnp.sin(x) * 1.01, x), lambda x, b: (b * jnp.cos(x),))
    (row,) = check_rules(lambda x: jnp.sum(own(x)), jnp.ones(3)).failures
    assert row.what == "value"


def test_complex_numbers_and_wrong_shapes():
    @jax.custom_vjp
    def own(z):
        return z * z

    own.defvjp(lambda z: (z * z, z), lambda z, b: (2 * b * jnp.conj(z),))
    z = jnp.array([1 + 2j, 0.5 - 1j])
    (row,) = check_rules(lambda z: jnp.sum(jnp.real(own(z))), z).failures
    assert row.what == "derivative"

    @jax.custom_vjp
    def shifted(x, b):
        return x + b

    shifted.defvjp(lambda x, b: (x + b, None), lambda _, bar: (bar, bar))
    report = check_rules(lambda x: jnp.sum(shifted(x, 1.0)), jnp.ones(3))
    assert report.failures[0].what == "refused" and "shape" in str(report)


def test_rules_within_other_calls():
    f = with_rule(gated, gated_forward, mutated("negated"), "gated")
    x, w = operands("float64")

    @custom_vmap
    def mapped(x, w):
        return f(x, w)

    mapped.def_vmap(lambda size, batched, x, w: (jax.vmap(f)(x, w), True))

    def loop(x, w):
        step = lambda h, _: (jax.checkpoint(mapped)(h, w), None)  # noqa: E731
        return jnp.sum(jax.lax.scan(step, x, None, length=3)[0])

    for whole in (lambda x, w: jnp.sum(mapped(x, w)), loop):
        assert check_rules(whole, x, w).failures[0].name == "gated"


def test_nothing_to_look_at_and_traced_arguments():
    assert "no function" in str(check_rules(jnp.sin, 1.0))
    with pytest.raises(InvalidArgument, match="outside jit"):
        jax.jit(lambda x: check_rules(jnp.sin, x) and x)(1.0)


@jax.custom_vjp
def square_of(z):
    return z * z


square_of.defvjp(lambda z: (z * z, z), lambda z, g: (2 * jnp.conj(z) * g,))


@jax.custom_vjp
def one_sided(x):
    return jnp.where(x > 0, x, jnp.exp(x) - 1)


one_sided.defvjp(
    lambda x: (jnp.where(x > 0, x, jnp.exp(x) - 1), x),
    lambda x, g: (jnp.where(x > 0, g, g * (jnp.exp(x) - 1)),),
)


@jax.custom_vjp
def exponential(x):
    return jnp.exp(x)


exponential.defvjp(lambda x: (jnp.exp(x), x), lambda x, g: (g * x,))


def test_a_conjugate_and_one_element_of_a_sign_are_named():
    (row,) = check_rules(square_of, jnp.array([1 + 2j, 3 - 1j])).failures
    assert row.pattern == "Its slope is the conjugate of the right one."
    (row,) = check_rules(one_sided, jnp.array([1.0, 2, -1, 3])).failures
    assert row.pattern == "It is wrong only where the argument is < 0."
    x = jnp.array([0.5, 1.0], jnp.float16)
    (row,) = check_rules(exponential, x).failures
    assert "times the right one" not in row.pattern  # another ratio at each element


SCALED = {
    "root": (lambda x: jnp.sqrt(x * x + 1e-6), 1e-3, jnp.float32),
    "tanh": (lambda x: jnp.tanh(x / 1e-3), 1e-3, jnp.float32),
    "coarse": (jnp.tanh, 1.0, jnp.bfloat16),
}
WRONG = {"root": 0.5, "tanh": 0.5, "coarse": 0.9}


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("right", [True, False])
def test_what_bends_within_a_thousandth_is_no_kink(name, right):
    f, at, dtype = SCALED[name]
    factor = 1.0 if right else WRONG[name]

    @jax.custom_vjp
    def ruled(x):
        return f(x)

    slope = jax.grad(f)
    backward = lambda x, y_bar: (y_bar * slope(x) * jnp.asarray(factor, dtype),)  # noqa: E731
    ruled.defvjp(lambda x: (f(x), x), backward)
    assert bool(check_rules(ruled, jnp.asarray(at, dtype))) == right


STABLER = {
    "sinc": (lambda x: jnp.sin(x) / x, lambda x: x**3 / 30 - x / 3, [1e-2]),
    "lost": (lambda x: jnp.sin(x) / x, lambda x: x**3 / 30 - x / 3, [1e-4]),
    "expm1": (lambda x: jnp.expm1(x) / x, lambda x: 0.5 + x / 3 + x**2 / 8, [1e-3]),
}


@pytest.mark.parametrize("name", STABLER)
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_rules_that_are_stabler_than_their_bodies(name, factor):
    f, slope, at = STABLER[name]

    @jax.custom_vjp
    def ruled(x):
        return f(x)

    ruled.defvjp(lambda x: (f(x), x), lambda x, y_bar: (y_bar * slope(x) * factor,))
    assert bool(check_rules(ruled, jnp.asarray(at, jnp.float32))) == (factor == 1)


def test_a_finite_slope_where_there_is_none_cannot_be_told():
    @jax.custom_vjp
    def root(x):
        return jnp.sqrt(x)

    def backward(x, y_bar):
        return (y_bar * jnp.where(x > 0, 0.5 / jnp.sqrt(jnp.where(x > 0, x, 1)), 7.0),)

    root.defvjp(lambda x: (jnp.sqrt(x), x), backward)
    assert check_rules(root, jnp.array([0.0, 4.0])).verdict == "cannot tell"


@pytest.mark.parametrize(
    ("shares", "verdict"), [((0.5, 0.5), "agree"), ((1, 0), "agree"),
                            ((1, 1), "cannot tell"), ((2, 0), "differ")],
)  # fmt: skip
def test_slopes_at_a_tie_must_add_up(shares, verdict):
    @jax.custom_jvp
    def larger(x, y):
        return jnp.maximum(x, y)

    @larger.defjvp
    def _(primals, tangents):
        x, y = primals
        a = jnp.where(x == y, shares[0], jnp.where(x > y, 1.0, 0.0))
        b = jnp.where(x == y, shares[1], jnp.where(y > x, 1.0, 0.0))
        return larger(x, y), a * tangents[0] + b * tangents[1]

    x = jnp.array([1.0, -2.0, 0.5])
    report = check_rules(larger, x, x.at[1].set(3.0))
    assert report.verdict == verdict
    scaled = lambda w, x: w * larger(x, x).astype(w.dtype)  # noqa: E731
    assert check_rules(scaled, jnp.ones(3, jnp.float32), x).verdict == verdict
    if verdict == "cannot tell":
        assert "where all operands grow" in report.rows[0].pattern


# Function, its slope, a point where the slope of the function's own operations is lost.
LOST = {
    "sinc": (lambda x: jnp.sin(x) / x, lambda x: -x / 3 + x**3 / 30, 1e-6),
    "cosine": (lambda x: (1 - jnp.cos(x)) / x**2, lambda x: -x / 12 + x**3 / 180, 1e-3),
    "exponential": (lambda x: (jnp.exp(x) - 1) / x, lambda x: 0.5 + x / 3, 1e-7),
}


@pytest.mark.parametrize("factor", [1, 1.5])
@pytest.mark.parametrize("name", LOST)
def test_a_slope_that_the_body_loses_in_float64(name, factor):
    body, slope, at = LOST[name]

    @jax.custom_vjp
    def ruled(x):
        return body(x)

    ruled.defvjp(lambda x: (body(x), x), lambda x, b: (factor * b * slope(x),))
    verdict = check_rules(ruled, jnp.asarray(at)).verdict
    assert (verdict == "differ") == (factor != 1)


def test_the_cotangent_is_named():
    @jax.custom_vjp
    def product(x, w):
        return x @ w

    product.defvjp(
        lambda x, w: (x @ w, (x, w)), lambda r, b: (b @ r[1].T * 2, r[0].T @ b)
    )
    x, w = jnp.arange(6.0).reshape(2, 3), jnp.ones((3, 2))
    (row,) = check_rules(product, x, w).rows
    assert row.along == "a random cotangent"
    (row,) = check_rules(lambda x: product(x, x).sum(), jnp.full((1, 1), 3.0)).rows
    assert (row.along, row.says, row.right) == ("", 6, 3)
