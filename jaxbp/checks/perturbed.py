"""A program whose every operation rounds at random: what rounding makes of its result.

Shaking the arguments by their last places shows too much where they have an offset:
x - 1000 is exact for x near 1000, though a step of the last place of x is 1e-4. Here
every operation's result is moved by up to a unit of its own last place instead, and so
are the terms of sums and products, which round on the way (D. S. Parker, Monte Carlo
Arithmetic, 1997).

The randomness is a hash of the bits of the value: it needs no keys, and costs a dozen
integer operations.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from .closeness import FEW_DIGITS, epsilon
from .draws import DRAWS
from .eager import compiled_quickly
from .flow import FLOW, evaluate, is_call
from .reach import followed

# Operations whose results are some of their operands' numbers, or not floating.
EXACT = frozenset(
    "abs argmax argmin bitcast_convert_type broadcast_in_dim concatenate copy copy_p "
    "cummax cummin device_put dynamic_slice dynamic_update_slice eq expand_dims "
    "floor ceil round ge gather gt imag iota is_finite le lt max min ne neg pad real "
    "reduce_and reduce_max reduce_min reduce_or reduce_window_max reduce_window_min "
    "rem reshape rev scatter scatter-max scatter-min scatter_max scatter_min "
    "select_and_gather_add select_n sign slice sort split squeeze stop_gradient "
    "transpose unstack clamp complex conj optimization_barrier top_k "
    "reduce_precision nextafter random_bits".split()
)
# Operations whose terms round on the way.
SUMS = frozenset(
    "dot_general conv_general_dilated reduce_sum cumsum cumprod cumlogsumexp "
    "reduce_prod reduce_window_sum scatter_add scatter-add add_any fft "
    # Stable element by element: of what LU leaves in one array, L is far below U.
    "triangular_solve tridiagonal_solve".split()
)
# Those that are stable backward only: as if their operands had been rounded, by the
# size of the largest entry.
STABLE = frozenset(
    "cholesky eig eigh lu lu_pivots_to_permutation qr geqrf householder_product svd "
    "schur hessenberg tridiagonal".split()
)

FEW = 40  # runs, operation by operation, take as long as to compile them


def perturbed(function):
    """(seed, *operands) -> what `function(*operands)` gives when it rounds at random.

    Args:
      function: traceable, arrays to a pytree of arrays. seed: uint32 scalar.

    Cost: traced once per types of the operands, and evaluated operation by operation:
    compiled as one, a dozen operations for each would take longer than a few runs.
    Compiled is what runs for the `FEW`th time, and what has loops or branches, as these
    would be at every run.
    """
    programs = {}

    def run(seed, *operands):
        flat, structure = jax.tree.flatten(operands)
        types = structure, tuple([jax.typeof(x) for x in flat])
        if types not in programs:
            programs[types] = _rounding(function, operands)
        rounded, shape = programs[types]
        outs = rounded(seed, *flat)
        return jax.tree.unflatten(jax.tree.structure(shape), outs)

    return run


def _rounding(function, operands):
    program, shape = jax.make_jaxpr(function, return_shape=True)(*operands)
    fixed = _fixed(program)

    def rounded(seed, *flat):
        return evaluate(_Rounding(seed, fixed), program, flat)

    quickly = compiled_quickly(rounded, like=program)
    runs = itertools.count(FEW if _flows(program) else 1)
    return lambda *at: (quickly if next(runs) >= FEW else rounded)(*at), shape


def _fixed(program) -> frozenset:
    """The ids of the equations, those within calls too, that depend on no input: they
    give the same numbers in every run, as the place in order of a median does."""
    seen, moving = set(), set()  # a program called twice may be in both

    def through(eqn, inputs):
        (moving if any(inputs) else seen).add(id(eqn))
        return [any(inputs)] * len(eqn.outvars)

    jaxpr, _ = ir.inner(program)
    followed(jaxpr, [True] * len(jaxpr.invars), False, through)
    return frozenset(seen - moving)


@ir.once_per_program
def _flows(program) -> bool:
    """Whether it holds loops or branches, however deep; what draws is a loop inside,
    which JAX compiles anew at each call by itself."""
    every = ir.every_equation(ir.inner(program)[0])
    return any(eqn.primitive.name in FLOW.keys() | DRAWS for eqn in every)


class _Rounding:
    """Evaluates one equation and rounds what it gives at random; not what `fixed`
    holds."""

    def __init__(self, seed, fixed=frozenset()):
        self.seed, self.fixed, self.site = seed, fixed, 0

    def __call__(self, eqn, values):
        name, params = eqn.primitive.name, eqn.params
        if name in FLOW:
            return list(FLOW[name](self, params, values))
        if is_call(name):
            return evaluate(self, ir.called(params), values)
        if name in EXACT or id(eqn) in self.fixed or _is_exact(eqn):
            return self._bound(eqn, values)
        if name in SUMS or name in STABLE:
            values = [self.moved(v, whole=name in STABLE) for v in values]
        return [self.moved(y) for y in self._bound(eqn, values)]

    def _bound(self, eqn, values):
        params = ir.call_params(eqn.primitive, eqn.params)
        out = eqn.primitive.bind(*values, **params)
        return list(out) if eqn.primitive.multiple_results else [out]

    def plain(self, values, like):
        """`values` as they are without rounding at random."""
        del like
        return list(values)

    def typed(self, values):
        return list(values)

    def constant(self, value):
        return value

    def moved(self, y, whole=False):
        """`y` by up to one unit of its last place, or of that of its largest entry."""
        dtype = getattr(y, "dtype", None)
        if dtype is None or not jnp.issubdtype(dtype, jnp.inexact) or not jnp.size(y):
            return y
        self.site += 1
        site = np.uint32(self.site * 0x9E3779B1 % 2**32)
        return moved(y, self.seed + site, whole)


@functools.partial(jax.jit, static_argnums=2)
def moved(y, seed, whole=False):
    """`y` by up to one unit of its last place, or of that of its largest entry."""
    dtype = y.dtype
    size = jnp.max(jnp.abs(y)).astype(dtype) if whole else y
    step = jnp.asarray(epsilon(dtype), jnp.float32) * _uniform(jnp.real(y), seed)
    return (y + (size * step.astype(dtype)).astype(dtype)).astype(dtype)


def _uniform(y, seed):
    """float32 numbers within [-1, 1), a hash of the bits of `y` and the seed."""
    bits = lax.bitcast_convert_type(jnp.asarray(y).astype(jnp.float32), jnp.uint32)
    bits = bits ^ seed
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        bits = (bits ^ (bits >> jnp.uint32(15))) * jnp.uint32(factor)
    bits = (bits ^ (bits >> jnp.uint32(15))) >> jnp.uint32(8)
    return bits.astype(jnp.float32) * jnp.float32(2.0**-23) - jnp.float32(1)


def _is_exact(eqn) -> bool:
    """Whether an operation that mostly rounds does not here: the mean over an axis of
    one element is that element, and their difference 0."""
    if not eqn.invars:  # it fills an array with a number
        return True
    name, given = eqn.primitive.name, eqn.invars[0].aval
    if name in ("reduce_sum", "reduce_prod", "cumsum", "cumprod"):
        axes = eqn.params["axes"] if "axes" in eqn.params else (eqn.params["axis"],)
        return math.prod([given.shape[axis] for axis in axes]) == 1
    if name == "convert_element_type":
        given, new = given.dtype, eqn.params["new_dtype"]
        if not jnp.issubdtype(new, jnp.inexact):
            return True
        if not jnp.issubdtype(given, jnp.inexact):  # a count, which others compare
            return epsilon(new) <= FEW_DIGITS
        return epsilon(new) <= epsilon(given)
    if name in ("add", "sub", "mul", "div"):
        last = eqn.invars[-1:] if name in ("sub", "div") else eqn.invars
        known = [abs(a.val) for a in last if isinstance(a, ir.Literal)]
        if name in ("add", "sub"):
            return 0 in known
        return any(math.frexp(size)[0] == 0.5 for size in known)
    return False
