"""A program computed in wider numbers than its own: what its operations mean, without
what its types round of them.

Every floating value is float64 (or complex128), casts between floating types do
nothing, and loops run as many steps as in the program's own types. What reads the bits
of a number keeps its type. So the values of a float32 or bfloat16 function tell its
slopes to ten digits, where its own rounding leaves two or none.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from .batch import Slopes, Values
from .closeness import wide
from .eager import compiled_quickly
from .flow import FLOW, is_call
from .perturbed import perturbed

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
        along = lambda: Slopes(self, self.widened(slopes.along, *like))  # noqa: E731
        return self._once(name, slopes, along)

    def _once(self, name, of, make):
        if self._kept.get(name, (None,))[0] is not of:
            self._kept[name] = of, make()
        return self._kept[name][1]

    def outputs(self, *xs):
        return ir.evaluate_by(_Widening(), self.own.program, xs)

    def evaluate(self, xs):
        return [np.asarray(y) for y in self._evaluate(*self.device(xs))]

    def device(self, xs):
        return jax.device_put(list(xs))

    def widened(self, function, *like):
        """`function` in float64: the program that it is for operands like `like`, in
        the types these have."""
        program: Any = None

        def run(*operands):
            nonlocal program
            if program is None:
                with jax.enable_x64(self._x64):
                    program = jax.make_jaxpr(function)(*like)
            flat = jax.tree.leaves(operands)
            return ir.evaluate_by(_Widening(), program, flat)

        return run


class WiderReverse:
    """A reverse mode in float64: called as (xs, y_bar) it gives (None, x_bar).

    Args:
      wider: Wider. x_bar: (xs, y_bar) -> x_bar in the types of f, traceable.
      y_bar: a cotangent in these types.
    """

    def __init__(self, wider, x_bar, y_bar):
        subject = wider.own
        like = subject.device(subject.x), [jnp.asarray(b) for b in y_bar]
        self.x_bar = wider.widened(x_bar, *like)
        self._run = compiled_quickly(self.x_bar)
        self._rounded = perturbed(self.x_bar)

    def __call__(self, xs, y_bar):
        return None, [np.asarray(b) for b in self._run(list(xs), list(y_bar))]

    def rounded(self, seed, xs, y_bar):
        """x_bar where every operation rounds at random."""
        found = self._rounded(np.uint32(seed), list(xs), list(y_bar))
        return [np.asarray(b) for b in found]


def wider_type(dtype):
    """float64 or complex128 for what is floating or complex, else the type itself."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        return dtype
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    return np.dtype(np.complex128 if is_complex else np.float64)


class _Widening:
    """Evaluates one equation in wider types."""

    def __call__(self, eqn, values):
        name, params = eqn.primitive.name, eqn.params
        values = [_cast(v, wider_type(_dtype(v))) for v in values]
        if name in FLOW:
            return list(FLOW[name](self, params, values))
        if is_call(name):
            return ir.evaluate_by(self, ir.called(params), values)
        if name == "custom_linear_solve":
            return self._solve(params, values)
        if name in CASTS:
            return [_cast(values[0], wider_type(eqn.outvars[0].aval.dtype))]
        outs = self._bound(eqn, values)
        return [_cast(y, wider_type(_dtype(y))) for y in outs]

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
        return ir.evaluate_by(self, programs.solve, [*consts, *b])


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
