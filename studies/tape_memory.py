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
from jaxbp.study.unstable import largest_whole, steady

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
UNIT = {"MLP": "layers", "RNN": "time steps"}  # of a length
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
    """Bytes at the largest length of each family, and what checkpoints cost there, or
    at the largest length whose times are steady, which is then named."""
    return f"{_claimed(rows, 'MLP')}; {_claimed(rows, 'RNN')}."


def _claimed(rows, family):
    of_family = numbered(rows, family=family)
    length = largest_whole(of_family, "length", "method", METHODS)
    held = {row["method"]: row for row in numbered(of_family, length=length)}
    shown = ("jaxbp", "jax", "jaxbp, checkpoint")
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
        plots.over_sizes(axis, UNIT[family], f"{family}: {title}", "log")


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
    counts=True,
)

if __name__ == "__main__":
    run(study)
