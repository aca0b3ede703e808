"""What does reverse mode keep in memory, beside JAX, with checkpoints, in a budget?

Expectation: the tape grows in proportion to the number of layers or time steps, for
the engine as for JAX; XLA's temporaries follow it. With `checkpoint` on every layer
only the layers' inputs are kept and the work grows by about one evaluation of f: from
3 to 4 times f. `checkpointed` within half of the bytes that the plain gradient takes
costs less: what is cheap to run again goes first. A loop of unknown length keeps some
states, however many steps it takes.

Tape bytes are counted from the pullback before anything runs; XLA's temporaries are
those of the whole gradient. A CPU's allocator reports no peak: it stands in the rows
of devices whose allocator does.

Command: jaxbp study tape_memory [--quick] [--device cpu|gpu|tpu]
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
from jax import lax

import jaxbp
from jaxbp import costs
from jaxbp.errors import InvalidArgument
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
from jaxbp.study.unstable import largest_whole, steady
from jaxbp.timing import stages

MINUTES = 0.5

# More examples than units: activations that fit into no weight's gradient, where the
# compiler would hide them.
LENGTHS = dict(
    MLP=dict(length=[2, 4, 8, 16, 32], width=128, batch=512),  # length: layers
    RNN=dict(length=[16, 32, 64, 128, 256], width=128, batch=64),  # time steps
    loop=dict(length=[16, 32, 64, 128, 256], width=128, batch=64),  # of a while loop
)
QUICK_LENGTHS = dict(
    MLP=dict(length=[2, 4, 8], width=32, batch=64),
    RNN=dict(length=[4, 8, 16], width=32, batch=8),
    loop=dict(length=[4, 8, 16], width=32, batch=8),
)
UNIT = {"MLP": "layers", "RNN": "time steps", "loop": "steps"}  # of a length
WHILE = ("jaxbp", "jaxbp, checkpoint")  # JAX goes through no such loop in reverse
ENGINES = {"jaxbp": (jaxbp.grad, jaxbp.vjp), "jax": (jax.grad, jax.vjp)}
HALF = "jaxbp, half the bytes"  # of the plain gradient's temporaries and outputs
METHODS = {  # name: (whose, with checkpoint, colour)
    "jaxbp": ("jaxbp", False, "blue"),
    "jax": ("jax", False, "black"),
    "jaxbp, checkpoint": ("jaxbp", True, "vermilion"),
    "jax, checkpoint": ("jax", True, "orange"),
    HALF: ("jaxbp", False, "green"),
}


def layer(x, weights):
    """One tanh layer, or one step of a network whose layers share their weights."""
    W, V = weights
    return x + jnp.tanh(x @ W) @ V  # (batch, width)


def network(family, checkpointed):
    """f: (params, x, length's array) -> scalar."""
    step = jaxbp.checkpoint(layer) if checkpointed else layer

    def deep(params, x, _):
        for weights in params:
            x = step(x, weights)
        return jnp.mean(x * x)

    def recurrent(params, x, inputs):
        x, _ = lax.scan(lambda x, u: (step(x + u, params), None), x, inputs)
        return jnp.mean(x * x)

    def until(params, x, inputs):
        """A while loop over the same inputs, which JAX goes through forward only."""

        def go_on(state):
            n, x = state
            return n + 1, step(x + inputs[n], params)

        _, x = lax.while_loop(lambda s: s[0] < len(inputs), go_on, (0, x))
        return jnp.mean(x * x)

    return {"MLP": deep, "RNN": recurrent, "loop": until}[family]


def halved(f, args):
    """`f` within half of what its plain gradient takes; or None, and why not."""
    built = jax.jit(jaxbp.grad(f)).lower(*args).compile()
    used = built.memory_analysis()
    plain = used.temp_size_in_bytes + used.output_size_in_bytes
    within = jaxbp.checkpointed(f, plain // 2)
    try:
        within.plan(*args)
    except InvalidArgument as refused:
        return None, str(refused).partition(". Give")[0]
    return within, ""


@lru_cache(maxsize=1)
def prepared(family, length, width, batch, dtype, seed):
    """Arguments; f, of a known length, as a baseline; its gradient by JAX; f."""
    draw = Draw(seed, dtype)

    def weights():
        scale = 0.3 * width**-0.5
        return tuple(draw.normal(width, width, scale=scale) for _ in "WV")

    if family == "MLP":
        params, inputs = [weights() for _ in range(length)], draw.zeros(1)
    else:
        params = weights()
        inputs = draw.normal(length, batch, width, scale=1)
    args = jax.device_put((params, draw.normal(batch, width, scale=1), inputs))
    known = network("RNN" if family == "loop" else family, checkpointed=False)
    wanted = jax.device_get(jax.jit(jax.grad(known))(*args))
    return args, measure.baseline(known, *args, dtype=dtype), wanted, known


def tape_bytes(vjp, f, args):
    """Bytes of all arrays that the pullback by the parameters holds, by types alone."""
    params, *data = args

    def pullback(params):
        return vjp(lambda params: f(params, *data), params)[1]

    leaves = jax.tree.leaves(jax.eval_shape(pullback, params))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def measured(case):
    """The row of one gradient: bytes first, then its time over f's."""
    names = ("family", "length", "width", "batch", "dtype", "seed")
    args, base, wanted, known = prepared(*(case[name] for name in names))
    whose, checkpointed, _ = METHODS[case["method"]]
    f = network(case["family"], checkpointed)
    if case["method"] == HALF:
        f, refused = halved(f, args)
        if f is None:
            return {GAP: refused}
    gradient, vjp = ENGINES[whose]
    row = {"tape_bytes": tape_bytes(vjp, f, args)}
    if whose == "jaxbp":
        row["counted_tape_bytes"] = costs.counted(f, *args)["tape_bytes"]
    by_blocks = case["family"] == "loop" or case["method"] == HALF
    if case["family"] == "MLP" or not by_blocks:
        return row | measure.contest(gradient(f), args, base, case, wanted)
    # Loops by blocks have no number of steps that is known: priced as f's gradient is.
    built = stages(gradient(f), *args)
    row |= measure.correctness(built.output, wanted, 0.0, case["dtype"])
    if GAP in row:
        return row
    row |= measure.priced(gradient(known), *args, dtype=case["dtype"])
    timed = dict(rounds=case["rounds"], budget_s=case["budget_s"])
    return row | measure.against(base, built, args, **timed)


def summary(rows):
    """Bytes and time at the largest size, and how bytes grow."""
    names = ("tape_bytes", "xla_temp_bytes", "ratio")
    grown = {f"growth of {name[:-6]}": name for name in names[:2]}
    title = "At the largest length; growth with it; ratio: time over f's"
    return {title: at_the_end(rows, ("family", "method"), "length", names, grown)}


def claim(rows):
    """Bytes at the largest length of each family, and what checkpoints cost there, or
    at the largest length whose times are steady, which is then named."""
    said = f"{_claimed(rows, 'MLP')}; {_claimed(rows, 'RNN')}"
    loop = numbered(rows, family="loop", method="jaxbp")
    if not loop:
        return f"{said}."
    mib = [row["xla_temp_bytes"] / 2**20 for row in loop]
    steps = f"{loop[0]['length']} to {loop[-1]['length']} steps"
    low, high = f"{min(mib):.3g}", f"{max(mib):.3g}"
    takes = low if low == high else f"{low} to {high}"
    return (
        f"{said}; a while loop's gradient takes {takes} MiB of temporaries for {steps}."
    )


def _claimed(rows, family):
    of_family = numbered(rows, family=family)
    shown = ("jaxbp", "jax", "jaxbp, checkpoint")
    length = largest_whole(of_family, "length", "method", shown)
    held = {row["method"]: row for row in numbered(of_family, length=length)}
    mib = [held[method]["tape_bytes"] / 2**20 for method in shown]
    return (
        f"{length} {UNIT[family]} of the {family} keep {mib[0]:.3g} MiB on the tape, "
        f"{mib[1]:.3g} in JAX, and {mib[2]:.3g} with checkpoints"
        f"{_price(of_family, length)}{_planned(rows, family, length)}"
    )


def _price(rows, length):
    """What checkpoints cost in time; another length than the bytes' is named."""
    compared = ("jaxbp", "jaxbp, checkpoint")
    at = largest_whole(steady(rows), "length", "method", compared)
    if at is None:
        return ""
    ratio = {row["method"]: row["ratio"] for row in numbered(rows, length=at)}
    kept, again = (ratio[method] for method in compared)
    place = f" at length {at}" if at != length else ""
    return f", for {again:.2g} in place of {kept:.2g} times f{place}"


def _planned(rows, family, length):
    """What XLA makes of it: its temporaries with and without checkpoints."""
    shown = numbered(rows, family=family, length=length)
    mib = {row["method"]: row["xla_temp_bytes"] / 2**20 for row in shown}
    kept, again = f"{mib['jaxbp']:.3g}", f"{mib['jaxbp, checkpoint']:.3g}"
    if kept == again:
        return f" (XLA's temporaries: {kept} MiB with checkpoints and without)"
    return f" (XLA's temporaries: {kept} MiB, with checkpoints {again})"


def plot(rows, axes):
    panels = [
        (family, column, title)
        for family in LENGTHS
        for column, title in (
            ("tape_bytes", "bytes on the tape, counted"),
            ("xla_temp_bytes", "bytes of XLA's temporaries"),
        )
    ]
    colours = {method: colour for method, (_, _, colour) in METHODS.items()}
    for axis, (family, column, title) in zip(axes, panels, strict=True):
        plots.lines(axis, numbered(rows, family=family), "length", column, colours)
        plots.over_sizes(axis, UNIT[family], f"{family}: {title}", "log")
        plots.in_bytes(axis)


def cases(lengths, settings):
    networks = [c for name, axes in lengths.items() for c in grid(family=name, **axes)]
    every = crossed(networks, method=list(METHODS), **settings)
    return [c for c in every if c["family"] != "loop" or c["method"] in WHILE]


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(LENGTHS, SETTINGS),
    quick=cases(QUICK_LENGTHS, QUICK_SETTINGS),
    measure=measured,
    columns=(
        *("family", "length", "width", "batch", "method"),
        *("tape_bytes", "counted_tape_bytes", "xla_temp_bytes", "xla_peak_bytes"),
        *("device_peak_bytes", *measure.COMPARED, *measure.TIMED),
    ),
    plot=plot,
    panels=(3, 2),
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
