"""What does reverse mode through a loop of unknown length cost, in time and in memory?

Expectation: going by taped blocks, a gradient runs the step three times and keeps some
hundred states whatever the number of trips: about 4 to 6 times the loop's own time. A
scan that keeps every residual needs memory in proportion to the trips; a masked scan
pays for the trips that might have been; a scan of known length goes through the same
bytes with fewer runs. Equinox's loops, where it is installed: checkpoints step by step.

Loops of a scalar, a vector of 4,096 and a matrix of 128 x 128, gradients by the carry
and by the weights, compared with JAX's through a scan of the same length, timed in turn
with the `lax.while_loop` itself. Predictions and counts are those of that scan.

Command: jaxbp study loops_in_reverse [--quick] [--device cpu|gpu|tpu]
Source: Griewank and Walther 2000, doi:10.1145/347837.347846.
"""

import importlib
from functools import lru_cache

import jax
import jax.numpy as jnp
from jax import lax

import jaxbp
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    at_the_end,
    crossed,
    grid,
    measure,
    numbered,
    plots,
    run,
)
from jaxbp.study.unstable import largest_whole
from jaxbp.timing import stages

MINUTES = 4.0

CARRIES = {"scalar": (), "vector": (4096,), "matrix": (128, 128)}
TRIPS = {
    "scalar": [1000, 10_000, 100_000],
    "vector": [100, 500, 2000],
    "matrix": [50, 200, 1000],
}
QUICK_TRIPS = {"scalar": [50, 200], "vector": [10, 20], "matrix": [5, 10]}
METHODS = {  # name: colour
    "jaxbp, while": "blue",
    "jaxbp, while, fewer bytes": "sky",
    "jaxbp, known length, same bytes": "green",
    "jax, known length": "black",
    "jax, nested checkpoints": "orange",
    "jax, masked scan": "vermilion",
    "equinox, checkpointed": "purple",
    "equinox, bounded": "grey",
}


def step(carry, w, i):
    """One trip: it looks at the trip's number, as bodies do."""
    i = i.astype(carry.dtype)
    if carry.ndim == 2:
        return jnp.tanh(carry @ w + 0.1 * i / (1 + i))
    return jnp.sin(carry) * w + 0.1 * i / (1 + i)


def by_while(loop):
    """f: ((carry, weights), trips) -> scalar, by `loop(cond, body, init)`."""

    def f(params, trips):
        carry, w = params
        body = lambda s: (s[0] + 1, step(s[1], w, s[0]))  # noqa: E731
        start = jnp.zeros((), trips.dtype), carry
        return jnp.sum(loop(lambda s: s[0] < trips, body, start)[1])

    return f


def by_scan(trips, ways=1, masked=False):
    """The same for a number of trips that is known, or a bound of it.

    Args:
      ways: so many equal parts are each a checkpoint.
    """

    def f(params, wanted):
        carry, w = params

        def one(carry, i):
            new = step(carry, w, i)
            return (jnp.where(i < wanted, new, carry) if masked else new), None

        part = lambda c, numbers: lax.scan(one, c, numbers)  # noqa: E731
        numbers = jnp.arange(trips, dtype=wanted.dtype)
        if ways > 1:
            part = jax.checkpoint(part)
            rows = numbers.reshape(ways, -1)
            return jnp.sum(lax.scan(lambda c, row: part(c, row), carry, rows)[0])
        return jnp.sum(part(carry, numbers)[0])

    return f


def parts(trips):
    """The divisor of the number of trips that is nearest to its root."""
    divisors = [n for n in range(1, trips + 1) if trips % n == 0]
    return min(divisors, key=lambda n: abs(n - trips**0.5))


def equinox_loop(kind, trips):
    """Equinox's while loop; None where it is not installed."""
    try:
        internal = importlib.import_module("equinox.internal")
    except ImportError:
        return None

    def loop(cond, body, init):
        most = None if kind == "checkpointed" else trips
        slots = {"checkpoints": 64} if kind == "checkpointed" else {}
        return internal.while_loop(cond, body, init, kind=kind, max_steps=most, **slots)

    return loop


def gradient(method, trips, state_bytes):
    """The contender's gradient; None where its package is not installed."""
    default = max(1 << 16, 300 * state_bytes)  # bytes that a loop keeps, as by default
    fewer = max(1 << 13, 60 * state_bytes)
    within = lambda size: jaxbp.Options(loop_bytes=size)  # noqa: E731
    if method == "jaxbp, while":
        return jaxbp.grad(by_while(lax.while_loop))
    if method == "jaxbp, while, fewer bytes":
        return jaxbp.grad(by_while(lax.while_loop), options=within(fewer))
    if method == "jaxbp, known length, same bytes":
        return jaxbp.grad(by_scan(trips), options=within(default))
    if method == "jax, known length":
        return jax.grad(by_scan(trips))
    if method == "jax, nested checkpoints":
        return jax.grad(by_scan(trips, parts(trips)))
    if method == "jax, masked scan":
        return jax.grad(by_scan(2 * trips, masked=True))
    loop = equinox_loop(method.partition(", ")[2], trips)
    return loop and jax.grad(by_while(loop))


@lru_cache(maxsize=1)
def prepared(carry, trips, dtype, seed):
    """Arguments, the while loop as a baseline, gradient as JAX has it, its price."""
    draw, shape = Draw(seed, dtype), CARRIES[carry]
    scale = 0.5 * shape[-1] ** -0.5 if len(shape) == 2 else 0.1
    w = draw.normal(*shape, scale=scale)
    w = w if len(shape) == 2 else w + 0.9
    args = jax.device_put(((draw.normal(*shape, scale=1), w), jnp.int32(trips)))
    known = by_scan(trips)
    wanted = jax.device_get(jax.jit(jax.grad(known))(*args))
    price = measure.priced(jax.grad(known), *args, dtype=dtype)
    return args, measure.baseline(by_while(lax.while_loop), *args), wanted, price


def measured(case):
    """The row of one gradient: right first, then its time over the loop's."""
    names = ("carry", "trips", "dtype", "seed")
    args, base, wanted, price = prepared(*(case[name] for name in names))
    f = gradient(case["method"], case["trips"], args[0][0].nbytes)
    if f is None:
        return {GAP: "equinox is not installed"}
    built = stages(f, *args)
    row = measure.correctness(built.output, wanted, 0.0, case["dtype"]) | price
    if GAP in row:
        return row
    timed = dict(rounds=case["rounds"], budget_s=case["budget_s"])
    return row | measure.against(base, built, args, **timed)


def summary(rows):
    """Each carry and method at the most trips, and growth with them."""
    names = ("ratio", "xla_temp_bytes", "trace_s", "compile_s")
    grown = {"growth of time": "time_s", "growth of memory": "xla_temp_bytes"}
    title = "At the most trips; growth with them; ratio: time over the loop's"
    return {title: at_the_end(rows, ("carry", "method"), "trips", names, grown)}


def claim(rows):
    """Time and memory at the most trips, beside a scan that keeps all."""
    return "; ".join(_claimed(rows, carry) for carry in CARRIES) + "."


def _claimed(rows, carry):
    of_carry = numbered(rows, carry=carry)
    compared = ("jaxbp, while", "jax, known length")
    trips = largest_whole(of_carry, "trips", "method", compared)
    told = {row["method"]: row for row in numbered(of_carry, trips=trips)}
    ours, theirs = (told[method] for method in compared)
    size = lambda row: f"{row['xla_temp_bytes'] / 1e6:.3g} MB"  # noqa: E731
    return (
        f"Through {trips:,} trips of a {carry} a gradient takes {ours['ratio']:.2g} "
        f"times the loop and {size(ours)}; JAX's through a scan of known length "
        f"{theirs['ratio']:.2g} times and {size(theirs)}"
    )


def plot(rows, axes):
    panels = [
        (carry, column, words)
        for carry in CARRIES
        for column, words in (
            ("ratio", "time over the loop's"),
            ("xla_temp_bytes", "bytes of XLA's temporaries"),
        )
    ]
    for axis, (carry, column, words) in zip(axes, panels, strict=True):
        plots.lines(axis, numbered(rows, carry=carry), "trips", column, METHODS)
        plots.over_sizes(axis, "trips", f"{carry}: {words}", "log")


def cases(trips, settings):
    loops = [c for carry, n in trips.items() for c in grid(carry=carry, trips=n)]
    return crossed(loops, method=list(METHODS), **settings)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(TRIPS, SETTINGS),
    quick=cases(QUICK_TRIPS, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("carry", "trips", "method", "closeness", "ratio", "ratio_q25", "ratio_q75"),
        *("xla_temp_bytes", "xla_peak_bytes", "device_peak_bytes", "base_s", "time_s"),
        *("predicted_s", "trace_s", "compile_s"),
    ),
    plot=plot,
    panels=(3, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
