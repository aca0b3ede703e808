"""The report of `jaxbp.cost`: both modes by hand, monotone, abstract, well refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp import costs
from jaxbp.errors import InvalidArgument

X = jnp.ones(8)
W = jnp.ones((5, 8))


def layer(W, x):
    return jnp.tanh(W @ x)


def test_both_modes_of_a_layer_by_hand():
    report = jaxbp.cost(layer, W, X)
    product = 2 * 5 * 8
    assert (report.inputs, report.outputs) == (40, 5)
    assert report.f.flops.low == product
    assert report.f.transcendentals.low == 5
    # y_dot = (1 - y) (1 + y) (W_dot x), W_bar = ((1 - y) (1 + y) y_bar) xᵀ: the slope
    # takes 3 for each y, to apply it 1.
    assert report.pushforward.flops.low == product + 4 * 5
    assert report.pullback.flops.low == product + 4 * 5
    assert report.pullback.transcendentals.low == 0
    assert report.jvp.flops.low == 2 * product + 4 * 5
    assert report.vjp.flops == report.linearize.flops + report.pullback.flops
    # The slopes are shared by all columns, or rows; the products are not.
    assert report.jacobian_forward.flops.low == product + 40 * product + 15 + 40 * 5
    assert report.jacobian_reverse.flops.low == product + 5 * product + 15 + 5 * 5
    assert report.cheaper_mode == "reverse"


def test_a_tall_jacobian_is_cheaper_forward():
    report = jaxbp.cost(lambda x: layer(W, x) @ jnp.ones((5, 50)), X[:8])
    assert report.cheaper_mode == "forward"


def test_nothing_runs_and_types_are_enough():
    huge = jax.ShapeDtypeStruct((1 << 20, 1 << 20), jnp.float32)  # 4 TiB

    def f(W, x):
        jax.debug.callback(lambda: pytest.fail("f ran"))
        return jnp.sum(W @ x)

    report = jaxbp.cost(f, huge, jax.ShapeDtypeStruct((1 << 20,), jnp.float32))
    assert report.f.flops.low == 2 * 2**40 + 2**20 - 1
    assert report.tape.total_bytes == 4 * 2**20  # x


def test_arrays_and_types_are_counted_alike():
    types = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (W, X)]
    assert jaxbp.cost(layer, *types).rows == jaxbp.cost(layer, W, X).rows


def network(depth, width, batch):
    def f(params, x):
        for w in params:
            x = jnp.tanh(x @ w)
        return x.sum()

    types = [jax.ShapeDtypeStruct((width, width), jnp.float32)] * depth
    return jaxbp.cost(f, types, jax.ShapeDtypeStruct((batch, width), jnp.float32))


@pytest.mark.parametrize("axis", range(3))
def test_everything_grows_with_depth_width_and_batch(axis):
    base = [2, 8, 4]
    grown = [base[:axis] + [base[axis] * k] + base[axis + 1 :] for k in (1, 2, 4)]
    for small, large in itertools.pairwise(network(*sizes) for sizes in grown):
        for (name, less), (_, more) in zip(small.rows, large.rows, strict=True):
            assert less.flops.low < more.flops.low, name
            assert less.read_bytes.low < more.read_bytes.low, name
        assert small.tape.computed_bytes < large.tape.computed_bytes


def test_a_deep_network_s_gradient_is_three_of_its_losses():
    depth = 40
    report = network(depth, 64, 64)
    expected = (3 * depth - 1) / depth
    assert report.vjp.flops.low / report.f.flops.low == pytest.approx(expected, 0.02)


def test_argnums_and_aux_are_jax_s():
    def f(W, x):
        y = layer(W, x)
        return y, jnp.outer(y, y) @ y

    report = jaxbp.cost(f, W, X, argnums=(0, 1), has_aux=True)
    assert report.inputs == 48
    assert report.f.flops.low == 80  # what only aux needs is not counted
    both = report.pullback.flops.low - jaxbp.cost(layer, W, X).pullback.flops.low
    assert both == 80
    assert jaxbp.cost(layer, W, X, argnums=-1).inputs == 8


def test_python_numbers_and_integers_are_held():
    def f(params, n):
        return sum(params["w"] ** k for k in range(n)).sum() * params["step"]

    report = jaxbp.cost(f, {"w": X, "step": np.float64(3)}, 3)
    assert report.inputs == 9


def test_a_while_loop_and_its_derivatives_have_no_known_length():
    def f(x):
        return jax.lax.while_loop(lambda x: x.sum() < 99, lambda x: x * x + 1, x)

    report = jaxbp.cost(f, X)
    for amount in (report.f, report.pushforward, report.pullback):
        assert amount is not None and amount.flops.high == float("inf")
    with jaxbp.options(strict_while=True):
        refused = jaxbp.cost(f, X)
    assert refused.pullback is None and refused.vjp is None
    assert refused.cheaper_mode == "forward"
    assert any("reverse" in remark for remark in refused.remarks)
    (loop,) = [remark for remark in report.remarks if "while_trips" in remark]
    assert "test_cost.py" in loop
    assert "unbounded" in str(report)
    told = jaxbp.cost(f, X, while_trips=10)
    assert told.f.flops.low == 11 * 8 + 10 * 16
    assert told.pushforward.flops.high < float("inf")
    assert any("blocks of the while loop" in remark for remark in told.remarks)


def test_a_missing_rule_is_told_once_and_f_is_counted():
    def f(x):
        return jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((8,), x.dtype), x)

    report = jaxbp.cost(f, X)
    assert report.f.assumed == {"pure_callback"}
    assert report.tape is None and report.linearize is None
    assert report.cheaper_mode is None
    assert len(report.remarks) == 2
    assert "no linear program: a callback (`pure_callback`)" in report.remarks[0]
    assert "-" in str(report)


def test_the_table_shows_every_amount():
    report = jaxbp.cost(layer, W, X)
    text = str(report)
    for words in ("layer: n = 40 inputs, m = 5 outputs", "pullback", "Tape: 40 B"):
        assert words in text
    assert "test_cost.py" in text  # where the tape's largest residual is made
    assert "<table" in report._repr_html_()
    assert len(report.rows) == 8
    first = report.as_dicts()[0]
    assert first["flops_min"] == first["flops_max"] == 80
    assert first["time_s_min"] is None  # there were no roofs


@pytest.mark.parametrize(
    ("range_", "unit", "text"),
    [
        (costs.Range(0, 0), "", "0"),
        (costs.Range(999, 999), "", "999"),
        (costs.Range(1234, 1234), "B", "1.23 kB"),
        (costs.Range(999_999, 999_999), "", "1 M"),
        (costs.Range(1200, 3400), "", "1.2..3.4 k"),
        (costs.Range(0, 3400), "", "0..3.4 k"),
        (costs.Range(1200, 3_400_000), "B", "1.2 kB..3.4 MB"),
        (costs.Range(8, float("inf")), "", "8..unbounded"),
    ],
)
def test_numbers_are_short(range_, unit, text):
    from jaxbp.costs.render import show

    assert show(range_, unit) == text


def test_a_study_s_row():
    row = costs.counted(lambda W, x: jnp.sum(layer(W, x)), W, X)
    assert row == {
        "f_flops": 84,
        "pushforward_flops": 80 + 20 + 4,
        "pullback_flops": 80 + 20,
        "tape_bytes": 40 + 64,
        "tape_computed_bytes": 40,
    }
    assert costs.flops(layer, W, X) == 80


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jaxbp.cost(lambda x: x if x > 0 else -x, 1.0), "needs the value"),
        (lambda: jaxbp.cost(lambda n: n + 1, 3), "floating"),
        (lambda: jaxbp.cost(layer, W, X, argnums=2), "argnums"),
        (lambda: jaxbp.cost(layer, W, X, while_trips=-1), "while_trips"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidArgument, match=message):
        call()


def test_an_empty_argument_has_a_price():
    report = jaxbp.cost(lambda x: jnp.sum(x**2), jnp.zeros(0))
    assert (report.inputs, report.f.flops.high) == (0, 0)


def test_argnums_none_is_all():
    def f(x, y):
        return jnp.sum(x * y)

    args = jnp.ones(2), jnp.ones(2)
    assert jaxbp.cost(f, *args, argnums=None).inputs == 4


def test_numpy_inside_gets_the_right_advice():
    with pytest.raises(InvalidArgument, match=r"test_cost.py:\d+.*write jnp"):
        jaxbp.cost(lambda x: np.sum(np.asarray(x)), jnp.ones(2))


def test_a_function_without_output_is_refused():
    with pytest.raises(InvalidArgument, match="must return arrays"):
        jaxbp.cost(lambda x: None, jnp.ones(2))


def test_the_rows_for_a_file_hold_all_that_is_shown():
    def doubled(x):
        return jax.lax.while_loop(lambda c: c < 10, lambda c: 2 * c, x)

    with jaxbp.options(strict_while=True):
        report = jaxbp.cost(doubled, 2.0)
    rows = report.as_dicts()
    assert [row["what"] for row in rows] == [
        str(line.cells[0]) for line in report.table().lines
    ]
    (refused,) = [row for row in rows if row["what"] == "pullback, tape given"]
    assert refused["flops_max"] is None and "no pullback" in refused["remarks"]
    assert (refused["n"], refused["m"]) == (1, 1)
    first = jaxbp.cost(jnp.sin, 2.0).as_dicts()[0]
    assert first["tape_bytes"] > 0 and first["remarks"] == ""


def test_what_loops_keep_has_the_line_of_the_loop():
    def scanned(x):
        return jax.lax.scan(lambda c, _: (jnp.sin(c) * x, None), x, length=50)[0].sum()

    def looped(x):
        more, step = lambda s: s[0] < 10, lambda s: (s[0] + 1, jnp.sin(s[1]) * x)
        return jax.lax.while_loop(more, step, (0, x))[1].sum()

    for f, trips in ((scanned, None), (looped, 10), (looped, None)):
        report = jaxbp.cost(f, jnp.ones(3), while_trips=trips)
        kept = [r for r in report.tape.residuals if r.tape_bytes > 100]
        assert kept and all(f"({f.__qualname__}" in r.where for r in kept)
        assert all(f"({f.__qualname__}" in remark for remark in report.remarks)
        assert bool(report.remarks) == (f is looped)
