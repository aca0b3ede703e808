"""Are sparse derivatives from terms as fast as those from colours, planning apart?

Expectation: where the linear program is taken apart into terms, its entries are those
of the terms, at one evaluation; a tool that colours pays one sweep a colour, and one
that propagates dense blocks pays for their zeros. Planning costs a trace, and grows
with the number of entries.

The first problems are the peers' own examples. A peer takes part where it is installed
(`pip install -e .[peers]`); "dense" is the better of JAX's modes, where its matrix is
not too large. Every result is checked by a product with a vector, then both are timed
in turn.

Command: jaxbp study sparse_jacobians [--quick] [--device cpu|gpu|tpu]
Source: the examples of asdex, sparsejac and folx; Hill and Dalle 2025,
arXiv:2501.17737 (sparse automatic differentiation); Li et al. 2024,
doi:10.1038/s42256-024-00794-x (forward Laplacian).
"""

import importlib
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
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
from jaxbp.study.unstable import is_unstable, steady, told
from jaxbp.timing import stages, time_calls

MINUTES = 1.5


def differences(x):
    return (x[1:] - x[:-1]) ** 2


def squares(x):
    return x**2


def heat(u):
    """Reaction and diffusion on a line, held at both ends."""
    wide = jnp.pad(u, 1)
    return (wide[2:] - 2 * u + wide[:-2]) * 100 - jnp.exp(u)


def burgers(u):
    right, left = jnp.roll(u, -1), jnp.roll(u, 1)
    return -u * (right - left) / 2 + 0.1 * (right - 2 * u + left)


def plate(u):
    """Reaction and diffusion on a square."""
    near = sum(jnp.roll(u, s, axis) for s in (-1, 1) for axis in (0, 1))
    return 4 * u - near + u**3


def chain(x):
    """A chain of springs that bend: the Hessian has five bands."""
    bent = x[2:] - 2 * x[1:-1] + x[:-2]
    return jnp.sum(bent**4) + jnp.sum((x[1:] - x[:-1]) ** 2)


def hub(x):
    """All tied to one: the Hessian is an arrow."""
    return jnp.sum(jnp.sin(x) * x[0]) + jnp.sum(x**3)


def network(x, *weights):
    """The same network at each node, summed."""
    for w in weights[:-1]:
        x = jax.nn.silu(x @ w)
    return jnp.sum(x @ weights[-1])


class Problem(NamedTuple):
    """A function, its sizes, and what is wanted of it."""

    f: Any
    shape: tuple[int, ...]
    wanted: str = "jacobian"
    peers: tuple[str, ...] = ("asdex", "sparsejac", "dense")
    widths: tuple[int, ...] = ()


LAPLACIANS = ("folx", "dense")
PROBLEMS = {
    "asdex's differences": Problem(differences, (1000,)),
    "sparsejac's squares": Problem(squares, (10_000,), peers=("asdex", "sparsejac")),
    "folx's nodes": Problem(
        network, (20, 4), "laplacian", LAPLACIANS, (4, *[100] * 10, 1)
    ),
    "network": Problem(network, (256,), "laplacian", LAPLACIANS, (256, 1024, 1)),
    "heat": Problem(heat, (5000,)),
    "Burgers": Problem(burgers, (1000,)),
    "plate": Problem(plate, (60, 60)),
    "chain": Problem(chain, (2000,), "hessian"),
    "hub": Problem(hub, (2000,), "hessian"),
    "heat, large": Problem(heat, (100_000,), peers=("asdex", "sparsejac")),
}
SMALL = 10  # times smaller in a quick run
CONTESTS = [(n, peer) for n, problem in PROBLEMS.items() for peer in problem.peers]
QUICK = [
    c for c in CONTESTS if c[0] in ("asdex's differences", "Burgers", "hub", "network")
]


def drawn(problem, size, seed):
    """The point and the weights."""
    keys = jax.random.split(jax.random.key(seed), 1 + len(problem.widths))
    shape = problem.shape if size == "real" else (max(problem.shape[0] // SMALL, 4),)
    shape = (shape[0], *problem.shape[1:])
    widths = problem.widths
    if widths and len(shape) == 1:
        widths = (shape[0], *widths[1:])
    weights = [
        jax.random.normal(key, (m, n)) / np.sqrt(m)
        for key, m, n in zip(keys[1:], widths, widths[1:], strict=False)
    ]
    return jax.random.uniform(keys[0], shape, minval=0.1, maxval=1.0), weights


def ours(problem, x):
    if problem.wanted == "laplacian":
        return jaxbp.laplacian(problem.f)
    return getattr(jaxbp.sparse, problem.wanted)(problem.f)


def by_asdex(problem, x):
    asdex = importlib.import_module("asdex")
    flat = lambda v: problem.f(v.reshape(x.shape)).reshape(-1)  # noqa: E731
    if problem.wanted == "hessian":
        flat = lambda v: problem.f(v.reshape(x.shape))  # noqa: E731
    inside = getattr(asdex, problem.wanted)(flat, x.reshape(-1))
    return lambda v: inside(v.reshape(-1))


def by_sparsejac(problem, x):
    """It is told the pattern, which it does not find."""
    sparsejac = importlib.import_module("sparsejac")
    f = problem.f if problem.wanted == "jacobian" else jax.grad(problem.f)
    places = jaxbp.sparse.pattern(f, x)
    pattern = jax.experimental.sparse.BCOO(
        (jnp.ones(places.nse), jnp.asarray(places.indices)), shape=places.shape
    )
    flat = lambda v: f(v.reshape(x.shape)).reshape(-1)  # noqa: E731
    inside = sparsejac.jacfwd(flat, pattern)
    return lambda v: inside(v.reshape(-1))


def by_folx(problem, x):
    folx = importlib.import_module("folx")
    flat = lambda v, *w: problem.f(v.reshape(x.shape), *w)  # noqa: E731

    def of(x, *weights):
        inside = lambda v: flat(v, *weights)  # noqa: E731
        sparse = 0 if x.ndim == 1 else 0.6 * x.size
        return folx.forward_laplacian(inside, sparse)(x.reshape(-1)).laplacian

    return of


def by_jax(problem, x):
    if problem.wanted == "jacobian":
        return jax.jacfwd(problem.f)
    if problem.wanted == "hessian":
        return jax.hessian(problem.f)
    return lambda x, *w: jnp.trace(
        jax.hessian(problem.f)(x, *w).reshape(x.size, x.size)
    )


PEERS = {
    "asdex": by_asdex, "sparsejac": by_sparsejac, "folx": by_folx, "dense": by_jax
}  # fmt: skip


def product(found, problem, x, v):
    """The derivative times a vector; a Laplacian is one number."""
    if problem.wanted == "laplacian":
        return found
    if not hasattr(found, "todense"):
        return found.reshape(-1, x.size) @ v
    return found @ v


def wanted_of(problem, x, weights, v):
    """The same by JAX, without the matrix."""
    f = problem.f if problem.wanted == "jacobian" else jax.grad(problem.f)
    push = lambda s: jax.jvp(lambda x: f(x, *weights), (x,), (s,))[1]  # noqa: E731
    if problem.wanted != "laplacian":
        return push(v.reshape(x.shape)).reshape(-1)
    basis = jnp.eye(x.size, dtype=x.dtype).reshape(-1, *x.shape)
    return sum(jnp.vdot(e, push(e)) for e in basis[: x.size])


def planned(make, problem, x, args):
    """The compiled program, and the seconds until it was traced."""
    start = time.perf_counter()
    way = make(problem, x)
    built = stages(way, *args)
    spent = time.perf_counter() - start
    return built, spent - built.lower_s - built.compile_s - built.first_run_s


def measured(case):
    """Ours beside one peer on one problem."""
    problem = PROBLEMS[case["problem"]]
    x, weights = drawn(problem, case["size"], case["seed"])
    args = (x, *weights)
    try:
        base, base_plan_s = planned(PEERS[case["peer"]], problem, x, args)
    except ImportError:
        return {GAP: f"not installed: {case['peer']}"}
    built, plan_s = planned(ours, problem, x, args)
    v = jax.random.normal(jax.random.key(case["seed"] + 1), (x.size,))
    wanted = wanted_of(problem, x, weights, v)
    for one in (base, built):
        found = product(one.output, problem, x, v)
        row = measure.correctness(found, wanted, 0.0, case["dtype"])
        if GAP in row:
            return row
    row |= measure.priced(ours(problem, x), *args, dtype=case["dtype"])
    times = time_calls(
        {"ours": (built.compiled, args), "peer": (base.compiled, args)},
        rounds=case["rounds"],
        budget_s=case["budget_s"],
    )
    row |= measure.time_columns(times["ours"], times["peer"])
    if hasattr(built.output, "nse"):
        row["entries"] = built.output.nse
    return row | {"n": x.size, "plan_s": plan_s, "base_plan_s": base_plan_s}


def summary(rows):
    """Each contest: time, its ratio to the peer's, and planning."""
    columns = (
        ("our time", "time_s"), ("over the peer's", "ratio"),
        ("our planning", "plan_s"), ("the peer's planning", "base_plan_s"),
    )  # fmt: skip
    shown = [
        {"problem": row["problem"], "beside": row["peer"]}
        | {"entries": row.get("entries")}
        | {name: told(row, column) for name, column in columns}
        for row in numbered(rows)
    ]
    return {"Time and planning beside each peer": shown}


def claim(rows):
    """How often ours is at least as fast, and where it is not."""
    found = steady(numbered(rows))
    peers = [row for row in found if row["peer"] != "dense"]
    if not peers:
        return "No peer was installed; beside JAX's dense derivatives see the table."
    ahead = [row for row in peers if row["ratio"] <= 1]
    slow = ", ".join(
        f"{row['problem']} beside {row['peer']} ({row['ratio']:.2f})"
        for row in peers
        if row["ratio"] > 1
    )
    least = min(peers, key=lambda row: row["ratio"])
    return (
        f"In {len(ahead)} of {len(peers)} contests with a peer ours takes at most its "
        f"time, at best {1 / least['ratio']:.2g} times faster ({least['problem']}, "
        f"{least['peer']})" + (f"; not in {slow}." if slow else ".")
    )


def plot(rows, axes):
    """Our time over each peer's."""
    (axes,) = axes
    found = numbered(rows)
    names = list(dict.fromkeys(row["problem"] for row in found))
    looks = zip(("blue", "orange", "green", "sky"), "osD^", (8, 4.5, 6, 6), strict=True)
    for peer, (colour, mark, size) in zip(PEERS, looks, strict=True):
        own = [row for row in found if row["peer"] == peer]
        places = [names.index(row["problem"]) for row in own]
        axes.hlines(
            places,
            [row["ratio_q25"] for row in own],
            [row["ratio_q75"] for row in own],
            color=plots.COLOURS[colour], alpha=0.35, linewidth=3,
        )  # fmt: skip
        axes.plot(
            [row["ratio"] for row in own], places, mark,
            color=plots.COLOURS[colour], label=peer, markersize=size,
        )  # fmt: skip
        rough = [row | {"at": names.index(row["problem"])} for row in own]
        rough = [row for row in rough if is_unstable(row)]
        style = {"marker": mark, "markersize": size}
        plots.mark_unstable(axes, rough, "ratio", "at", colour, **style)
    axes.axvline(1, color=plots.INK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_title("time of jaxbp over the peer's")
    axes.legend(loc="best")


study = Study(
    file=__file__,
    question=__doc__,
    cases=[
        one
        for name, peer in CONTESTS
        for one in grid(problem=name, peer=peer, size="real", **SETTINGS)
    ],
    quick=[
        one
        for name, peer in QUICK
        for one in grid(problem=name, peer=peer, size="small", **QUICK_SETTINGS)
    ],
    measure=measured,
    columns=(
        *("problem", "peer", "n", "entries", "closeness"),
        *("ratio", "ratio_q25", "ratio_q75"),
        *("base_s", "time_s", "predicted_s", "plan_s", "base_plan_s"),
    ),
    plot=plot,
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
