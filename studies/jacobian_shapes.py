"""Which mode gives a whole Jacobian sooner, and where do the two cross?

Expectation: for f: R^n -> R^m, forward mode asks n pushforwards and reverse mode m
pullbacks, each a small multiple of f: forward mode wins where n is well below m, and
the two cross near n = m, a little on reverse mode's side, since a pullback costs more
than a pushforward. Taking the columns c at a time trades memory for time: memory
m0 + m1 c, time t0 + t1 / c.

f is a tanh network n -> 256 -> m of one vector; and, at a few shapes, networks of five
families. Each mode is timed in turn with the other, its Jacobian compared with JAX's
first.

Command: jaxbp study jacobian_shapes [--quick] [--device cpu|gpu|tpu]
Source: DESC's documentation for the law of chunks.
"""

from functools import lru_cache
from math import isqrt

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    crossed,
    grid,
    measure,
    numbered,
    plots,
    run,
    tables,
)
from jaxbp.study.unstable import MARK, UNSTABLE, Doubtful, is_unstable
from jaxbp.study.unstable import told as marked

MINUTES = 1.5

SIZES = [4, 16, 64, 256, 1024]
QUICK_SIZES = [4, 64, 256]
OTHERS = [(16, 256), (64, 16), (64, 64), (256, 16)]  # (n, m) of the other families
QUICK_OTHERS = [(16, 4)]
CHUNKS = [1, 4, 16, 64, 256]
CHUNKED = dict(
    part="chunks", family="one hidden layer", n=256, m=256, hidden=2048, batch=64
)
QUICK_CHUNKED = dict(
    part="chunks", family="one hidden layer", n=64, m=64, hidden=256, batch=8
)
WHOLE = {"pushforwards": jaxbp.jacfwd, "pullbacks": jaxbp.jacrev}
MODE = {"pushforwards": "forward", "pullbacks": "reverse"}


def network(x, W, V):
    """(n,) -> (m,): a hidden tanh layer, seen by a batch of offsets, averaged."""
    offsets = jnp.linspace(-1, 1, W["batch"].shape[0], dtype=x.dtype)[:, None]
    return (jnp.tanh(x[None] @ W["in"] + offsets) @ V).mean(0)


def cells(kind):
    """A recurrent network that reads four numbers a step."""
    return lambda n, m: (layers.recurrent_classifier(kind, 4, 32, m), (n // 4, 4))


def transformer(n, m):
    """A block over vectors of four, each embedded; the mean over them."""
    block = layers.transformer_block(16, 2, 32)
    parts = layers.dense(4, 16), block, layers.mean_over_time, layers.dense(16, m)
    return layers.sequential(*parts), (n // 4, 4)


FAMILIES = {  # name: (n, m) -> layer and how it reads the vector
    "MLP": lambda n, m: (layers.mlp([n, 128, 128, 128, m]), (n,)),
    "CNN": lambda n, m: (
        layers.cnn((isqrt(n), isqrt(n), 1), [8], m),
        (isqrt(n), isqrt(n), 1),
    ),
    "RNN": cells("rnn"),
    "LSTM": cells("lstm"),
    "transformer": transformer,
}


@lru_cache(maxsize=1)
def prepared(family, n, m, hidden, batch, dtype, seed):
    """f, its arguments, and the Jacobian as JAX has it."""
    draw = Draw(seed, dtype)
    if family in FAMILIES:
        model, shape = FAMILIES[family](n, m)
        args = draw.normal(n, scale=1), model.init(jax.random.key(seed), dtype)

        def f(x, params):
            return model.apply(params, x.reshape(1, *shape))[0]
    else:
        # The length of W["batch"] says how many offsets.
        W = {"in": draw.normal(n, hidden), "batch": draw.zeros(batch)}
        f, args = network, (draw.normal(n), W, draw.normal(hidden, m))
    args = jax.device_put(args)
    mode = jax.jacfwd if n < m else jax.jacrev
    return f, args, jax.device_get(jax.jit(mode(f))(*args))


@lru_cache(maxsize=4)
def other(mode, *network_and_settings):
    """What a mode is timed beside."""
    f, args, _ = prepared(*network_and_settings)
    dtype = network_and_settings[-2]
    if mode == "f":
        return measure.baseline(f, *args, dtype=dtype)
    return measure.baseline(WHOLE[mode](f), *args, dtype=dtype)


def in_chunks(chunk):
    """The Jacobian by pushforwards, `chunk` columns at a time."""

    def jacobian(x, *weights):
        def column(seed):
            return jaxbp.jvp(lambda x: network(x, *weights), (x,), (seed,))[1]

        seeds = jnp.eye(x.size, dtype=x.dtype)
        return jax.lax.map(column, seeds, batch_size=chunk).T

    return jacobian


def measured(case):
    """The row of one Jacobian, whole or in chunks."""
    names = ("family", "n", "m", "hidden", "batch", "dtype", "seed")
    setting = tuple(case[name] for name in names)
    f, args, wanted = prepared(*setting)
    if case["part"] == "chunks":
        jacobian, base = in_chunks(case["chunk"]), other("f", *setting)
        return measure.contest(jacobian, args, base, case, wanted)
    method = case["method"]
    rival = next(name for name in WHOLE if name != method)
    base = other(rival, *setting)
    told = {"mode": MODE[method]}
    return told | measure.contest(WHOLE[method](f), args, base, case, wanted)


def forward_over_reverse(rows):
    """{(n, m): row of the pushforwards}: its ratio is to the pullbacks."""
    shapes = numbered(rows, part="shapes", method="pushforwards")
    return {(row["n"], row["m"]): row for row in shapes}


def is_doubtful(rows, row):
    """Whether quartiles lie apart, or this ratio and the one the other way round, which
    was measured by itself, say different things."""
    place = {name: row[name] for name in ("part", "family", "n", "m")}
    mirrored = numbered(rows, method="pullbacks", **place)
    apart = [abs(np.log(row["ratio"] * other["ratio"])) for other in mirrored]
    return is_unstable(row, "ratio") or max(apart, default=0) > np.log(UNSTABLE)


def relied(rows):
    """The rows of both modes at whole Jacobians that a claim may rest on."""
    whole = numbered(rows, method="pushforwards")
    return [row for row in whole if not is_doubtful(rows, row)]


def told(rows, row):
    """A ratio; with its mark where it is doubtful."""
    return Doubtful(row["ratio"]) if is_doubtful(rows, row) else row["ratio"]


def summary(rows):
    """The ratio of the modes by n and m; the crossover; the chunks."""
    cells = forward_over_reverse(rows)
    lines = [
        {"inputs n": n}
        | {f"m = {m}": told(rows, r) for (k, m), r in cells.items() if k == n}
        for n in sorted({n for n, _ in cells})
    ]
    square = [
        row["ratio"] for row in relied(rows)
        if row["n"] == row["m"] and row["part"] == "shapes"
    ]  # fmt: skip
    median = f"{np.median(square):.2f} where n = m" if square else "no square ones"
    median += " (in this family)"
    chunks = [
        {
            c: marked(row, c)
            for c in ("chunk", "time_s", "predicted_s", "xla_temp_bytes")
        }
        for row in numbered(rows, part="chunks")
    ]
    others = [
        row | {"shape": f"{row['n']} -> {row['m']}", "ratio": told(rows, row)}
        for row in numbered(rows, part="families", method="pushforwards")
    ]
    return {
        f"Time of n pushforwards over time of m pullbacks; median {median}; {MARK}: "
        "also where the pair, measured once more the other way round, differs by over "
        f"{UNSTABLE}": lines,
        "The same ratio in other families": tables.pivot(
            others, ["shape"], "family", "ratio"
        ),
        "The Jacobian by pushforwards, in chunks": chunks,
    }


def claim(rows):
    """How often the mode with fewer sweeps is the faster, and where they tie."""
    modes = relied(rows)
    fewer = [row for row in modes if row["n"] < row["m"]]
    more = [row for row in modes if row["n"] > row["m"]]
    square = [row["ratio"] for row in modes if row["n"] == row["m"]]
    ahead = sum(row["ratio"] < 1 for row in fewer)
    behind = sum(row["ratio"] > 1 for row in more)
    furthest = [pick(row["ratio"] for row in modes) for pick in (min, max)]
    return (
        f"n pushforwards are faster than m pullbacks in {ahead} of {len(fewer)} "
        f"networks with n < m, slower in {behind} of {len(more)} with n > m, and take "
        f"{np.median(square):.2f} times as long where n = m (median of all families; "
        f"over all shapes {furthest[0]:.2g} to {furthest[1]:.2g}). Of "
        f"{len(numbered(rows, method='pushforwards'))} networks {len(modes)} are "
        "counted: of the others two measurements, or quartiles, are over 1.5 apart."
    )


def plot(rows, axes):
    heat, edge, chunks, memory = axes
    cells = forward_over_reverse(rows)
    doubtful = {place for place, row in cells.items() if is_doubtful(rows, row)}
    plots.heat_map(
        heat,
        {place: row["ratio"] for place, row in cells.items()},
        ("inputs n", "outputs m", "time of pushforwards / pullbacks"),
        doubtful,
    )
    if doubtful:
        heat.set_xlabel(
            f"outputs m     {MARK}: quartiles or two measurements over 1.5 apart"
        )
    line(edge, cells.values(), "predicted_ratio", "predicted", "orange")
    line(edge, cells.values(), "ratio", "measured", "blue")
    loose = [cells[n, m] | {"n/m": n / m} for n, m in doubtful]
    plots.mark_unstable(edge, loose, "n/m", "ratio", "blue")
    edge.axhline(1, color=plots.INK, linewidth=0.8)
    edge.axvline(1, color=plots.INK, linewidth=0.8)
    plots.log_log(edge, "inputs n / outputs m", "the same ratio, over n / m")
    shown = numbered(rows, part="chunks")
    sizes = [row["chunk"] for row in shown]
    for column, label, colour in (
        ("time_s", "measured", "blue"),
        ("predicted_s", "predicted", "orange"),
    ):
        times = [row[column] * 1e3 for row in shown]
        plots.line(chunks, sizes, times, label, colour)
    plots.over_sizes(chunks, "columns at a time", "a Jacobian in chunks: time (ms)")
    held = [row["xla_temp_bytes"] / 2**20 for row in shown]
    plots.line(memory, sizes, held, "", "vermilion")
    plots.note(memory, "the last: all at once, without a loop", 0.35, 0.1)
    plots.over_sizes(
        memory, "columns at a time", "the same: temporaries of XLA's plan (MiB)"
    )


def line(axis, rows, column, label, colour):
    """A ratio over n / m, all shapes as dots."""
    rows = list(rows)
    x = [row["n"] / row["m"] for row in rows]
    plots.line(axis, x, [row[column] for row in rows], label, colour, linestyle="")


def cases(sizes, others, chunked, settings):
    setting = settings | dict(hidden=256, batch=1)
    shapes = grid(part="shapes", family="one hidden layer", n=sizes, m=sizes)
    families = [
        case
        for n, m in others
        for case in grid(part="families", family=list(FAMILIES), n=n, m=m)
    ]
    whole, rest = (
        crossed(part, **setting, method=list(WHOLE)) for part in (shapes, families)
    )
    chunks = [c for c in CHUNKS if c <= chunked["n"]]
    return [*whole, *grid(**chunked, chunk=chunks, **settings), *rest]


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(SIZES, OTHERS, CHUNKED, SETTINGS),
    quick=cases(QUICK_SIZES, QUICK_OTHERS, QUICK_CHUNKED, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("part", "family", "n", "m", "method", "chunk"),
        *(*measure.COMPARED, *measure.TIMED, "xla_temp_bytes"),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
