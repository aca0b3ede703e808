"""Draws by rejection, whose rules are no slopes of their values.

`jax.random.gamma` draws until a draw is taken. Its rule is that of the distribution
(implicit reparameterization): right in the mean over keys, while the values of one key
take another way, and jump where another draw is taken. Beta, Dirichlet and Student's t
are made of it. Source: Figurnov, Mohamed and Mnih 2018, arXiv:1805.08498.
"""

from dataclasses import replace

from .. import ir
from .precision import holds
from .reach import followed
from .rows import DIFFER, DIFFERENCES, UNDECIDED

DRAWS = frozenset(("random_gamma",))  # differentiable in their parameters


def drawn(subject) -> list[bool]:
    """Of each differentiable leaf, whether a parameter of such a draw depends on it."""
    program = subject.program
    if program is None or not holds(program, DRAWS):
        return [False] * len(subject.x)
    found: set[int] = set()

    def through(eqn, inputs):
        every = set().union(*inputs)
        programs = ir.inner_programs(eqn.params)
        if eqn.primitive.name in DRAWS or any(holds(p, DRAWS) for p in programs):
            found.update(every)
        return [every] * len(eqn.outvars)

    leaves = [{j} for j in range(len(subject.x))]
    followed(program.jaxpr, leaves, set(), through)
    return [j in found for j in range(len(subject.x))]


def unless_drawn(row):
    """A row beside the differences that fails, undecided: they are no witness."""
    is_theirs = row.witness == DIFFERENCES and row.verdict == DIFFER
    return replace(row, verdict=UNDECIDED) if is_theirs else row
