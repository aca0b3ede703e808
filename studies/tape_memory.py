"""What does reverse mode keep in memory, beside JAX, and with checkpoints?

Expectation: the tape grows in proportion to the number of layers or time steps, for
the engine as for JAX; XLA's temporaries follow it. With `checkpoint` on every layer
only the layers' inputs are kept and the work grows by about one evaluation of f: from
3 to 4 times f.

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
from jaxbp.problems.programs.draw import Draw
from jaxbp.study import (
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

MINUTES = 0.5

# More examples than units: activations that fit into no weight's gradient, where the
# compiler would hide them.
LENGTHS = dict(
    MLP=dict(length=[2, 4, 8, 16, 32], width=128, batch=512),  # length: layers
    RNN=dict(length=[16, 32, 64, 128, 256], width=128, batch=64),  # time steps
)
QUICK_LENGTHS = dict(
    MLP=dict(length=[2, 4, 8], width=32, batch=64),
    RNN=dict(length=[4, 8, 16], width=32, batch=8),
)
ENGINES = {"jaxbp": (jaxbp.grad, jaxbp.vjp), "jax": (jax.grad, jax.vjp)}
METHODS = {  # name: (whose, with checkpoint, colour)
    "jaxbp": ("jaxbp", False, "blue"),
    "jax": ("jax", False, "black"),
    "jaxbp, checkpoint": ("jaxbp", True, "vermilion"),
    "jax, checkpoint": ("jax", True, "orange"),
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

    return deep if family == "MLP" else recurrent


@lru_cache(maxsize=1)
def prepared(family, length, width, batch, dtype, seed):
    """Arguments, f as a baseline, gradient as JAX has it."""
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
    f = network(family, checkpointed=False)
    wanted = jax.device_get(jax.jit(jax.grad(f))(*args))
    return args, measure.baseline(f, *args, dtype=dtype), wanted


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
    args, base, wanted = prepared(*(case[name] for name in names))
    whose, checkpointed, _ = METHODS[case["method"]]
    f = network(case["family"], checkpointed)
    gradient, vjp = ENGINES[whose]
    row = {"tape_bytes": tape_bytes(vjp, f, args)}
    if whose == "jaxbp":
        row["counted_tape_bytes"] = costs.counted(f, *args)["tape_bytes"]
    return row | measure.contest(gradient(f), args, base, case, wanted)


def summary(rows):
    """Bytes and time at the largest size, and how bytes grow."""
    names = ("tape_bytes", "xla_temp_bytes", "ratio")
    grown = {f"growth of {name[:-6]}": name for name in names[:2]}
    title = "At the largest length; growth with it; ratio: time over f's"
    return {title: at_the_end(rows, ("family", "method"), "length", names, grown)}


def claim(rows):
    """Bytes at the largest lengths, and what checkpoints save and cost."""
    (lines,) = summary(rows).values()
    told = {(line["family"], line["method"]): line for line in lines}
    unit = {"MLP": "layers", "RNN": "time steps"}

    def each(family):
        kept, theirs, again = (
            told[family, method] for method in ("jaxbp", "jax", "jaxbp, checkpoint")
        )
        mib = [row["tape_bytes"] / 2**20 for row in (kept, theirs, again)]
        return (
            f"{kept['length']} {unit[family]} of the {family} keep {mib[0]:.3g} MiB "
            f"on the tape, {mib[1]:.3g} in JAX, and {mib[2]:.3g} with checkpoints, for "
            f"{again['ratio']:.2g} in place of {kept['ratio']:.2g} times f"
            f"{_planned(rows, family, kept['length'])}"
        )

    return f"{each('MLP')}; {each('RNN')}."


def _planned(rows, family, length):
    """What XLA makes of it: its temporaries, of all methods."""
    shown = numbered(rows, family=family, length=length)
    mib = [row["xla_temp_bytes"] / 2**20 for row in shown]
    if max(mib) < 1.01 * min(mib):
        return f" (XLA's temporaries are {mib[0]:.3g} MiB in all)"
    return f" (XLA's temporaries: {min(mib):.3g} to {max(mib):.3g} MiB)"


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
        name = {"MLP": "layers", "RNN": "time steps"}[family]
        plots.over_sizes(axis, name, f"{family}: {title}", "log")


def cases(lengths, settings):
    networks = [c for name, axes in lengths.items() for c in grid(family=name, **axes)]
    return crossed(networks, method=list(METHODS), **settings)


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
    panels=(2, 2),
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
