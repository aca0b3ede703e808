"""What f's own rounding hides is looked at in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbp import check
from jaxbp.checks.subject import Subject
from jaxbp.checks.wider import Wider
from jaxbp.errors import InvalidArgument
from tests.checks.test_missed import with_rule

X = jnp.array([0.3, -0.2, 0.8, 0.1, -1.1], jnp.float32)


def normal(*shape, seed=0, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(seed), shape).astype(dtype)


def network(W, V, x):
    h = jax.nn.gelu(x @ W)
    h = (h - h.mean(-1, keepdims=True)) / (h.std(-1, keepdims=True) + 1e-3)
    return jax.nn.log_softmax(h @ V)[:, 0].mean()


def newton(a):
    """As many steps as float32 needs."""
    far = lambda s: jnp.any(jnp.abs(s * s - a) > 1e-6)  # noqa: E731
    return jnp.sum(lax.while_loop(far, lambda s: (s + a / s) / 2, a))


def solved(A, x):
    return jnp.linalg.solve(A @ A.T + 4 * jnp.eye(5, dtype=A.dtype), x).sum()


def steps(carry, x):
    return jnp.sin(carry * x) + x, carry


def scattered(x):
    again = x.at[jnp.array([0, 0, 3])].add(x[:3]).at[1].mul(2.0)
    return again.at[2].set(again[0]).at[4].min(0.5)


PROGRAMS = {
    "network": (network, (normal(4, 8), normal(8, 3, seed=1), normal(6, 4, seed=2))),
    "loops": (lambda x: newton(x * x + 1) + lax.scan(steps, 1.0, x)[0], (X,)),
    "branch": (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x).sum(), (X,)),
    "scatters": (lambda x: jnp.sum(jnp.sin(scattered(x))), (X,)),
    "solve": (solved, (normal(5, 5), X)),
    "random": (lambda x: jnp.sum(jnp.sin(x + normal(5).astype(x.dtype))), (X,)),
    "dtypes": (lambda x: jnp.sum(jnp.sin(jnp.asarray(x, "float16")) * 2.0), (X,)),
    "complex": (lambda x: jnp.abs(jnp.fft.fft(lax.complex(x, x * x))).sum(), (X,)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_the_function(name):
    """Of float64 arguments, where the function is traced for these; but constants are
    float32, and so is what is drawn, or when a loop stops, and float16 is no cast."""
    f, args = PROGRAMS[name]
    subject = Subject(f, args)
    with jax.enable_x64(True):
        found = Wider(subject).evaluate([np.float64(x) for x in subject.x])
        wide = f(*[jnp.asarray(a, jnp.float64) for a in args])
    own = {"network": 1e-7, "random": 1e-6, "loops": 1e-6, "dtypes": 1e-2}
    np.testing.assert_allclose(found[0], wide, rtol=own.get(name, 1e-12))
    assert found[0].dtype == np.float64


@pytest.mark.parametrize("offset", [1e4, 3e5])
@pytest.mark.parametrize("share", [0.0, -1.0, 1.2])
def test_one_wrong_element_beside_an_offset(offset, share):
    factors = jnp.ones(5, X.dtype).at[1].set(share)
    f = with_rule(lambda x: jnp.sum(jnp.tanh(x)), lambda g: (g[0] * factors,))
    report = check(lambda x: offset + f(x), X)
    assert report.verdict == "differ" and "x[1]" in str(report.findings[0])
    assert check(lambda x: offset + jnp.sum(jnp.tanh(x)), X).verdict == "agree"


@pytest.mark.parametrize(
    ("dtype", "wrong"),
    [
        (jnp.bfloat16, "sign"), (jnp.float16, "dropped"),
        (jnp.bfloat16, "transpose"), (jnp.float16, "scaled"),
    ],
)  # fmt: skip
def test_errors_in_networks_of_16_bits(dtype, wrong):
    turns = {
        "sign": lambda g: -g,
        "transpose": lambda g: g.at[:2, :2].set(g[:2, :2].T),
        "dropped": lambda g: g.at[0].set(0),
        "scaled": lambda g: g.at[1, 1].mul(1.3),
    }
    W, x = normal(4, 4, dtype=dtype), normal(8, 4, seed=1, dtype=dtype)
    f = lambda W: jnp.mean(jnp.tanh(x @ W) ** 2)  # noqa: E731
    assert check(f, W).verdict == "agree"
    rule = with_rule(f, lambda g: (turns[wrong](g[0]),))
    assert check(rule, W).verdict == "differ"
    report = check(f, W, grad=lambda W: turns[wrong](jax.grad(f)(W)))
    assert report.verdict == "differ"


def test_a_gradient_lost_in_its_own_rounding_is_no_agreement():
    """Of float32 the derivative at 1e-3 is wrong by millions; the rule is right."""
    report = check(lambda x: (1 - jnp.cos(x)) / x**2, jnp.float32(1e-3))
    assert report.verdict == "cannot tell" and report.rounded["x"] > 1e3
    assert "lost in its own rounding" in str(report)


def test_a_gradient_of_numpy_s_is_asked_at_float64():
    f = lambda x: 1e4 + jnp.sum(jnp.sin(x))  # noqa: E731
    by_numpy = lambda x: np.cos(np.asarray(x))  # noqa: E731
    off = lambda x: by_numpy(x) * np.float32([1, 1.01, 1, 1, 1])  # noqa: E731
    assert check(f, X, grad=by_numpy) and check(f, X, grad=jnp.cos)
    assert check(f, X, grad=off).verdict == "differ"


def test_smooth_functions_have_no_edges():
    many = [normal(2, seed=i) for i in range(30)]
    f = lambda p: sum(jnp.sum(jnp.sin(v) * (i + 1)) for i, v in enumerate(p))  # noqa: E731
    report = check(f, many)
    assert report and "edge" not in str(report)


def test_of_many_leaves_it_is_said_how_many_hide_something():
    many = [normal(2, seed=i) for i in range(40)]
    f = lambda p: 3e4 + sum(jnp.sum(jnp.sin(v)) for v in p)  # noqa: E731
    report = check(f, many)
    assert report and max(report.hidden.values()) > 0.1
    assert any("hides more than a tenth" in note for note in report.notes)


def test_what_float64_cannot_be_asked_for_is_said():
    """A callback takes the types it was written for."""
    kind = jax.ShapeDtypeStruct((5,), jnp.float32)
    held = lambda x: jax.pure_callback(np.asarray, kind, lax.stop_gradient(x))  # noqa: E731
    f = lambda x: 1e5 + jnp.sum(jnp.sin(x)) + 0 * jnp.sum(held(X))  # noqa: E731
    report = check(f, X)
    assert report.verdict == "agree"
    assert "x" in report.widened or "hides more than a tenth" in str(report)


def test_modes_that_lose_digits_apart_are_judged_in_float64():
    """Of a nearly singular matrix in float32 forward mode alone loses all."""
    inverse = lambda a: jnp.sum(jnp.linalg.inv(a))  # noqa: E731
    near = jnp.array([[1, 1], [1, 1.0001]], jnp.float32)
    report = check(inverse, near)
    assert report.verdict == "agree" and not report.failures, str(report)


@pytest.mark.parametrize("share", [1.0, 1.05])
def test_loops_that_stop_apart_in_a_batch(share):
    """A batch of loops goes on until all have stopped; those that have stand still."""
    ruled = jax.custom_vjp(lambda c: c)
    ruled.defvjp(lambda c: (c, None), lambda _, g: (share * g,))
    trips = jnp.array([2, 3, 4])
    one = lambda c, n: lax.fori_loop(0, n, lambda _, z: jnp.sin(z) + c, c)  # noqa: E731
    f = lambda c: 1e5 + jnp.sum(jax.vmap(one)(ruled(c), trips))  # noqa: E731
    report = check(f, jnp.abs(normal(3)) + jnp.float32(0.5))
    assert report.widened and report.verdict == ("agree" if share == 1 else "differ")


def test_a_function_applied_in_place_is_applied_in_float64_too():
    """A scatter that applies a function is no scatter that sets."""
    held = jnp.array([0.3, 0.7], jnp.float32)
    scale = lambda: held.at[jnp.array([0])].apply(jnp.exp)  # noqa: E731
    f = lambda x: 1e5 + jnp.sum(jnp.sin(x) * scale()[0])  # noqa: E731
    report = check(f, X)
    assert report.verdict == "agree" and report.widened


def test_what_is_drawn_is_drawn_as_in_f():
    key, shape = jax.random.key(0), (3,)
    draws = lambda: jax.random.gamma(key, 2.0, shape).astype(jnp.float32)  # noqa: E731
    report = check(lambda c: 1e5 + jnp.sum(jnp.tanh(c * draws())), jnp.abs(normal(3)))
    assert report.verdict == "agree" and report.widened


@pytest.mark.parametrize("name", ["seed", "f", "kwargs"])
def test_what_makes_no_sense_is_refused(name):
    given = {"f": jnp.sum, "seed": 0, "kwargs": None}
    given[name] = {"f": 3, "seed": -1, "kwargs": [1]}[name]
    f = given.pop("f")
    with pytest.raises(InvalidArgument, match=f"`{name}` must be"):
        check(f, X, **given)


@pytest.mark.parametrize("seed", range(3))
def test_a_rule_is_looked_at_as_closely_as_values_can_tell(seed):
    """In float32 the values beside 30 see these slopes to a part in a hundred."""
    f = lambda x: 30 + jnp.sum(jnp.sin(x / 1e6) ** 2) / 10  # noqa: E731
    x = 1e6 * (1 + X)
    assert check(with_rule(f, lambda g: g), x, seed=seed)
    wrong = with_rule(f, lambda g: (g[0] * jnp.float32(1 + 1e-3),))
    assert check(wrong, x, seed=seed).verdict == "differ"


def test_a_branch_that_gives_a_constant_is_widened():
    """Beside one that computes: both give the same types."""
    off = jax.custom_vjp(lambda x: jnp.sin(1000 * x) / 1000)
    slope = lambda x: jnp.cos(1000 * x)  # noqa: E731
    off.defvjp(lambda x: (off(x), x), lambda x, g: (1.001 * g * slope(x),))

    def f(x):
        computed = lambda x: (off(x), x * 0 + 3)  # noqa: E731
        constant = lambda x: (x, jnp.float32(2))  # noqa: E731
        y, z = lax.cond(x > 0, computed, constant, x)
        return y + z

    assert check(f, jnp.float32(1.234)).verdict == "differ"


def test_a_logarithm_of_two_in_bfloat16_is_no_wrong_rule():
    """The rule of exp2 multiplies with one of three digits, beside what cancels."""

    def f(x):
        return jnp.sum(lax.exp2(x).astype("float32") - 0.68 * x.astype("float32"))

    assert check(f, jnp.zeros(2, "bfloat16"), points=1).verdict == "cannot tell"


def test_a_jump_at_the_point_is_no_slope():
    """At a multiple of a half the rest jumps to one side, and to the other the slope is
    as given."""

    def f(x):
        x = x - 1000
        return jnp.sum(lax.rem(x, jnp.full_like(x, 0.5)) + jax.nn.softplus(x))

    x = 1000 + jnp.array([0.5, 0.7, 0.9], "float32")
    assert check(f, x, points=1).verdict == "cannot tell"
