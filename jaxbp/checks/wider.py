"""A program computed in wider numbers than its own: what its operations mean, without
what its types round of them.

Every floating value is float64 (or complex128), casts between floating types do
nothing, and loops run as many steps as in the program's own types. What reads the bits
of a number keeps its type. So the values of a float32 or bfloat16 function tell its
slopes to ten digits, where its own rounding leaves two or none.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from .batch import Slopes, Values
from .closeness import FEW_DIGITS, epsilon, wide
from .eager import compiled_quickly
from .flow import FLOW, evaluate, is_call
from .perturbed import moved, perturbed

# What reads bits, or draws: in other types it would draw otherwise.
BITS = frozenset(
    "bitcast_convert_type nextafter random_bits random_wrap random_gamma".split()
)
CASTS = frozenset(("convert_element_type", "reduce_precision"))
TYPES = ("new_dtype", "preferred_element_type", "dtype")  # parameters that name one


class Wider:
    """f of a Subject in float64, with `x`, `y`, `names`, `outputs`, `evaluate`,
    `device`, `largest` as there, and its `program` in its own types. To be used under
    `jax.enable_x64(True)`.

    Args:
      subject: Subject whose `program` is known.
    """

    def __init__(self, subject):
        self.own, self.largest, self.names = subject, subject.largest, subject.names
        self.name, self.program = subject.name, subject.program
        self.x, self.y = list(map(wide, subject.x)), list(map(wide, subject.y))
        self._evaluate = compiled_quickly(self.outputs)
        self._x64 = jax.config.read("jax_enable_x64")
        self.values = Values(self)
        self.values.ways = self.values.ways[:1]  # as one program, or not at all
        self._kept: dict = {}

    def reverse(self, name, reverse, y_bar):
        """WiderReverse of a reverse mode, the same as long as that is."""
        of = getattr(reverse, "grad", reverse)
        return self._once(name, of, lambda: WiderReverse(self, reverse.x_bar, y_bar))

    def forward(self, name, slopes):
        """Slopes of the same forward mode, the same as long as that is."""
        like = self.own.device(self.own.x), self.own.device(self.own.x)
        along = lambda: Slopes(self, Widened(self, slopes.along, like))  # noqa: E731
        return self._once(name, slopes, along)

    def _once(self, name, of, make):
        if self._kept.get(name, (None,))[0] is not of:
            self._kept[name] = of, make()
        return self._kept[name][1]

    @functools.cached_property
    def constants(self):
        """What tells the constants of f from others."""
        return frozenset(map(_told, ir.every_constant(self.own.program)))

    def outputs(self, *xs):
        return evaluate(_Widening(), self.own.program, xs)

    def evaluate(self, xs):
        return [np.asarray(y) for y in self._evaluate(*self.device(xs))]

    def device(self, xs):
        return jax.device_put(list(xs))

    def traced(self, function, like):
        """The program of `function` in the types it has."""
        with jax.enable_x64(self._x64):
            return jax.make_jaxpr(function)(*like)


class Widened:
    """`function` in float64: called with operands, it gives a list of arrays.

    Args:
      wider: Wider. function: traceable. like: operands in its own types.
    """

    def __init__(self, wider, function, like):
        self.wider, self.function, self.like = wider, function, like

    @functools.cached_property
    def program(self):
        return self.wider.traced(self.function, self.like)

    @functools.cached_property
    def before(self):
        """What tells the constants that f has not: computed, and rounded, before."""
        every = ir.every_constant(self.program)
        rounded = [constant for constant in every if not _is_meant(constant)]
        return frozenset(map(_told, rounded)) - self.wider.constants

    def __call__(self, *operands):
        return self._evaluated(_Widening(), operands)

    def rounded_before(self, seed, *operands):
        """The same with the constants that f has not moved at random, by a last place
        of theirs."""
        return self._evaluated(_Widening(seed, self.before), operands)

    def _evaluated(self, widening, operands):
        return evaluate(widening, self.program, jax.tree.leaves(operands))


class WiderReverse:
    """A reverse mode in float64: called as (xs, y_bar) it gives (None, x_bar).

    Args:
      wider: Wider. x_bar: (xs, y_bar) -> x_bar in the types of f, traceable.
      y_bar: a cotangent in these types.
    """

    def __init__(self, wider, x_bar, y_bar):
        subject = wider.own
        like = subject.device(subject.x), [jnp.asarray(b) for b in y_bar]
        self.x_bar = Widened(wider, x_bar, like)
        self._run = compiled_quickly(self.x_bar)
        self._rounded = perturbed(self.x_bar)
        self._before = compiled_quickly(self.x_bar.rounded_before)

    def __call__(self, xs, y_bar):
        return None, [np.asarray(b) for b in self._run(list(xs), list(y_bar))]

    def rounded(self, seed, xs, y_bar):
        """x_bar where every operation rounds at random."""
        found = self._rounded(np.uint32(seed), list(xs), list(y_bar))
        return [np.asarray(b) for b in found]

    def rounded_before(self, seed, xs, y_bar):
        """x_bar with what was computed before moved at random; the same at any seed
        where there is nothing of that kind."""
        if not self.x_bar.before:
            return self(xs, y_bar)[1]
        found = self._before(np.uint32(seed), list(xs), list(y_bar))
        return [np.asarray(b) for b in found]


def _told(constant):
    """Shape, type and bits of a constant; of another kind than numbers only itself."""
    dtype = _dtype(constant)
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return id(constant)
    value = np.asarray(constant)
    return value.shape, dtype, value.tobytes()


def _is_meant(constant):
    """Whether a number is meant as it is: with few digits, or with those of float32,
    whose last place is less than what is allowed anyway. A logarithm of two in 16 bits
    is not."""
    dtype = _dtype(constant)
    if np.ndim(constant) or not jnp.issubdtype(dtype, jnp.floating):
        return False
    digits = -np.log2(epsilon(dtype))
    if epsilon(dtype) < FEW_DIGITS:
        return True
    part, _ = np.frexp(float(constant))
    return bool(part * 2.0 ** (digits // 2) % 1 == 0)


def wider_type(dtype):
    """float64 or complex128 for what is floating or complex, else the type itself."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        return dtype
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    return np.dtype(np.complex128 if is_complex else np.float64)


class _Widening:
    """Evaluates one equation in wider types, where constants of `before` are moved by
    a `seed`."""

    def __init__(self, seed=None, before=frozenset()):
        self.seed, self.before = seed, before

    def constant(self, value):
        is_moved = self.before and _told(value) in self.before
        return moved(value, self.seed) if is_moved else value

    def __call__(self, eqn, values):
        name, params = eqn.primitive.name, eqn.params
        if self.before:
            values = list(map(self._read, eqn.invars, values))
        values = self.typed(values)
        if name in FLOW:
            return list(FLOW[name](self, params, values))
        if is_call(name):
            return evaluate(self, ir.called(params), values)
        if name == "custom_linear_solve":
            return self._solve(params, values)
        if name in CASTS:
            return [_cast(values[0], wider_type(eqn.outvars[0].aval.dtype))]
        return self.typed(self._bound(eqn, values))

    def _read(self, atom, value):
        """A value as an equation reads it."""
        return (
            self.constant(ir.literal(atom)) if isinstance(atom, ir.Literal) else value
        )

    def typed(self, values):
        return [_cast(v, wider_type(_dtype(v))) for v in values]

    def plain(self, values, like):
        """`values` in the program's own types."""
        return [_cast(v, a.dtype) for v, a in zip(values, like, strict=True)]

    def _bound(self, eqn, values):
        params = ir.call_params(eqn.primitive, eqn.params)
        name = eqn.primitive.name
        if _is_scatter(name, params):
            return [_scattered(name, params, values)]
        if name in BITS or ir.inner_programs(params):
            values = self.plain(values, [a.aval for a in eqn.invars])
            return _listed(eqn, eqn.primitive.bind(*values, **params))
        params = {k: _wider_parameter(k, v) for k, v in params.items()}
        return _listed(eqn, eqn.primitive.bind(*values, **params))

    def _solve(self, params, values):
        """x of A x = b as the program's own solver finds it."""
        lengths, programs = params["const_lengths"], params["jaxprs"]
        ends = np.cumsum([lengths.matvec, lengths.vecmat, lengths.solve])
        consts = values[ends[1] : ends[2]]
        b = values[sum(lengths) :]
        return evaluate(self, programs.solve, [*consts, *b])


def _is_scatter(name, params):
    """Whether it adds, multiplies or sets: not what applies a function in place."""
    by_name = name.startswith("scatter")
    return by_name and (name != "scatter" or params["update_jaxpr"] is None)


def _scattered(name, params, values):
    """By name again, as its parameters hold a program for the type it adds in."""
    operand, indices, updates = values
    kept = ("indices_are_sorted", "unique_indices", "mode")
    return getattr(lax, name.replace("-", "_"))(
        operand, indices, updates, params["dimension_numbers"],
        **{k: params[k] for k in kept},
    )  # fmt: skip


def _wider_parameter(key, value):
    if key in TYPES and value is not None:
        return wider_type(value)
    return None if key == "precision" else value


def _listed(eqn, out):
    return list(out) if eqn.primitive.multiple_results else [out]


def _dtype(value):
    return getattr(value, "dtype", None) or jnp.result_type(value)


def _cast(value, dtype):
    """`value` in another type; keys of random numbers have but one."""
    return (
        value if jnp.issubdtype(dtype, jax.dtypes.extended) else ir.cast(value, dtype)
    )
