"""Verdicts that outside readers found wrong: right, wrong, and undecided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp import check
from jaxbp.checks import WrongGradient
from jaxbp.errors import InvalidArgument, StructureMismatch

RIGHT = "agree"


def sine_with_slope(factor):
    """sin with a custom_jvp rule that says `factor` times its slope."""

    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    sine.defjvp(lambda p, t: (jnp.sin(p[0]), factor * jnp.cos(p[0]) * t[0]))
    return sine


def test_what_a_gradient_or_a_function_should_have_returned_is_said_in_words():
    def counts(x):
        return {"a": jnp.argmax(x), "b": (3, True)}

    with pytest.raises(InvalidArgument, match=r"`counts` must .* which is int") as said:
        check(counts, jnp.ones(3))
    assert "PyTreeDef" not in str(said.value)
    with pytest.raises(StructureMismatch, match="tuple of 1, .*without the tuple"):
        check(jnp.sum, jnp.ones(3), grad=lambda x: (jnp.ones(3),))
    with pytest.raises(StructureMismatch, match=r"pass `argnums=\(0, 1\)`"):
        check(jnp.vdot, jnp.ones(3), jnp.ones(3), grad=lambda x, y: (y, x))
    with pytest.raises(InvalidArgument, match="but `twice` returns"):
        twice = lambda x: 2 * x  # noqa: E731
        twice.__name__ = "twice"
        check(twice, jnp.ones(3), grad=jnp.ones_like)


# Right gradients that were called wrong ---------------------------------------------


def test_an_element_small_by_cancellation_is_not_judged_by_its_own_size():
    w = jnp.array([0.3, 2.0, 9.0])
    f = lambda w: jnp.sum(jnp.tanh(w))  # noqa: E731
    report = check(f, w, grad=lambda w: 1 - jnp.tanh(w) ** 2)
    assert report, str(report)
    assert check(lambda x: jax.nn.softmax(x)[0], jnp.array([20.0, 0.0, 1.0]))


def test_arguments_with_an_offset_are_looked_at_within_a_period():
    p = jnp.array([58000.3, 3.52, 10.0])  # epoch, period, amplitude
    f = lambda p: jnp.sin(2 * jnp.pi * (59000.0 - p[0]) / p[1]) * p[2]  # noqa: E731
    assert check(f, p)
    t = 59000 + jnp.linspace(0, 10, 6)
    assert check(lambda t: jnp.sum(jnp.sin(2 * jnp.pi * (t - 59000) / 0.31)), t)


def test_the_minimum_of_least_squares_agrees_by_the_displaced_points():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    y = x @ np.arange(3.0) + rng.normal(size=100)
    w = jnp.asarray(np.linalg.lstsq(x, y)[0])
    loss = lambda w: jnp.mean((jnp.asarray(x) @ w - y) ** 2)  # noqa: E731
    report = check(loss, w)
    assert report and "zero to rounding at the point given" in report.notes[0]
    alone = check(loss, w, points=1)
    assert not alone and alone.verdict == "cannot tell" and alone.undecided == ["w"]
    assert not alone.failures and "cannot tell: w" in alone.headline


def test_the_cosine_of_parallel_vectors_in_float32():
    a = jnp.arange(1.0, 17, dtype=jnp.float32)
    f = lambda b: a @ b / jnp.linalg.norm(a) / jnp.linalg.norm(b)  # noqa: E731
    assert check(f, a)


@pytest.mark.parametrize("scale", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_saturated_units_in_float32(seed, scale):
    """A hand-written sigmoid network: most of its gradient is rounding."""
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(256, 8)), jnp.float32)
    w = jnp.asarray(scale * rng.normal(size=(8, 4)), jnp.float32)
    two = jnp.asarray(2, jnp.float32)

    def by_hand(w):
        y = jax.nn.sigmoid(x @ w)
        return x.T @ (two * y * y * (1 - y)) / y.size

    assert check(lambda w: jnp.mean(jax.nn.sigmoid(x @ w) ** 2), w, grad=by_hand)


@pytest.mark.parametrize("steps", [0, 300, 1000])
def test_a_trained_network_in_float32(steps):
    rng = np.random.default_rng(1)
    cast = lambda a: jnp.asarray(a, jnp.float32)  # noqa: E731
    x = cast(rng.normal(size=(64, 4)))
    labels = (x[:, 0] > 0).astype(jnp.int32)
    w = cast(rng.normal(size=(4, 8))), cast(rng.normal(size=(8, 2)))

    def loss(w):
        logits = jax.nn.log_softmax(jnp.tanh(x @ w[0]) @ w[1])
        return -jnp.mean(jnp.take_along_axis(logits, labels[:, None], 1))

    step = lambda _, w: jax.tree.map(lambda a, g: a - cast(0.5) * g, w, jax.grad(loss)(w))  # noqa: E731, E501  # fmt: skip
    report = check(loss, lax.fori_loop(0, steps, jax.jit(step), w))
    assert report, str(report)


def test_bfloat16_inside_a_float32_program():
    w = jax.random.normal(jax.random.key(1), (16, 4), jnp.float32)
    x = jnp.ones((8, 16), jnp.bfloat16)
    loss = lambda w: jnp.mean((x @ w.astype(x.dtype)).astype(w.dtype) ** 2)  # noqa: E731
    assert check(loss, w)
    wrong = check(loss, w, grad=lambda w: -jax.grad(loss)(w))
    assert wrong.verdict == "differ"


def test_attention_in_float64_with_its_softmax_in_float32():
    q = jnp.linspace(0.1, 1, 12).reshape(1, 3, 1, 4)
    with jax.numpy_dtype_promotion("standard"):
        assert check(lambda q: jax.nn.dot_product_attention(q, q, q).sum(), q)


def test_custom_rules_that_are_right_are_not_blamed():
    for factor in (1, 1 + 1e-12):
        assert check(lambda x: sine_with_slope(factor)(x - 1e6), 1e6 + 0.7)  # noqa: B023


def test_underflow_and_overflow_are_no_disagreement():
    assert check(jax.scipy.special.ndtr, 30.0)
    assert check(lambda x: jnp.exp(500 * x), 1.3)  # warnings are errors here


def test_smooth_functions_carry_no_kink_label():
    report = check(lambda x: jnp.sum(jnp.cos(x - 1e5)), 1e5 + jnp.arange(4.0))
    assert report and "kink" not in str(report)


# Wrong gradients that were called right ---------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 0.0, -1.0, 1 + 1e-3])
@pytest.mark.parametrize("offset", [0.0, 1e5, 1e6])
def test_a_wrong_rule_is_found_at_any_offset(factor, offset):
    report = check(lambda x: sine_with_slope(factor)(x - offset), offset + 0.7)
    assert report.verdict == "differ"
    assert "Every derivative rule" in report.findings[0].sentence


def test_a_wrong_rule_is_found_in_times_near_59000():
    t = 59000 + jnp.linspace(0, 10, 6)
    sine = sine_with_slope(0.5)
    report = check(lambda t: jnp.sum(sine(2 * jnp.pi * (t - 59000) / 0.31)), t)
    assert report.verdict == "differ" and "0.5 times" in report.findings[0].pattern


@pytest.mark.parametrize(
    ("factor", "xp", "verdict"),
    [
        (1.0, jnp, "agree"), (1.0, np, "agree"),
        (1.001, jnp, "differ"), (1.001, np, "differ"),
    ],
)  # fmt: skip
def test_a_factor_at_an_offset_is_more_than_rounding(factor, xp, verdict):
    """x - 1000 is exact in float32: the last places of x excuse nothing. A gradient of
    numpy's, of which it is not known what it rounds, is asked at float64."""
    x = 1000 + jnp.array([0.3, 0.7, -1.2], jnp.float32)

    def by_hand(x):
        slope = factor * xp.cos(xp.asarray(x, xp.float64) - 1000)
        return slope.astype(xp.float32)

    f = lambda x: jnp.sum(jnp.sin(x - 1000))  # noqa: E731
    assert check(f, x, grad=by_hand, points=1).verdict == verdict


def test_a_disagreement_that_only_noise_refutes_is_not_agreement():
    """A rule that drops a small element of a float32 gradient: long steps see it."""
    x, w = jnp.array([[0.9, 0.5, 0.6], [2, 1, 0.5]], jnp.float32)
    loss = lambda x: 1e-3 + 1e-5 * jnp.sum(x * w)  # noqa: E731
    ruled = jax.custom_vjp(loss)
    right = lambda x: (loss(x), jax.grad(loss)(x))  # noqa: E731
    ruled.defvjp(right, lambda g, y_bar: (y_bar * g.at[2].set(0),))
    assert not check(ruled, x, points=1)
    ruled.defvjp(right, lambda g, y_bar: (y_bar * g,))
    assert check(ruled, x, points=1)


def test_empty_leaves_are_nothing_to_look_at():
    f = lambda a, b: jnp.sum(a) + jnp.sum(b)  # noqa: E731
    report = check(f, jnp.zeros(0), jnp.zeros((8, 0)))
    assert not report and report.verdict == "cannot tell"
    assert "nothing to look at" in report.headline
    report = check(f, jnp.zeros(0), jnp.ones(2))
    assert report and "nothing to look at" in str(report)


def test_twice_a_gradient_lost_in_the_rounding_of_f_is_not_called_right():
    sine = sine_with_slope(2.0)
    f = lambda x: 1e6 + 1e-12 * jnp.sum(sine(x))  # noqa: E731
    assert check(f, jnp.arange(1.0, 4)).verdict == "cannot tell"
    given = check(f, jnp.arange(1.0, 4), grad=lambda x: 1e-12 * jnp.cos(x))
    assert given.verdict == "differ"  # from what the rule says


# What is said ------------------------------------------------------------------------


def test_numbers_have_as_many_digits_as_differ():
    wrong = lambda x: jnp.cos(x) * (1 + 1e-7)  # noqa: E731
    report = check(lambda x: jnp.sum(jnp.sin(x)), jnp.array([0.3]), grad=wrong)
    said = str(report.findings[0]).split(": ", 1)[1]
    numbers = [part.split()[-1] for part in said.split(", ")[:2]]
    assert numbers[0] != numbers[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: 0 * g, "It is zero"),
        (lambda g: -g, "its sign turned"),
        (lambda g: 0.5 * g, "0.5 times"),
        (lambda g: 6 * g, "a sum over 6 where f takes the mean"),
        (lambda g: g.T, "transposed"),
        (lambda g: jnp.roll(g, 1, 0), "shifted by 1 along axis 0"),
        (lambda g: g.at[2].set(0), "Only its entries with index 2 along axis 0"),
    ],
)
def test_the_usual_mistakes_are_named(change, said):
    w = jnp.asarray(np.random.default_rng(0).normal(size=(6, 6)))
    f = lambda w: jnp.mean(jnp.sin(w) @ jnp.arange(6.0))  # noqa: E731
    report = check(f, w, grad=lambda w: change(jax.grad(f)(w)))
    assert said in report.findings[0].pattern, str(report)


@jaxbp.options(strict_while=True)
def test_a_function_that_only_forward_mode_can_differentiate():
    def root(a):
        unfinished = lambda x: jnp.abs(x * x - a) > 1e-12  # noqa: E731
        return lax.while_loop(unfinished, lambda x: 0.5 * (x + a / x), 1.0)

    report = check(root, 2.0)
    assert report and report.judged == "engine forward"
    assert {"jax forward", "differences"} <= set(report.witnesses)
    assert "Only forward mode" in report.notes[0]
    assert all(note.endswith(".") for note in report.notes)
    assert check(root, 2.0, grad=lambda a: 0.5 / jnp.sqrt(a))
    wrong = check(root, 2.0, grad=lambda a: 1 / jnp.sqrt(a))
    assert wrong.verdict == "differ" and "2 times" in wrong.findings[0].pattern


def test_numpy_in_f_is_said_once_with_its_line():
    def loss(x):
        y = np.sin(x)
        return y.sum()

    with pytest.raises(InvalidArgument, match=r"write jnp where it says np") as caught:
        check(loss, jnp.arange(3.0))
    said = str(caught.value)
    assert "`loss`" in said and "test_verdicts.py:" in said
    assert said.count("write jnp") == 1


@pytest.mark.parametrize(
    "setting",
    [{"rtol": -1}, {"rtol": 1}, {"rtol": np.nan}, {"atol": -1.0}, {"points": 0},
     {"points": -5}, {"probes": 0}, {"probes": 2.5}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(InvalidArgument, match=f"`{next(iter(setting))}` must be"):
        check(jnp.sin, 1.0, **setting)


def test_the_first_element_of_an_array_is_no_output():
    with pytest.raises(InvalidArgument, match="must return a pair"):
        check(lambda x: jnp.sin(x[:2]), jnp.ones(3), has_aux=True)


def test_what_is_exact_outvotes_the_gradient_given():
    z = jnp.array([1 + 2j, 0.5 - 1j, -0.3 + 0.2j])
    size = lambda z: jnp.sum(jnp.abs(z) ** 2)  # noqa: E731
    (found,) = check(size, z, grad=lambda z: 2 * z).findings
    assert "too coarse" not in found.sentence and "conjugate" in found.pattern
    stopped = lambda x: jnp.sum(x**2 * jax.lax.stop_gradient(x))  # noqa: E731
    (found,) = check(stopped, jnp.ones(2), grad=lambda x: 3 * x**2).findings
    assert "The differences and yours speak against every" in found.sentence


def test_a_zero_has_no_jump_and_an_object_hides_its_arrays():
    report = check(lambda x: jnp.sum(x * 0), jnp.ones(3), grad=lambda x: 1e-3 + 0 * x)
    assert report.verdict == "differ" and "discontinuous" not in str(report)

    class Layer:
        def __init__(self):
            self.w = jnp.ones(2)

    report = check(lambda layer, x: jnp.sum(layer.w * x), Layer(), jnp.ones(2))
    assert "`layer` is a Layer, for JAX one leaf and no pytree" in report.notes[0]


def test_rtol_and_atol_reach_differences_and_exact_derivatives():
    f, x = lambda x: jnp.sum(jnp.sin(x)), jnp.arange(1.0, 4)
    rough = lambda x: jnp.cos(x) * (1 + 1e-5)  # noqa: E731
    assert not check(f, x, grad=rough)
    assert check(f, x, grad=rough, rtol=1e-4)
    assert check(f, x, grad=lambda x: jnp.cos(x) + 1e-5, atol=1e-4)
    rule = sine_with_slope(1 + 1e-5)
    assert not check(lambda x: jnp.sum(rule(x)), x)
    assert check(lambda x: jnp.sum(rule(x)), x, rtol=1e-4)
    nearly = lambda x: jnp.cos(x) * (1 + 1e-11)  # noqa: E731
    assert check(f, x, grad=nearly) and not check(f, x, grad=nearly, rtol=0)


def test_a_point_on_a_kink_is_left_and_said():
    report = check(lambda x: jnp.sum(jax.nn.relu(x)), jnp.zeros(3))
    assert report and "sits on its edge" in report.notes[0]


def test_a_discontinuity_is_named():
    report = check(lambda x: jnp.sum(jnp.where(x >= 0, 1.0, 0.0) + x), jnp.zeros(3))
    assert "discontinuous there" in report.notes[0] and "`x`" in report.notes[0]


def test_a_stochastic_function_is_named():
    report = check(lambda x: jnp.sum(x) * np.random.rand(), jnp.arange(1.0, 4))
    assert not report and report.verdict == "cannot tell" and not report.rows
    assert "Two calls at the same point gave" in report.notes[0]


def test_a_report_can_raise_itself():
    f, x = lambda x: jnp.sum(x**2), jnp.ones(2)
    assert check(f, x).raise_if_wrong().verdict == RIGHT
    with pytest.raises(WrongGradient, match="NOT in agreement: x"):
        check(f, x, grad=lambda x: x).raise_if_wrong()
    table = check(f, x).table()
    assert "x" in str(table) and "all witnesses" not in str(table)  # the headline's


def test_second_order_finds_a_rule_whose_slope_is_right_and_its_own_slope_wrong():
    """The rule's slope is computed by a function whose own derivative lies."""
    cosine = jax.custom_jvp(jnp.cos)
    cosine.defjvp(lambda p, t: (jnp.cos(p[0]), jnp.sin(p[0]) * t[0]))  # sign
    sine = jax.custom_jvp(jnp.sin)
    sine.defjvp(lambda p, t: (jnp.sin(p[0]), cosine(p[0]) * t[0]))
    x = jnp.array([0.3, 0.9])
    f = lambda x: jnp.sum(sine(x))  # noqa: E731
    assert check(f, x)
    report = check(f, x, order=2)
    assert report.verdict == "differ"
    assert {row.leaf for row in report.failures} == {"x, order 2"}
    assert check(lambda x: jnp.sum(jnp.sin(x)), x, order=2)
    with pytest.raises(InvalidArgument, match="`order` must be 1 or 2"):
        check(f, x, order=3)


def test_the_command_line_checks_the_second_order(tmp_path, capsys):
    from jaxbp.commands.check import run

    model = tmp_path / "model.py"
    model.write_text(
        "import jax, jax.numpy as jnp\n"
        "cosine = jax.custom_jvp(jnp.cos)\n"
        "cosine.defjvp(lambda p, t: (jnp.cos(p[0]), jnp.sin(p[0]) * t[0]))\n"
        "sine = jax.custom_jvp(jnp.sin)\n"
        "sine.defjvp(lambda p, t: (jnp.sin(p[0]), cosine(p[0]) * t[0]))\n"
        "def f(x):\n    return jnp.sum(sine(x))\n"
    )
    command = [f"{model}:f", "--shapes", "f64[3]"]
    assert run(command) == 0
    assert run([*command, "--order", "2"]) == 1
    assert "x, order 2" in capsys.readouterr().out
    with pytest.raises(InvalidArgument, match="`--order` must be 1 or 2"):
        run([*command, "--order", "3"])


@pytest.mark.parametrize(
    "given, said",
    [({"W": jnp.ones(2)}, r"gradient\['b'\]` is missing"),
     ({"W": jnp.ones(2), "b": None}, r"for `p\['b'\]` is None")],
    ids=["missing", "None"],
)  # fmt: skip
def test_a_gradient_that_lacks_a_leaf_is_told_which(given, said):
    loss = lambda p: jnp.sum(p["W"]) * jnp.sum(p["b"])  # noqa: E731
    params = {"W": jnp.ones(2), "b": jnp.ones(2)}
    with pytest.raises(StructureMismatch, match=said):
        check(loss, params, grad=lambda p: given)
