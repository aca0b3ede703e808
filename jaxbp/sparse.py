"""Jacobians and Hessians by their nonzeros: pattern, colouring, BCOO.

The linear program of a function is taken apart into terms, `jaxbp.across`; where all of
it is labelled, the positions of the entries are known before any number is, and the
terms' factors are the entries: nothing is compressed and nothing is multiplied with a
zero. Where a part is an operator its columns and rows count as full.

    plan = jaxbp.sparse.pattern(f, x)        # on the host, once
    jacobian = jaxbp.sparse.jacobian(f, pattern=plan)
    jax.jit(jacobian)(x)                     # a BCOO (m, n) with static indices
"""

from .across.colours import colouring as colouring
from .across.pattern import Pattern as Pattern
from .across.sparse import hessian as hessian
from .across.sparse import jacobian as jacobian
from .across.sparse import pattern as pattern
