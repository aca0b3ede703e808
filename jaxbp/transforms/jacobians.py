"""Jacobians by one mode, and products with the Hessian."""

from collections.abc import Callable, Sequence

import jax

from .. import settings, tree
from ..errors import InvalidArgument
from ..settings import Options
from . import arguments, chunks
from .gradients import grad
from .products import Again, Pullback, Pushforward, directional, jvp, linearized


def jacfwd(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> Callable:
    """A function that gives the Jacobian, column by column (forward mode).

    Args:
      fun: a function of arrays or pytrees of them.
      argnums: which positional arguments to differentiate.
      has_aux: `fun` returns (output, aux).
      holomorphic: `fun` is holomorphic.
      budget_bytes: bytes, or such as "60MB". XLA's plan of the compiled function,
        arguments, tape, Jacobian and tangents, takes no more: so many columns are
        pushed at a time as fit; beside no tape, where none fits beside it, by a
        function that runs again for each chunk. It is compiled a few times to find out,
        under `vmap` for one example. None: all at once.
      options: a `jaxbp.Options`; None: those in force where the Jacobian is traced,
        which a function that `jax.jit` has traced before does not see change.

    Returns:
      A function that gives the Jacobian: per output leaf and input leaf an array of
      shape (*output, *input); with has_aux=True (Jacobian, aux).

    Raises:
      InvalidArgument: `budget_bytes` is less than one column needs; it names the least.

    Cost: n pushforwards for n inputs, batched by vmap.
    """
    arguments.check_callable(fun)
    budget = chunks.checked(budget_bytes)
    argnums = arguments.indices(argnums)

    in_chunks = [
        _in_chunks(Pushforward, fun, argnums, has_aux, holomorphic, options, again)
        for again in (False, True)
    ]

    @arguments.named_after(
        fun, "Jacobian of {fun} by its arguments {argnums}, by columns.", argnums
    )
    def jacfwd_of(*args, **kwargs):
        partial, primals = arguments.chosen(fun, argnums, args, kwargs)
        arguments.check_inputs(fun, primals, holomorphic, False, "jacfwd")
        if budget is not None:
            count = chunks.size_of(jax.tree.leaves(primals))
            found = chunks.fitted(in_chunks, count, budget, (args, kwargs))
            return found(args, kwargs)

        call = partial, fun, primals, has_aux
        with settings.using(options):
            y, columns, *aux = by_columns(*call, tree.basis(primals))
        if holomorphic:
            arguments.check_outputs(y, holomorphic, "jacfwd")
        wanted = primals[0] if isinstance(argnums, int) else primals
        jacobian = jax.tree.map(
            lambda c, y: tree.split_axis(c, wanted, -1, y), columns, y
        )
        return (jacobian, aux[0]) if has_aux else jacobian

    return jacfwd_of


def by_columns(call: Callable, fun: Callable, primals, has_aux: bool, seeds):
    """What `directional` gives for all seeds: values as they are, tangents as columns
    (*y, n)."""

    def push(seeds):
        return directional(call, fun, primals, seeds, has_aux)

    axes = (None, -1, None) if has_aux else (None, -1)
    try:
        return jax.vmap(push, out_axes=axes)(seeds)
    except ValueError as error:
        if "out_axes" not in str(error):
            raise
    # What is read from a ref has an axis of seeds in a vmap, whatever was written.
    y, columns, *aux = jax.vmap(push, out_axes=tuple(axis or 0 for axis in axes))(seeds)
    return jax.tree.map(lambda v: v[0], y), columns, *jax.tree.map(lambda v: v[0], aux)


def jacrev(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    budget_bytes: int | str | None = None,
    options: Options | None = None,
) -> Callable:
    """A function that gives the Jacobian, row by row (reverse mode).

    Args, returns and raises: as `jacfwd`; `budget_bytes` chooses the number of rows.

    Cost: one evaluation and m pullbacks for m outputs, batched by vmap.
    """
    arguments.check_callable(fun)
    budget = chunks.checked(budget_bytes)
    argnums = arguments.indices(argnums)

    in_chunks = [_in_chunks(Pullback, fun, argnums, has_aux, holomorphic, options)]

    @arguments.named_after(
        fun, "Jacobian of {fun} by its arguments {argnums}, by rows.", argnums
    )
    def jacrev_of(*args, **kwargs):
        partial, primals = arguments.chosen(fun, argnums, args, kwargs)
        arguments.check_inputs(fun, primals, holomorphic, allow_int, "jacrev")
        with settings.using(options):
            outs, pullback, aux = linearized(Pullback, partial, fun, primals, has_aux)
        y = pullback.signature.out_structure.unflatten(outs)
        arguments.check_outputs(y, holomorphic, "jacrev")
        if budget is not None and all(pullback.signature.active):
            count = chunks.size_of(outs)
            found = chunks.fitted(in_chunks, count, budget, (args, kwargs))
            return found(args, kwargs)
        rows = jax.vmap(pullback)(tree.basis(y))
        wanted = primals
        if isinstance(argnums, int):
            wanted, rows = primals[0], rows[0]
        by_input = jax.tree.map(lambda r, x: tree.split_axis(r, y, 0, x), rows, wanted)
        jacobian = jax.tree.transpose(
            jax.tree.structure(wanted), jax.tree.structure(y), by_input
        )
        return (jacobian, aux) if has_aux else jacobian

    return jacrev_of


def _in_chunks(
    kind, fun, argnums, has_aux, holomorphic, options, again=False
) -> Callable:
    """make(size) -> the Jacobian as a function of arguments and keyword arguments, by a
    Pushforward or a Pullback, so many columns or rows at a time. `again`: the function
    runs again for each sweep, and no tape is kept."""
    forward = kind is Pushforward
    sweep = chunks.columns if forward else chunks.rows
    split = chunks.split_columns if forward else chunks.split_rows

    def make(size):
        def of(args, kwargs):
            partial, primals = arguments.chosen(fun, argnums, args, kwargs)
            with settings.using(options):
                outs, linear, aux = linearized(kind, partial, fun, primals, has_aux)
                y = linear.signature.out_structure.unflatten(outs)
                if holomorphic or not forward:
                    name = "jacfwd" if forward else "jacrev"
                    arguments.check_outputs(y, holomorphic, name)
                leaves, program = jax.tree.leaves(primals), linear.program
                signature = linear.signature
                if again:
                    program = Again(partial, fun, primals, has_aux)
                    del linear
                found = sweep(program, leaves, outs, size)
            blocks = split(found, primals, outs)
            jacobian = assembled(blocks, signature, argnums)
            return (jacobian, aux) if has_aux else jacobian

        return of

    return make


def assembled(blocks: Sequence[Sequence], signature, argnums):
    """The tree of the output, of the trees of the inputs.

    Args:
      blocks: per output leaf and input leaf the array (*y, *x).
      signature: of the linear function; its input is the tuple of the arguments.
    """
    rows = [signature.structure.unflatten(row) for row in blocks]
    if isinstance(argnums, int):
        rows = [row[0] for row in rows]
    return signature.out_structure.unflatten(rows)


def hvp(
    fun: Callable,
    primals: Sequence,
    tangents: Sequence,
    has_aux: bool = False,
    argnums: int | Sequence[int] | None = None,
    *,
    options: Options | None = None,
):
    """Hessian times vector, without the Hessian: forward mode over reverse mode.

    Args:
      fun: scalar-valued.
      primals: tuple of arguments: the point.
      tangents: the vector: one per argument that `argnums` names, of its structure.
      has_aux: `fun` returns (value, aux).
      argnums: which arguments are differentiated; None: all of them.
      options: as for `hessian`.

    Returns:
      The product: like the one argument differentiated, or a tuple with one entry per
      argument; with has_aux=True (product, aux).

    Cost: about twice a gradient.
    Source: Pearlmutter 1994, doi:10.1162/neco.1994.6.1.147.
    """
    arguments.check_callable(fun)
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise InvalidArgument(
                f"`{name}` of hvp must be a tuple, one entry per argument of "
                f"`{tree.name_of(fun)}`, but is of type {type(given).__name__}. "
                "Write hvp(f, (x,), (v,))."
            )
    if argnums is None:
        argnums = tuple(range(len(primals)))
    argnums = arguments.indices(argnums)
    partial, chosen = arguments.chosen(fun, argnums, tuple(primals), {})

    def called(*given):
        return partial(given)

    called.__name__ = tree.name_of(fun)
    gradient = grad(called, tuple(range(len(chosen))), has_aux)
    with settings.using(options):
        _, products, *aux = jvp(gradient, chosen, tuple(tangents), has_aux)
    product = products[0] if len(chosen) == 1 else products
    return (product, *aux) if has_aux else product
