"""`jaxbp.explain_nan`: where in the code the NaN of a gradient is born, and why."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .. import ir, tree
from ..errors import InvalidArgument
from ..linear.program import taped
from ..transforms import arguments
from ..walkers.live import run_live
from .births import Walk
from .finding import Finder
from .held import without_held
from .recording import Recording, Watcher
from .report import NanReport
from .watch import bad_places


def explain_nan(
    f: Callable,
    *args,
    argnums: int | Sequence[int] = 0,
    cotangent=None,
    tangents=None,
    has_aux: bool = False,
) -> NanReport:
    """Where the NaN or Inf in a derivative of `f` at `args` is born.

    The gradient is walked back on its values. A birth is an operation that is given
    finite cotangents and gives one that is not; those that reach the gradient are told,
    the one behind most of its elements first: line, operation, operands, element, step
    of each loop around it, what was multiplied, whether a select drops the value on its
    way to the output, and what to write instead.

    Args:
      f: scalar-valued, unless `cotangent` or `tangents` is given; pytrees in.
      *args: pytrees; functions, sizes and integers inside a model stay as they are.
        Under `jax.jit` the report is printed when the compiled
        function runs, and what is returned here is empty.
      argnums: which positional arguments to differentiate by.
      cotangent: what reverse mode starts from, like the output of `f`; 1 if left out.
      tangents: a tuple like the arguments `argnums`: forward mode along these is looked
        at instead.
      has_aux: `f` returns (output, aux).

    Returns:
      NanReport: false if the derivative is finite, else true, with `.births`; it
      prints, and a notebook shows it.

    Raises:
      InvalidArgument: `f` is not scalar and neither `cotangent` nor `tangents` is
        given; `argnums` names no argument.
      DtypeMismatch, StructureMismatch, ShapeMismatch: as of `jaxbp.grad`, `jaxbp.jvp`.

    Cost: `f` and each of its edges once, uncompiled, a gradient that is finite no more;
    of a loop in which a birth is, four compiled runs or more. They keep as many of its
    carries as `Options.loop_bytes` allows, 64 MiB of them if it is None, but the square
    root of their number at least.
    """
    arguments.check_callable(f)
    name = tree.name_of(f)
    f, args = without_held(f, args, arguments.indices(argnums))
    if any(map(ir.is_tracer, jax.tree.leaves(args))):
        options = {"argnums": argnums, "has_aux": has_aux}
        seeds = {"cotangent": cotangent, "tangents": tangents}

        def later(args, seeds):
            print(explain_nan(f, *args, **options, **seeds))

        jax.debug.callback(later, args, seeds)
        return NanReport(name, [], "it is told when the compiled function runs")
    if tangents is not None:
        recording, primals, _ = _run(f, args, argnums, has_aux, "explain_nan")
        finder = _finder(recording, "push")
        walk = finder.walk(_tangents(tangents, primals, recording))
        names, ends, said = None, recording.out_slots, "tangent"
    else:
        recording, _, flat = _run(f, args, argnums, has_aux, "explain_nan")
        finder = _finder(recording, "pull")
        walk = finder.walk(_cotangents(flat, cotangent, recording, flat.name))
        names, ends, said = _names(f, args, argnums), recording.in_slots, "gradient"
    births = finder.births(walk.reach(ends))
    for birth in births:
        birth.carried = said if said == "tangent" else "cotangent"
    spoilt, value_bad = _spoilt(walk, ends, names), not finder.value_finite
    report = NanReport(name, births, "", said, spoilt, value_bad)
    report.overlap = finder.counted > finder.covered
    if births and said == "gradient":
        report.forward_finite = _forward_is_finite(walk, recording)
    return report


def _finder(recording, direction: str) -> Finder:
    finite = not any(bad_places(y).any() for y in recording.outs)
    return Finder(recording, _program(recording), direction, finite)


def walked_back(f, args, argnums, cotangent, has_aux, caller):
    """(name of `f`, its run on values, the walk back through its derivative).

    Raises: as `explain_nan`.
    """
    arguments.check_callable(f)
    f, args = without_held(f, args, arguments.indices(argnums))
    recording, _, flat = _run(f, args, argnums, has_aux, caller)
    seeds = _cotangents(flat, cotangent, recording, flat.name)
    return flat.name, recording, Walk(_program(recording), seeds)


def _run(f, args, argnums, has_aux, caller):
    """The run of `f` on its values, the arguments by which it is differentiated, and
    it as a function of leaves."""
    argnums, name = arguments.indices(argnums), tree.name_of(f)
    if any(map(ir.is_tracer, jax.tree.leaves(args))):
        raise InvalidArgument(
            f"`{caller}` looks at values, but `{name}` was given arguments under "
            "transformation by JAX. Call it outside jit, vmap and grad."
        )
    partial, primals = arguments.chosen(f, argnums, args, {})
    leaves, structure = arguments.flatten(primals, f)
    some = any(ir.differentiable(ir.typeof(leaf)) for leaf in leaves)
    arguments.check_inputs(f, primals, False, some, caller)
    flat = arguments.LeafFunction(partial, structure, has_aux, name)
    return _recorded(flat, leaves), primals, flat


def _program(recording: Recording):
    return taped(recording.recorder.edges, recording.recorder.avals, (), ())


def _recorded(flat, leaves) -> Recording:
    """`flat` on its leaves, recorded."""
    recorder = Watcher()
    slots = [
        recorder.slot(x) if ir.differentiable(ir.typeof(x)) else None for x in leaves
    ]
    outs, out_slots, _ = run_live(recorder, flat, leaves, slots)
    return Recording(outs, out_slots, slots, recorder)


def _cotangents(flat, cotangent, recording, name) -> dict:
    outs = recording.outs
    if cotangent is None:
        if len(outs) != 1 or ir.typeof(outs[0]).shape != ():
            shapes = ", ".join(str(ir.typeof(y).shape) for y in outs)
            if not outs:
                raise InvalidArgument(
                    f"`{name}` must return arrays, but its output holds none. Does it "
                    "end in `return`?"
                )
            raise InvalidArgument(
                f"`{name}` must return one scalar, or `cotangent` must be given, but "
                f"its output has the shapes {shapes}: it must be like the output."
            )
        bars = [ir.one(ir.typeof(outs[0]))]
    else:
        bars, structure = jax.tree.flatten(cotangent)
        if structure != flat.structure:
            tree.same_structure(
                "cotangent", cotangent, "output", flat.structure.unflatten(outs)
            )
        bars = [jnp.asarray(b) for b in bars]
        tree.same_types("cotangent", bars, [ir.typeof(y) for y in outs], "output")
    pairs = zip(recording.out_slots, bars, strict=True)
    return {slot: bar for slot, bar in pairs if slot is not None}


def _tangents(tangents, primals, recording) -> dict:
    tree.same_structure("tangents", tangents, "args", primals)
    dots = [jnp.asarray(t) for t in jax.tree.leaves(tangents)]
    pairs = zip(recording.in_slots, dots, strict=True)
    return {slot: dot for slot, dot in pairs if slot is not None}


def _names(f, args, argnums) -> list[str]:
    """What the leaves by which is differentiated are called, as `f` calls them."""
    places = arguments.places_of(arguments.indices(argnums), args, f)
    names = iter(arguments.leaf_names(f, args))
    by_argument = [[next(names) for _ in jax.tree.leaves(arg)] for arg in args]
    return [name for place in places for name in by_argument[place]]


def _spoilt(walk, slots, names) -> list[tuple[str, int, int]]:
    """(name, how many elements are not finite, of how many) by leaf."""
    found = []
    for place, slot in enumerate(slots):
        value = walk.env.get(slot) if slot is not None else None
        if value is not None:
            bad = int(bad_places(value).sum())
            name = names[place] if names else f"output {place}"
            found.append((name, bad, int(np.size(value))))
    return [entry for entry in found if entry[1]]


def _forward_is_finite(walk, recording) -> bool | None:
    """Whether forward mode along the first bad element of the gradient is finite."""
    for slot in recording.in_slots:
        bad = bad_places(walk.env.get(slot)) if slot is not None else np.zeros(())
        if bad.any():
            dot = np.zeros(bad.shape, np.asarray(walk.env[slot]).dtype)
            dot[tuple(np.argwhere(bad)[0])] = 1
            pushed = Walk(walk.program, {slot: jnp.asarray(dot)}, "push")
            ends = [pushed.env.get(s) for s in recording.out_slots if s is not None]
            return not any(bad_places(v).any() for v in ends)
    return None
