"""explain_nan: the right line, what happened there, and a remedy that helps."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.diagnosis import explain_nan
from jaxbp.diagnosis.report import Remedy
from jaxbp.errors import InvalidArgument
from jaxbp.problems import accidents
from jaxbp.problems.accidents import ACCIDENTS, CONTROLS, born_at


def arrays(case):
    return tuple(map(jnp.asarray, case.args))


NAMES = [case.f.__name__ for case in ACCIDENTS]
PASTED = [case for case in ACCIDENTS if case.pasted]


@pytest.mark.parametrize("case", ACCIDENTS, ids=NAMES)
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_the_line_and_what_happened(case, jit):
    f = jax.jit(case.f) if jit else case.f
    report = explain_nan(f, *arrays(case))
    assert report and report.spoilt
    first = report.births[0]
    number = re.search(r"accidents\.py:(\d+)", first.line)
    assert number and int(number[1]) == born_at(case), str(report)
    assert case.primitive in first.primitive
    assert case.kind in first.kind, str(report)
    assert bool(first.mask) == case.masked
    assert first.step == case.step
    if case.index is not None:
        assert first.index == case.index


@pytest.mark.parametrize(
    "case",
    [c for c in ACCIDENTS if c.pasted],
    ids=[c.f.__name__ for c in ACCIDENTS if c.pasted],
)
def test_the_remedy_pasted_makes_the_gradient_finite(case):
    report = explain_nan(case.f, *arrays(case))
    source = inspect.getsource(case.f)
    for birth in report.births:
        if birth.remedy is not None:
            assert birth.remedy.old in source
            source = source.replace(birth.remedy.old, birth.remedy.new, 1)
    names = dict(vars(accidents))
    exec(compile(source, "pasted", "exec"), names)
    mended = names[case.f.__name__]
    found = jax.grad(mended)(*arrays(case))
    assert np.isfinite(found).all(), source
    if case.gradient is not None:
        np.testing.assert_allclose(found, case.gradient, rtol=1e-6)
    value, kept = case.f(*arrays(case)), mended(*arrays(case))
    if np.isfinite(value):
        np.testing.assert_allclose(kept, value, rtol=1e-6)


@pytest.mark.parametrize(("f", "x"), CONTROLS, ids=[f.__name__ for f, _ in CONTROLS])
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_a_finite_gradient_is_said_to_be(f, x, jit):
    report = explain_nan(jax.jit(f) if jit else f, x)
    assert not report and not report.births
    assert "is finite" in str(report)


def test_it_says_what_else_is_known():
    report = explain_nan(accidents.rooted, jnp.array([1.0, 0.0, 4.0]))
    (birth,) = report.births
    assert birth.operands == (0.0,) and birth.value == 0 and birth.cotangent == 0
    assert birth.slope == np.inf and birth.entries == 1 and report.forward_finite
    assert "1 of 3 in `x`" in str(report) and "<table" in report.page().html()
    assert report.as_dicts()[0]["kind"] == "0 x inf"
    inside = explain_nan(accidents.custom_reverse, jnp.array([1.0, 0.0])).births[0]
    assert "own_backward" in inside.inside
    batch = explain_nan(accidents.angle, ACCIDENTS[NAMES.index("angle")].args[0])
    assert batch.births[0].batch == (1,)


def test_steps_of_loops_in_loops():
    (case,) = [c for c in ACCIDENTS if c.f is accidents.nested]
    birth = explain_nan(case.f, *arrays(case)).births[0]
    assert [(step, length) for _, step, length in birth.steps] == [(1, 3), (2, 4)]


def test_forward_mode():
    x = jnp.array([1.0, 0.0])
    report = explain_nan(accidents.squared_away, x, tangents=(jnp.ones(2),))
    assert report and report.births[0].primitive == "sqrt"
    assert not explain_nan(accidents.rooted, x, tangents=(jnp.ones(2),))


def test_trees_and_cotangents():
    def f(params, scale):
        return {"a": jnp.sqrt(params["w"]) * scale, "b": params["v"] * 2}

    params = {"w": jnp.zeros(2), "v": jnp.ones(3)}
    seeds = {"a": jnp.ones(2), "b": jnp.ones(3)}
    report = explain_nan(f, params, 2.0, cotangent=seeds)
    assert report.spoilt == [("params['w']", 2, 2)]
    with pytest.raises(InvalidArgument, match="cotangent"):
        explain_nan(f, params, 2.0)


def test_under_jit_it_is_told_when_the_function_runs(capfd):
    @jax.jit
    def step(x):
        report = jaxbp.explain_nan(accidents.rooted, x)
        assert not report
        return x * 2

    step(jnp.array([1.0, 0.0])).block_until_ready()
    jax.effects_barrier()
    assert "`sqrt`" in capfd.readouterr().out


def test_a_long_scan_and_where_it_is_reversed():
    def f(x, reverse):
        def body(h, t):
            return 0.5 * h + jnp.sqrt(jnp.abs(t - x)), None

        return jax.lax.scan(body, 0.0, jnp.arange(10000.0), reverse=reverse)[0]

    for reverse, step in ((False, 9990), (True, 9)):
        birth = explain_nan(f, 9990.0, reverse).births[0]
        assert birth.steps == (("scan", step, 10000),)


def test_a_value_that_is_nan_already_is_told_where_it_was_made():
    def f(x):
        def body(c, t):
            return jnp.sqrt(c - 3 * x) + t, None

        return jax.lax.scan(body, 30.0, jnp.zeros(9))[0]

    (birth,) = explain_nan(f, 1.0).births
    assert "outside the domain" in birth.kind and birth.steps[0][1] == 2
    assert birth.operands[0] < 0 and "step 8 of 9" in birth.read_by


def test_functions_with_no_single_slope():
    def solved(a):
        return jnp.linalg.solve(a, jnp.ones(2)).sum()

    def products(w):
        return jnp.sum(jnp.tanh(jnp.array([[1.0, jnp.inf]]) @ w))

    for f, x in ((solved, jnp.zeros((2, 2))), (products, jnp.ones((2, 2)))):
        report = explain_nan(f, x)
        assert report.births and str(report)


def test_the_births_of_a_loop_are_told_apart_by_step():
    def f(x):
        def run(a):
            def body(c, t):
                return 0.5 * c + jnp.log(jnp.abs(a - t)), None

            return jax.lax.scan(body, 0.0, jnp.array([3.0, 1.0, 2.0]))[0]

        return jnp.sum(jax.vmap(run)(x))

    (birth,) = explain_nan(f, jnp.array([2.0, 1.0, 7.0])).births
    assert birth.step == 2 and birth.also == [(("scan", 1, 3),)]
    assert birth.entries == 2 and birth.times == 1


def test_births_that_are_lost_within_a_loop_are_not_told():
    def f(x):
        first = jnp.arange(x.size) == 0

        def body(c, t):
            return jnp.sqrt(jnp.where(first & (t == 3), 0.0, c)), None

        return jnp.sum(jax.lax.scan(body, x, jnp.arange(5.0))[0])

    assert not explain_nan(f, jnp.array([4.0, 2.0]))
    report = explain_nan(f, jnp.array([4.0, 0.0]))
    assert report.births and all(birth.entries == 1 for birth in report.births)


def root_steps(x):
    return jax.lax.scan(
        lambda c, t: (c + jnp.sqrt(jnp.abs(x - t)), None), 0.0, jnp.arange(5.0)
    )[0]


def root_trips(x):
    def body(s):
        return s[0] + 1, s[1] + jnp.sqrt(jnp.abs(x - s[0]))

    return jax.lax.while_loop(lambda s: s[0] < 5, body, (0, x * 0))[1]


@pytest.mark.parametrize("f", [root_steps, root_trips])
def test_forward_mode_through_loops(f):
    (birth,) = explain_nan(f, 3.0, tangents=(1.0,)).births
    assert birth.primitive == "sqrt" and birth.step == 3 and birth.kind == "pole"


def test_a_loop_is_called_as_the_user_calls_it():
    def counted(x):
        return jax.lax.fori_loop(0, 4, lambda i, c: c + jnp.sqrt(x), 0.0)

    assert explain_nan(counted, 0.0).births[0].steps[0][0] == "fori_loop"
    assert explain_nan(root_trips, 3.0).births[0].steps[0][0] == "while_loop"


def test_a_cotangent_is_told_as_it_comes_in():
    (case,) = [c for c in ACCIDENTS if c.f is accidents.unit_rows]
    div, root = explain_nan(case.f, *arrays(case)).births
    assert np.isnan(root.cotangent) and "as it comes in" in str(dict(root.facts()))
    assert root.see == 1 and root.remedy is None and root.kind == "pole"
    assert "is for this, too" in str(explain_nan(case.f, *arrays(case)))
    assert div.batch == (1,) and div.operands == (0.0, 0.0)


def test_no_vmap_but_the_users_is_told():
    (birth,) = explain_nan(accidents.inverse, jnp.array([[1.0, 2], [2, 4]])).births
    assert birth.batch == ()


def test_a_finite_value_is_kept_by_the_remedy():
    def geometric(x):
        return jnp.exp(jnp.mean(jnp.log(x)))

    (birth,) = explain_nan(geometric, jnp.array([0.3, 0.0])).births
    assert birth.remedy.limit == "-jnp.inf"


def test_few_bytes_for_a_loop():
    def f(x):
        def body(h, t):
            return 0.5 * h + jnp.sqrt(jnp.abs(t - x)), None

        return jnp.sum(jax.lax.scan(body, jnp.zeros(7), jnp.arange(100.0))[0])

    with jaxbp.options(loop_bytes=7 * 8 * 25):
        birth = explain_nan(f, 41.0).births[0]
    assert birth.steps == (("scan", 41, 100),)


def test_a_long_operand_is_told_once():
    long = "jnp.sum((a[:, None] - a[None, :]) ** 2, axis=-1)"
    old, ok = f"jnp.sqrt({long} / x)", f"({long} / x) > 0"
    new = f"jnp.where({ok}, jnp.sqrt(jnp.where({ok}, {long} / x, 1.0)), 0.0)"
    told = str(Remedy(old, new, ", if meant"))
    assert told == (
        f"with `y` = `{long} / x`, `jnp.where(y > 0, jnp.sqrt(jnp.where(y > 0, y, "
        "1.0)), 0.0)` for `jnp.sqrt(y)`, if meant"
    )
    short = Remedy("jnp.log(p)", "jnp.where(p > 0, jnp.log(p), 0.0)", "")
    assert str(short) == "`jnp.where(p > 0, jnp.log(p), 0.0)` for `jnp.log(p)`"
    wider = Remedy("", ".astype(jnp.float32)", ", on what was not")
    assert str(wider) == "`.astype(jnp.float32)`, on what was not"
