"""What does a sharded training step move and hold, and when do links overtake work?

Expectation: dividing the data moves every gradient once, 2 P (n-1)/n bytes a device of
P bytes of parameters, and divides no state. Fully sharded, parameters are gathered for
the pass forward and again for the pass back, and gradients scattered: 3 P (n-1)/n where
the compiler scatters (XLA on a CPU reduces them whole: 4 P (n-1)/n); the state falls as
1/n. Tensor parallel, activations move instead: two sums a pair of products.

Measured: gradient and training step (Adam) of a network of MLP blocks and of one of
transformer blocks, on 1, 2, 4 and 8 devices; loss and gradient against one device;
collective bytes counted from the traced program beside those of XLA's; XLA's memory per
device. Where there are not so many devices, a process of its own forces them on the
host's CPU: those times are no measure of speed.

On paper, from the counts alone: a transformer of 6.4e9 parameters in bfloat16, 4,096
sequences of 256 a step, on 8 to 4,096 devices of three kinds. Work is taken at half
the peak, collectives one after another and none of them hidden behind work, 5 µs a
message. Sources of the peaks and links: jaxbp.costs.published.

Command: jaxbp study sharding [--quick] [--device cpu|gpu|tpu]
"""

import functools
import json
import os
import subprocess
import sys
from typing import NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as Spec

import jaxbp
from jaxbp import costs, scale, timing
from jaxbp.costs.published import DEVICES
from jaxbp.costs.subject import PricedFunction
from jaxbp.problems import blocks
from jaxbp.problems.blocks import Sizes
from jaxbp.scale.at_use import gathered_at_use
from jaxbp.study import GAP, Study, crossed, distinct, numbered, plots, run
from jaxbp.training.placement import state_specs, step_on
from jaxbp.training.state import initial_state

MINUTES = 5
OPTIMIZER = optax.adam(1e-3)
LAYOUTS = {"data": "blue", "tensor": "vermilion", "full": "green"}
SMALL = Sizes(depth=16, width=128, heads=8, batch=64, length=16)
TINY = Sizes(depth=4, width=32, heads=8, batch=64, length=4)
LARGE = Sizes(depth=32, width=4096, heads=32, batch=4096, length=256)
LATENCY_S, PART_OF_PEAK = 5e-6, 0.5  # assumed

# Measured -------------------------------------------------------------------


class Prepared(NamedTuple):
    """A function of the step's arguments, laid out on a mesh, and its jitted form."""

    function: object
    args: tuple
    out_shardings: object


def prepared(case, mesh, place):
    """Gradient or step of a case on a mesh.

    Args:
      place: (shape, dtype, spec, name) -> an array there, or a type.
    """
    program, what, dtype = case["program"], case["what"], case["dtype"]
    sizes = Sizes(*(case[name] for name in Sizes._fields))
    shapes, data = blocks.shapes_of(program, sizes)
    specs = blocks.specs_of(case["layout"], shapes)
    layout = scale.Layout(mesh, "data", tuple(specs[k] for k in sorted(specs)))
    params = {k: place(shapes[k], dtype, specs[k], k) for k in shapes}
    batch = [place(data, dtype, Spec("data"), name) for name in ("x", "target")]
    loss = blocks.loss_of(program, sizes.heads)
    step = step_on(jaxbp.value_and_grad(loss), OPTIMIZER, layout)
    types = jax.eval_shape(lambda p: initial_state(p, OPTIMIZER, 0), params)
    found = state_specs(types, layout, OPTIMIZER)
    is_spec = scale.specs.is_spec

    def shardings(tree):
        return jax.tree.map(layout.sharding, tree, is_leaf=is_spec)

    if what == "step":
        state = jax.tree.map(
            lambda leaf, spec: place(leaf.shape, leaf.dtype, spec, "zero"),
            types.optimizer_state, found.optimizer_state,
        )  # fmt: skip
        out = shardings((found.params, found.optimizer_state, Spec()))
        return Prepared(step, (params, state, *batch), out)

    both = jaxbp.value_and_grad(loss)
    if layout.gathers:
        both = gathered_at_use(both, layout)

    def gradient(params, *batch):
        value, slopes = both(params, *layout.hold_batch(batch))
        return value, layout.hold_tree(slopes, specs)

    return Prepared(gradient, (params, *batch), shardings((Spec(), found.params)))


def on_mesh(case, devices):
    """The case's function and arguments on so many of this process's devices."""
    data, model = blocks.axes_of(case["layout"], devices)
    mesh = scale.make_mesh({"data": data, "model": model})

    def place(shape, dtype, spec, name):
        array = blocks.host_array(shape, dtype, name, case["seed"])
        return scale.layout.placed(array, NamedSharding(mesh, spec))

    return prepared(case, mesh, place)


def measured_here(case):
    """The row of a case whose devices this process has."""
    one, many = on_mesh(case, 1), on_mesh(case, case["devices"])
    runs = []
    for each in (one, many):
        jitted = jax.jit(each.function, out_shardings=each.out_shardings)
        compiled = jitted.lower(*each.args).compile()
        runs.append((compiled, jax.device_get(compiled(*each.args))))
    (alone, expected), (compiled, found) = runs
    ours = costs.collectives(
        many.function, *many.args, out_shardings=many.out_shardings
    )
    xla = costs.compiled_collectives(compiled)
    plans = [timing.memory(program) for program in (compiled, alone)]
    memory, of_one = [plan.peak_bytes for plan in plans]
    clock = timing.time_calls(
        {"f": (compiled, many.args)}, rounds=case["rounds"], budget_s=case["budget_s"]
    )
    return {
        # of a step: loss and moments; Adam's quotient of tiny gradients is any sign
        "error": farthest(*(x[case["what"] == "step" :] for x in (found, expected))),
        "counted_bytes": costs.moved_bytes(ours),
        "xla_bytes": costs.moved_bytes(xla),
        "device_memory_bytes": memory,
        "memory_over_share": memory * case["devices"] / of_one,
        "wall_s": clock["f"].median_s,
        "collectives": ", ".join(sorted({each.kind for each in xla})) or "none",
    }


def farthest(found, expected):
    """The largest difference of a leaf, over its largest entry."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return max(
        float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30)) for a, b in pairs
    )


def measured(case):
    """The row of a case: on paper, here, or in a process with forced devices."""
    if case["what"] == "paper":
        return on_paper(case)
    if len(jax.devices()) >= case["devices"]:
        return measured_here(case) | {"wall_is": f"of {jax.devices()[0].device_kind}"}
    if jax.default_backend() != "cpu":
        return {GAP: f"needs {case['devices']} devices, there are {jax.device_count()}"}
    flags = f"--xla_force_host_platform_device_count={case['devices']}"
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(case)], capture_output=True, text=True,
        env=os.environ | {
            "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip(),
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([p for p in sys.path if p]),
        },
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the process with forced devices: {done.stderr[-2000:]}")
    row = json.loads(done.stdout.splitlines()[-1])
    return row | {"wall_is": "no measure of speed: forced host devices"}


def in_own_process(text):
    """A case's row, printed as JSON, by a process that was given its devices."""
    case = json.loads(text)
    jax.config.update("jax_enable_x64", case["dtype"] == "float64")
    with jax.default_matmul_precision("highest"):
        print(json.dumps(measured_here(case)))


# On paper -------------------------------------------------------------------


def on_paper(case):
    """Time and memory of a step from the counts, on devices that nobody has here."""
    device = DEVICES[case["device"]]
    data, model = blocks.axes_of(case["layout"], case["devices"])
    kinds = (AxisType.Auto, AxisType.Auto)
    mesh = AbstractMesh((data, model), ("data", "model"), axis_types=kinds)

    def place(shape, dtype, spec, name):
        sharding = NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    step = prepared(case | {"what": "step"}, mesh, place)
    found = costs.collectives(
        step.function, *step.args, out_shardings=step.out_shardings, scatters=True
    )
    inside = case["devices"] <= 8
    slower = device.near_bytes_per_s if inside else device.far_bytes_per_s
    near = costs.Link(device.near_bytes_per_s, LATENCY_S)
    far = costs.Link(slower, LATENCY_S)
    links_s = near.time_s(c for c in found if c.devices == model > 1)
    links_s += far.time_s(c for c in found if not c.devices == model > 1)
    # On one device: costs divides what is placed.
    types = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), step.args)
    flops = costs.flops(step.function, *types) / case["devices"]
    work_s = flops / (PART_OF_PEAK * device.flops_per_s)
    memory = held_bytes(case, step, data)
    return {
        "device_flops": flops,
        "counted_bytes": costs.moved_bytes(found),
        "device_memory_bytes": memory,
        "fits": memory <= device.memory_bytes,
        "work_s": work_s,
        "links_s": links_s,
        "step_s": work_s + links_s,
        "overtaken": links_s > work_s,
        "source": device.source,
    }


def held_bytes(case, step, data):
    """Parameters, Adam's moments and the gradient as they lie; the tape of a device's
    examples, whole along `model`; fully sharded, two gathered blocks."""

    def lies(leaf):
        shape = leaf.sharding.shard_shape(leaf.shape)
        return int(np.prod(shape)) * leaf.dtype.itemsize

    params, state = step.args[:2]
    own = sum(map(lies, jax.tree.leaves(params)))
    held = 2 * own + sum(map(lies, jax.tree.leaves(state)))
    if case["layout"] == "full":
        whole = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))
        held += 2 * whole / case["depth"]
    return held + tape_bytes(
        case["program"], case["depth"], case["width"], case["heads"],
        case["batch"] // data, case["length"], case["dtype"],
    )  # fmt: skip


@functools.lru_cache
def tape_bytes(program, depth, width, heads, batch, length, dtype):
    """What the engine keeps of so many examples."""
    shapes, data = blocks.shapes_of(program, Sizes(depth, width, heads, batch, length))
    params = {k: jax.ShapeDtypeStruct(shape, dtype) for k, shape in shapes.items()}
    x = jax.ShapeDtypeStruct(data, dtype)
    subject = PricedFunction(blocks.loss_of(program, heads), (params, x, x), 0, False)
    return subject.linearized().tape().computed_bytes


# Cases, tables, pictures ----------------------------------------------------

FIXED = dict(seed=0, rounds=3, budget_s=0.1, device="this")


def cases(sizes, counts, programs, dtype="float32"):
    fixed = FIXED | sizes._asdict() | dict(dtype=dtype)
    return crossed(
        [fixed], program=list(programs), what=["gradient", "step"],
        layout=list(LAYOUTS), devices=list(counts),
    )  # fmt: skip


def paper(counts, devices):
    fixed = FIXED | LARGE._asdict() | dict(dtype="bfloat16", program="transformer")
    fixed |= dict(what="paper")
    return [
        case | dict(device=device)
        for device in devices
        for case in crossed([fixed], layout=list(LAYOUTS), devices=list(counts))
    ]


def summary(rows):
    """Measured: bytes and memory; on paper: time, memory, and where it turns."""
    counted, on = (numbered(rows, what=what) for what in ("step", "paper"))
    names = ("program", "layout", "devices", "counted_bytes", "xla_bytes")
    names += ("device_memory_bytes", "memory_over_share", "error")
    table = [{name: row.get(name) for name in names} for row in counted]
    names = ("device", "layout", "devices", "work_s", "links_s", "step_s")
    names += ("device_memory_bytes", "fits", "overtaken")
    return {
        "A training step, counted and compiled": table,
        "On paper: 6.4e9 parameters, bfloat16, 4,096 sequences of 256": [
            {name: row.get(name) for name in names} for row in on
        ],
        "On paper: communication overtakes work at": turning(on),
    }


def turning(rows):
    """Per device kind and layout, the fewest devices at which links take longer."""
    found = []
    for device in dict.fromkeys(row["device"] for row in rows):
        line = {"device": device}
        for layout in LAYOUTS:
            late = [
                row["devices"]
                for row in rows
                if (row["device"], row["layout"]) == (device, layout)
                and row["overtaken"]
            ]
            line[layout] = f"{min(late):,} devices" if late else "nowhere up to 4,096"
        found.append(line | {"source": next(
            row["source"] for row in rows if row["device"] == device
        )})  # fmt: skip
    return found


def claim(rows):
    """How near the counts are, how the memory falls, where it turns."""
    counted = [row for row in numbered(rows) if row["what"] != "paper"]
    moved = [row for row in counted if row["xla_bytes"]]
    off = max(abs(row["counted_bytes"] / row["xla_bytes"] - 1) for row in moved)
    error = max(row["error"] for row in counted)
    full = numbered(rows, what="step", layout="full")
    share = max(row["memory_over_share"] for row in full if row["devices"] > 1)
    turns = turning(numbered(rows, what="paper"))
    told = "; ".join(f"{t['device']}: {t['full']}" for t in turns)
    return (
        f"Counted collective bytes are within {off:.1%} of XLA's over {len(moved)} "
        f"programs, results within {error:.1e} of one device's. A fully sharded step "
        f"holds at most {share:.2f} times its 1/n share of one device's memory. On "
        f"paper, fully sharded, links take longer than work from ({told})."
    )


def plot(rows, axes):
    """Bytes and memory of a step by devices; on paper work beside links."""
    # the transformer, where it is
    program = max(row["program"] for row in numbered(rows, what="step"))
    first = next(iter(DEVICES))
    for layout, colour in LAYOUTS.items():
        step = numbered(rows, what="step", layout=layout, program=program)
        paper = numbered(rows, what="paper", layout=layout, device=first)
        for axis, own, name in (
            (axes[0], step, "counted_bytes"),
            (axes[1], step, "device_memory_bytes"),
            (axes[2], paper, "links_s"),
        ):
            own = [row for row in own if row[name]]  # one device moves nothing
            places = [row["devices"] for row in own], [row[name] for row in own]
            axis.plot(*places, "o-", color=plots.COLOURS[colour], label=layout)
    works = {r["devices"]: r["work_s"] for r in paper}  # the same in all layouts
    axes[2].plot(list(works), list(works.values()), color=plots.INK, label="work")
    for axis, x, y in (
        (axes[0], "devices", "bytes a device sends, a step"),
        (axes[1], "devices", "memory of a device (bytes)"),
        (axes[2], f"devices ({first}, on paper)", "work and links of a step (s)"),
    ):
        plots.over_sizes(axis, x, y, "log")
        axis.legend(frameon=False, fontsize=plots.LABEL_POINTS)
    for axis in axes[:2]:
        plots.in_bytes(axis)


COUNTS = [8 * 2**k for k in range(10)]
study = Study(
    file=__file__,
    question=__doc__,
    cases=distinct(
        [
            *cases(SMALL, (1, 2, 4, 8), ("mlp", "transformer")),
            *paper(COUNTS, DEVICES),
        ]
    ),
    quick=distinct(
        [
            *cases(TINY, (2,), ("mlp",))[1::4],
            *paper((8, 4096), list(DEVICES)),
        ]
    ),
    measure=measured,
    columns=(
        *("what", "program", "layout", "devices", "device", "counted_bytes"),
        *("xla_bytes", "device_memory_bytes", "memory_over_share", "error"),
        *("collectives", "work_s", "links_s", "step_s", "fits", "overtaken"),
        *("wall_s", "wall_is"),
    ),
    plot=plot,
    panels=(2, 2),
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("{"):
        in_own_process(sys.argv[1])
    else:
        run(study)
