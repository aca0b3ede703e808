"""`jaxbp.trace`: what happens in a function, equation by equation, in both modes?

Source: the tables are those of Baydin, Pearlmutter, Radul and Siskind 2018,
https://jmlr.org/papers/v18/17-468.html.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .. import ir, tree
from ..errors import InvalidArgument, JaxbpError
from ..linear.program import taped
from ..transforms import arguments
from ..walkers.live import run_live
from . import sweeps
from .noter import Noter
from .report import EvaluationTrace


def trace(
    f: Callable, *args, tangents=None, cotangents=None, has_aux: bool = False,
    depth: int = 0, steps: int = 3, argnums=None,
) -> EvaluationTrace:  # fmt: skip
    """The evaluation trace of `f(*args)`: a row per equation, with primal, tangent,
    cotangent, flops, bytes kept for reverse mode, and the source line.

    `f` runs once on its values, so that Python control flow works; functions under
    `jit` are shown in line. What depends on no argument is a constant, without a row.

    Args:
      f: a function of arrays or pytrees of them, to arrays or pytrees.
      *args: pytrees; integers and booleans carry no derivative, and those of Python are
        left as they are, so that they may be sizes or flags; so is what is no array,
        as the functions and names inside a model.
      tangents: the direction of forward mode, a tuple like `args`. Left out, it is 1 in
        every floating element: the tangents are then derivatives along (1, ..., 1).
      cotangents: what reverse mode starts from, like the output. Left out, it is 1 in
        every element: the cotangents are then the gradient of the output's sum.
      has_aux: `f` returns (output, aux); aux is left out.
      depth: how many levels of scan, cond, while and checkpoint are opened; 0 leaves
        each one row. What is opened is kept for reverse mode as if it stood in line.
      steps: of an opened loop, how many steps are shown: the first ones and the last.
      argnums: which arguments carry tangents and cotangents, an integer or a sequence;
        None: all of them.

    Returns:
      EvaluationTrace: `print` shows the table, a notebook shows it as HTML,
      `.picture()` is the graph; `.rows` holds the arrays.

    Raises:
      InvalidArgument: traced arguments, no output, `depth` or `steps` out of range.
      DtypeMismatch: an argument or output is no array.
      StructureMismatch, ShapeMismatch: the seeds are not like arguments or output.
      MissingRule: a primitive of `f` has no rule.

    Cost: each equation is run by itself, uncompiled, once in each of three sweeps; all
    values are kept.
    """
    arguments.check_callable(f)
    _check_range("depth", depth, 0)
    _check_range("steps", steps, 1)
    name = tree.name_of(f)
    parted = tree.Parted(args)
    if args and not parted.leaves:
        arguments.check_arrays("args", args, name)
    leaves, _ = arguments.flatten(parted.leaves, f)
    if any(map(ir.is_tracer, leaves)):
        raise InvalidArgument(
            f"a trace shows values, but `{name}` was given arguments under "
            "transformation by JAX. Call `trace` outside jit, vmap and grad."
        )
    noter = Noter(depth, steps)
    names = parted.chosen(arguments.leaf_names(f, args))
    moves = parted.chosen(_moving(argnums, args, f))
    triples = zip(names, leaves, moves, strict=True)
    refs = [noter.input(*triple) for triple in triples]
    flat = arguments.LeafFunction(lambda given: f(*given), parted, has_aux, name)
    given = [isinstance(leaf, int) for leaf in parted.leaves]  # sizes, flags
    outs, out_refs, _ = run_live(
        noter,
        flat,
        [x.item() if plain else x for x, plain in zip(leaves, given, strict=True)],
        [None if plain else ref for ref, plain in zip(refs, given, strict=True)],
    )
    output = flat.structure.unflatten(outs)
    if not outs:
        raise InvalidArgument(
            f"`{name}` must return arrays, or there is no output to trace back from, "
            f"but its output holds none: it is {output!r}. Does it end in `return`?"
        )
    out_names = [n for n, _ in tree.named_leaves("output", output)]
    for triple in zip(out_names, outs, out_refs, strict=True):
        noter.output(*triple)
    noter.count_flops()
    in_slots = [ref.slot for ref in refs]
    out_slots = [ref.slot if ref else None for ref in out_refs]
    x_dots = _seeds("tangents", tangents, "args", args, leaves, parted)
    y_bars = _seeds("cotangents", cotangents, "output", output, outs)
    return _swept(name, noter, in_slots, x_dots, out_slots, y_bars)


def _moving(argnums, args, f) -> list[bool]:
    """Per leaf of the arguments: is it of one that `argnums` names."""
    places = range(len(args))
    if argnums is not None:
        places = arguments.places_of(arguments.indices(argnums), args, f)
    return [
        place in places for place, arg in enumerate(args) for _ in jax.tree.leaves(arg)
    ]


def _check_range(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise InvalidArgument(
            f"`{name}` must be an integer from {least} on, but is {value!r}."
        )


def _seeds(name: str, given, like_name: str, like, leaves, parted=None) -> list:
    """One array per leaf; None for integers."""
    avals = [ir.tangent_aval(ir.typeof(leaf)) for leaf in leaves]
    floating = [ir.differentiable(ir.typeof(leaf)) for leaf in leaves]
    if given is None:
        pairs = zip(avals, floating, strict=True)
        return [ir.full(aval, 1) if on else None for aval, on in pairs]
    if isinstance(given, list) and isinstance(like, tuple):
        given = tuple(given)
    tree.same_structure(name, given, like_name, like)
    seeds = []
    pairs = tree.named_leaves(name, given)
    pairs = parted.chosen(pairs) if parted else pairs
    triples = zip(pairs, avals, floating, strict=True)
    for (leaf_name, leaf), aval, on in triples:
        seed = jnp.asarray(leaf, aval.dtype) if on else None
        if seed is not None:
            tree.same_types(leaf_name, seed, [aval], like_name)
        seeds.append(seed)
    return seeds


def _swept(
    name: str, noter: Noter, in_slots, x_dots, out_slots, y_bars
) -> EvaluationTrace:
    """Both sweeps, and their outcome in every row."""
    rows, edges, notes = noter.rows, noter.recorder.edges, []
    if in_slots and all(slot is None for slot in in_slots):
        notes.append(
            "no argument is floating, so nothing has a derivative: write 2.0, not 2."
        )
    x_dots = {s: v for s, v in zip(in_slots, x_dots, strict=True) if s is not None}
    seeds: dict = {}
    for slot, y_bar in zip(out_slots, y_bars, strict=True):
        if slot is not None:
            seeds[slot] = sweeps.add(seeds.get(slot), y_bar)
    program = taped(edges, noter.recorder.avals, (), ())
    try:
        dots = sweeps.tangents(program, x_dots)
    except JaxbpError as error:
        dots = {}
        notes.append(f"no tangents: {error}")
    try:
        bars, brought = sweeps.cotangents(program, seeds)
    except JaxbpError as error:
        bars, brought = {}, {}
        notes.append(f"no cotangents: {error}")
    sweeps.kept_bytes(rows, edges, seeds)
    for row in rows:
        row.tangents = tuple(dots.get(slot) for slot in row.slots)
        row.cotangents = tuple(bars.get(slot) for slot in row.slots)
        row.carried = _carried(row, brought)
    for row, y_bar in zip(rows[len(rows) - len(y_bars) :], y_bars, strict=True):
        row.cotangents = (y_bar,)  # what was given, without what other uses bring
    return EvaluationTrace(name, rows, notes)


def _carried(row, brought) -> list:
    """Per operand of an equation, the cotangent that it brings there."""
    if row.kind != "equation":
        return [None] * len(row.reads)
    found: dict = {}
    for place in range(*row.edges):
        for slot, x_bar in brought.get(place, {}).items():
            found[slot] = sweeps.add(found.get(slot), x_bar)
    return [found.get(ref.slot) if ref else None for ref in row.reads]
