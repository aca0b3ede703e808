"""`jaxbp.options(memory=...)`: each reverse-mode derivative within it is planned."""

import dataclasses
from collections.abc import Callable, Sequence

import jax

from .. import ir, settings
from .chain import chain_of
from .nested import scheduled
from .planner import planner_of


def within_memory(function: Callable, leaves: Sequence, active: Sequence[bool]):
    """A function of leaves that gives two lists, made to keep within `memory`.

    Args:
      leaves: what it will be called with; their types count.
      active: which of them it is differentiated by.

    Raises:
      InvalidArgument: no schedule keeps within the budget.
    """
    options = settings.current()
    inner = dataclasses.replace(options, memory=None)
    types = [ir.struct(ir.typeof(leaf)) for leaf in leaves]
    with settings.using(inner):
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*types)
        tree = _schedule(function, program, active, options.memory)
        chain = chain_of(program, active)
    count = len(shapes[0])

    def planned(*values):
        with settings.using(inner):
            outs = scheduled(chain, tree)(chain.consts, list(values))
        return outs[:count], outs[count:]

    return planned


def _schedule(function, program, active, budget):
    name = getattr(function, "name", "f")
    return planner_of(program, active).plan(budget, name).chosen.tree
