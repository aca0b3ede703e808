"""Times predicted from roofs, against sums by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.costs import traced_amount
from jaxbp.timing import Roofs
from jaxbp.timing.roofs import Curve, Steps

# A device on which a flop takes 1 ns, a byte 1 ns, and a tanh 1 s.
ROOFS = Roofs(
    flops_per_s=1e9,
    bytes_per_s=1e9,
    straight=Steps(*[Curve((1.0, 2.0), (1e-9, 2e-9))] * 2),
    looped=Steps(*[Curve((1.0, 2.0), (1e-10, 2e-10))] * 2),  # ten times faster
    elementwise_flops_per_s=1e9,
    transcendentals_per_s=1.0,
    call_s=1e-6,
)
A, X = jnp.ones((32, 32)), jnp.ones(8)


def seconds(f, *args, **told):
    return traced_amount(f, *args, roofs=ROOFS, **told).time_s


def test_a_product_takes_the_longer_of_its_flops_and_its_bytes():
    assert seconds(lambda a: a @ a, A).low == pytest.approx(2 * 32**3 * 1e-9)
    row, column = jnp.ones((1, 32)), jnp.ones((32, 1))
    moved = 8 * (32 + 32 + 1) * 1e-9  # of an inner product: 64 flops
    assert seconds(lambda a, b: a @ b, row, column).low == pytest.approx(moved)


def test_transcendentals_take_their_time():
    assert seconds(jnp.tanh, X).low == pytest.approx(8)


def test_loops_multiply_and_branches_are_ranges():
    def loop(x):
        return lax.scan(lambda x, _: (jnp.tanh(x), None), x, length=5)[0]

    assert seconds(loop, X).low == pytest.approx(5 * 8)
    branch = seconds(lambda p, x: lax.cond(p, jnp.tanh, lambda x: x * x, x), True, X)
    assert branch.low < 1e-3 and branch.high == pytest.approx(8)


def test_a_loop_s_steps_take_what_they_take_in_loops():
    def loop(x):
        return lax.scan(lambda x, _: (x @ x, None), x, length=5)[0]

    assert seconds(loop, A).low == pytest.approx(5 * 2 * 32**3 * 1e-10)


def test_a_transposed_output_takes_another_pass():
    moved = 8 * 2 * A.size * 1e-9
    assert seconds(lambda a: 2 * a, A).low == pytest.approx(moved)
    assert seconds(lambda a: (2 * a).T, A).low == pytest.approx(2 * moved)
    assert seconds(lambda a: jnp.split((2 * a).T, [8]), A).low > 1.9 * moved
    assert seconds(lambda x: (2 * x[None]).T, X).low == pytest.approx(8 * 16e-9)


def test_a_report_tells_times_only_with_roofs():
    types = [jax.ShapeDtypeStruct((64, 64), "float64")] * 2
    f = lambda w, x: jnp.sum((x @ w) ** 2)  # noqa: E731
    assert "  predicted" not in str(jaxbp.cost(f, *types))
    report = jaxbp.cost(f, *types, roofs=ROOFS)
    assert "predicted" in str(report) and " µs" in str(report)
    assert report.vjp.time_s.low > report.f.time_s.low >= 2 * 64**3 * 1e-9
    assert report.as_dicts()[0]["time_s_max"] == report.f.time_s.high
