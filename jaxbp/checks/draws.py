"""Draws by rejection, whose rules are no slopes of their values.

`jax.random.gamma` draws until a draw is taken. Its rule is that of the distribution
(implicit reparameterization): right in the mean over keys, while the values of one key
take another way, and jump where another draw is taken. Beta, Dirichlet and Student's t
are made of it. Source: Figurnov, Mohamed and Mnih 2018, arXiv:1805.08498.
"""

from dataclasses import replace

from .. import ir
from .precision import CALLS, CUSTOM, holds
from .rows import DIFFER, DIFFERENCES, UNDECIDED

DRAWS = frozenset(("random_gamma",))  # differentiable in their parameters


def drawn(subject) -> list[bool]:
    """Of each differentiable leaf, whether a parameter of such a draw depends on it."""
    program = subject.program
    if program is None or not holds(program, DRAWS):
        return [False] * len(subject.x)
    found: set[int] = set()
    _follow(program.jaxpr, [{j} for j in range(len(subject.x))], found)
    return [j in found for j in range(len(subject.x))]


def unless_drawn(row):
    """A row beside the differences that fails, undecided: they are no witness."""
    is_theirs = row.witness == DIFFERENCES and row.verdict == DIFFER
    return replace(row, verdict=UNDECIDED) if is_theirs else row


def _follow(jaxpr, given, found):
    """Adds to `found` the leaves that reach a draw; gives those that reach outputs."""
    reach = dict(zip(jaxpr.invars, given, strict=True))
    read = lambda a: set() if isinstance(a, ir.Literal) else reach.get(a, set())  # noqa: E731
    for eqn in jaxpr.eqns:
        inputs = list(map(read, eqn.invars))
        every = set().union(*inputs)
        programs = ir.inner_programs(eqn.params)
        name, outs = eqn.primitive.name, [every] * len(eqn.outvars)
        inner = programs[0].jaxpr if programs else None
        if name in CALLS + CUSTOM and inner and len(inner.invars) == len(inputs):
            outs = _follow(inner, inputs, found)
        elif name in DRAWS or any(holds(program, DRAWS) for program in programs):
            found |= every
        reach.update(zip(eqn.outvars, outs, strict=True))
    return list(map(read, jaxpr.outvars))
