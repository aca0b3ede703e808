"""How near is a whole Jacobian in the planned order to one written by hand?

Expectation: where a Jacobian is narrow inside, diagonal outside, or apart in blocks, an
order of elimination that multiplies no identity is as fast as the product by hand and
tens of times faster than either mode; where it is not, it is as fast as the better
mode, which the plan then names.

The families are those of `jaxbp.problems.jacobians`, weights as arguments. Hessians are
beside forward and reverse over `jax.grad`, sparse ones beside dense ones, a Laplacian
beside the trace of the Hessian. By hand is the same object: of a sparse one a BCOO
matrix, its indices an output, its entries by row; "compact" is by hand without those,
bands or blocks. All results are compared with JAX's first; the ways are timed in turn.

Command: jaxbp study jacobian_orders [--quick] [--device cpu|gpu|tpu]
Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., 2008, chapters 9 and 10.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

import jaxbp
from jaxbp.problems.jacobians import FAMILIES, family
from jaxbp.study import (
    GAP,
    QUICK_SETTINGS,
    SETTINGS,
    Study,
    grid,
    measure,
    numbered,
    plots,
    run,
)
from jaxbp.study.unstable import is_doubtful, steady, told
from jaxbp.timing import paired, stages, time_calls

MINUTES = 3.0

QUICK = ["bottleneck 512", "Lotka-Volterra", "Burgers", "Laplacian"]
WORTH = 1.3  # ways that lie nearer are one way
SHARE = 0.7  # of the speed by hand
FIRSTS = 3  # times that tracing and compiling is timed; the least counts
MODES = ("forward", "reverse")
GRADIENT_OF = ("hessian", "sparse hessian", "laplacian")
OURS = {
    "jacobian": jaxbp.jacobian,
    "hessian": jaxbp.hessian,
    "laplacian": jaxbp.laplacian,
    "batched": lambda f: jax.vmap(jaxbp.jacobian(f)),
    "sparse jacobian": jaxbp.sparse.jacobian,
    "sparse hessian": jaxbp.sparse.hessian,
}
PLANNED = {
    "jacobian": jaxbp.jacobian, "hessian": jaxbp.hessian, "batched": jaxbp.jacobian
}  # fmt: skip


def ways(known):
    """Way -> function of the arguments: JAX's two modes, by hand, and ours."""
    f = jax.grad(known.f) if known.wanted in GRADIENT_OF else known.f
    found = {"forward": jax.jacfwd(f), "reverse": jax.jacrev(f), "hand": known.by_hand}
    if known.compact:
        found["compact"] = known.compact
    if known.wanted == "batched":
        found = {name: jax.vmap(way) for name, way in found.items()}
    elif known.wanted == "laplacian":
        found |= {name: traced(found[name]) for name in MODES}
    return found | {"ours": OURS[known.wanted](known.f)}


def traced(way):
    """The trace of what it gives."""
    return lambda *args: jnp.trace(way(*args))


def dense(found, wanted):
    """What a way gave in the shape of JAX's: from places, bands, or blocks."""
    size = math.prod(wanted.shape[: wanted.ndim // 2])
    if isinstance(found, BCOO):
        matrix = np.zeros(found.shape, wanted.dtype)
        np.add.at(matrix, tuple(np.asarray(found.indices).T), np.asarray(found.data))
    elif found.shape == wanted.shape:
        return np.asarray(found)
    elif found.shape == (3, size):
        matrix, rows = np.zeros((size, size), wanted.dtype), np.arange(size)
        for k, band in enumerate(np.asarray(found)):
            np.add.at(matrix, (rows, (rows + k - 1) % size), band)
    else:
        matrix, rows = np.zeros(wanted.shape, wanted.dtype), np.arange(len(found))
        matrix[rows, :, rows] = found
    return matrix.reshape(wanted.shape)


def measured(case):
    """The row of one family: all ways are right, then timed in turn."""
    known, args = family(
        case["family"], case["size"], seed=case["seed"], dtype=case["dtype"]
    )
    built = {name: stages(way, *args) for name, way in ways(known).items()}
    row = checked(built, case["dtype"]) | prices(known, args, case["dtype"])
    if GAP in row:
        return row
    times = time_calls(
        {name: (one.compiled, args) for name, one in built.items()},
        rounds=case["rounds"],
        budget_s=case["budget_s"],
    )
    better = min(MODES, key=lambda name: times[name].median_s)
    row |= measure.time_columns(times["ours"], times[better]) | {"better": better}
    row |= {f"{name}_s": times[name].median_s for name in (*MODES, "hand")}
    row |= quartiles("hand_ratio", times["hand"], times[better])
    row |= quartiles("of_hand", times["hand"], times["ours"])
    if "compact" in times:
        row["of_compact"] = paired(times["compact"], times["ours"]).median
    first = dict.fromkeys(built, float("inf"))
    for again in range(FIRSTS):  # one such time by itself may be half as long again
        if again:
            jax.clear_caches()
            built = {name: stages(way, *args) for name, way in ways(known).items()}
        for name, one in built.items():
            took = one.trace_s + one.lower_s + one.compile_s
            first[name] = min(first[name], took)
    row |= {"first_s": first["ours"], "base_first_s": first[better]}
    row["first_ratio"] = first["ours"] / first[better]
    return measure.below_roof(row, "counted_flops", case["dtype"])


def checked(built, dtype):
    """Ours and by hand beside JAX's; each is held to rounding."""
    wanted = np.asarray(built["reverse"].output)
    for name in (*[n for n in ("hand", "compact") if n in built], "ours"):
        found = dense(built[name].output, wanted)
        row = measure.correctness(found, wanted, 0.0, dtype)
        if GAP in row:
            return row | {GAP: f"{row[GAP]} ({name})"}
    return row


def prices(known, args, dtype):
    """What ours is predicted to take, and what the plan says."""
    priced = {
        name: measure.priced(way, *args, dtype=dtype)
        for name, way in ways(known).items()
        if name not in ("hand", "compact")
    }
    least_s = min(priced[name]["predicted_s"] for name in MODES)
    row = priced["ours"] | {"predicted_ratio": priced["ours"]["predicted_s"] / least_s}
    if known.wanted not in PLANNED:
        return row | {"named": known.wanted}
    point = jax.tree.map(lambda x: x[0], args) if known.wanted == "batched" else args
    plan = PLANNED[known.wanted](known.f).plan(*point)
    modes = [way.time_s for way in plan.ways if way.name in MODES]
    named = plan.chosen
    return row | {"named": named.name, "plan_ratio": named.time_s / min(modes)}


def quartiles(column, contender, baseline):
    """A paired ratio with its quartiles."""
    ratio = paired(contender, baseline)
    return {
        column: ratio.median, f"{column}_q25": ratio.lower, f"{column}_q75": ratio.upper
    }  # fmt: skip


def counts(rows):
    """How many rows keep what is promised."""
    rows = steady(rows)
    apart = [r for r in rows if max(r["ratio"], 1 / r["ratio"]) > WORTH]
    return {
        "families": len(rows),
        f"at least {SHARE:.0%} of the speed by hand": sum(
            r["of_hand"] >= SHARE for r in rows
        ),
        "at most 1.05 of the better mode's time": sum(r["ratio"] <= 1.05 for r in rows),
        f"ways over {WORTH} apart": len(apart),
        "of these ours the least": sum(r["ratio"] < 1 for r in apart),
        "median of tracing and compiling over the better mode's": float(
            np.median([r["first_ratio"] for r in rows])
        ) if rows else None,
    }  # fmt: skip


def summary(rows):
    """Each family, and how many keep what is promised."""
    shown = [
        {
            "family": row["family"],
            "the plan's way": row["named"],
            "better of JAX's": row["better"],
            "time": told(row, "time_s"),
            **{
                name: told(row, column)
                for name, column in (
                    ("over the better", "ratio"),
                    ("predicted", "predicted_ratio"),
                    ("the plan's", "plan_ratio"),
                    ("by hand over the better", "hand_ratio"),
                    ("speed over by hand", "of_hand"),
                    ("over compact", "of_compact"),
                    ("tracing and compiling over", "first_ratio"),
                )
            },
        }
        for row in numbered(rows)
    ]
    return {
        "Time over the better of JAX's modes, by family; ratios and speeds are medians "
        "of turns in pairs, so not quotients of one another": shown,
        "What steady rows say": [counts(numbered(rows))],
    }


def claim(rows):
    """How often it is near the speed by hand, and never slower than a mode."""
    found = steady(numbered(rows))
    some = list(counts(rows).values())
    ahead = sorted(found, key=lambda row: row["ratio"])
    best, last = ahead[0], ahead[-1]
    near = [row["of_hand"] for row in found]
    return (
        f"Of {some[0]} families, {some[1]} reach {SHARE:.0%} of the speed of a product "
        f"written by hand (median {np.median(near):.0%}), and {some[2]} take at most "
        f"1.05 of the time of the better of JAX's modes: from {1 / best['ratio']:.2g} "
        f"times faster ({best['family']}) to {last['ratio']:.2f} of its time "
        f"({last['family']})."
    )


def plot(rows, axes):
    """Ours and by hand over the better of JAX's two; predicted beside measured."""
    ratios, predicted = axes
    shown = sorted(numbered(rows), key=lambda row: row["ratio"])
    places = list(range(len(shown)))
    for column, label, colour, mark in (
        ("hand_ratio", "by hand", "orange", "s"),
        ("ratio", "jaxbp.jacobian", "blue", "o"),
    ):
        own = plots.COLOURS[colour]
        values, low, high = (
            [row[f"{column}{end}"] for row in shown] for end in ("", "_q25", "_q75")
        )
        ratios.hlines(places, low, high, color=own, alpha=0.35, linewidth=3)
        ratios.plot(values, places, mark, color=own, label=label)
        doubtful = [
            row | {"place": place}
            for row, place in zip(shown, places, strict=True)
            if is_doubtful(row, column)
        ]
        plots.mark_unstable(ratios, doubtful, column, "place", colour, marker=mark)
    ratios.axvline(1, color=plots.INK, linewidth=0.8)
    ratios.set_xscale("log")
    ratios.set_yticks(places, [row["family"] for row in shown])
    ratios.invert_yaxis()
    ratios.set_title("time over the better of jacfwd and jacrev")
    ratios.legend(loc="lower left")
    for column, label, colour in (
        ("predicted_ratio", "by roofs", "orange"), ("plan_ratio", "by the plan", "blue")
    ):  # fmt: skip
        known = [row for row in shown if row.get(column)]
        at = [row["ratio"] for row in known]
        predicted.plot(
            at, [row[column] for row in known], "o",
            color=plots.COLOURS[colour], label=label,
        )  # fmt: skip
        doubtful = [row for row in known if is_doubtful(row, "ratio")]
        plots.mark_unstable(predicted, doubtful, "ratio", column, colour)
    if shown:
        ends = [pick(row["ratio"] for row in shown) for pick in (min, max)]
        predicted.plot(ends, ends, color=plots.INK, linewidth=0.8)
    plots.log_log(predicted, "measured ratio", "predicted ratio")
    predicted.legend(loc="lower right")


study = Study(
    file=__file__,
    question=__doc__,
    cases=grid(family=list(FAMILIES), size="real", **SETTINGS | dict(budget_s=1.5)),
    quick=grid(family=QUICK, size="small", **QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("family", "named", "better", "closeness", "ratio", "ratio_q25", "ratio_q75"),
        *("predicted_ratio", "plan_ratio", "hand_ratio", "of_hand", "of_compact"),
        "time_s",
        *("predicted_s", "forward_s", "reverse_s", "hand_s", "first_s", "first_ratio"),
        "roof_fraction",
    ),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
