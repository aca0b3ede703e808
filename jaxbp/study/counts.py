"""What can be counted before anything runs: flops, tape bytes, stacked bytes.

Flops are counted in XLA's way, so that the two counts can stand side by side: two for
each multiply-add of a product, one an element for arithmetic, none for moving data or
for transcendental functions, which XLA counts apart. Unlike XLA's on a CPU, the body
of a scan counts once a step. Of a `cond` the dearest branch counts, of a `while`,
whose trips nobody knows, one.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import ir
from jaxbp.study.base import Row

MOVING = set(
    "broadcast_in_dim reshape transpose squeeze expand_dims slice dynamic_slice "
    "dynamic_update_slice concatenate pad rev gather scatter iota copy copy_p "
    "convert_element_type bitcast_convert_type split stack unstack stop_gradient "
    "device_put optimization_barrier name tile select_and_gather_add reduce_precision "
    "random_bits random_wrap random_unwrap random_seed full".split()
)
TRANSCENDENTAL = set(
    "exp exp2 expm1 log log1p logistic tanh sinh cosh tan sin cos asin acos atan "
    "atan2 asinh acosh atanh erf erfc erf_inv sqrt rsqrt cbrt pow lgamma "
    "digamma".split()
)


def counted(f: Callable, params: Any, *data) -> Row:
    """Counts from the linear program of `f` in its first argument; nothing is run.

    Args:
      f: (params, *data) -> scalar.

    Returns:
      Columns `f_flops`, `pushforward_flops` and `pullback_flops` (the linear part
      alone, without evaluating f), and `tape_bytes`, of all residuals, each once.
    """

    def at(params):
        return f(params, *data)

    pushforward = jax.eval_shape(lambda p: jaxbp.linearize(at, p)[1], params)
    pullback = jax.eval_shape(lambda p: jaxbp.vjp(at, p)[1], params)
    y_bar = jax.eval_shape(at, params)
    return {
        "f_flops": flops(at, params),
        "pushforward_flops": flops(
            lambda push, x_dot: push(x_dot), pushforward, params
        ),
        "pullback_flops": flops(lambda pull, y_bar: pull(y_bar), pullback, y_bar),
        "tape_bytes": sum(leaf_bytes(leaf) for leaf in jax.tree.leaves(pullback)),
    }


def flops(f: Callable, *args) -> int:
    """Flops of `f` as traced, before any compiler drops or merges work."""
    return program_flops(jax.make_jaxpr(f)(*args))


def program_flops(program) -> int:
    """Flops of a closed program."""
    return sum(map(equation_flops, ir.inner(program)[0].eqns))


def equation_flops(equation) -> int:
    """Flops of one equation, the programs inside it included."""
    name = equation.primitive.name
    inside = [program_flops(program) for program in inner_programs(equation)]
    if name == "scan":
        return equation.params["length"] * sum(inside)
    if name == "cond":
        return max(inside)
    if inside and not name.startswith(("scatter", "reduce")):
        return sum(inside)
    return own_flops(equation, name)


def own_flops(equation, name: str) -> int:
    """Flops of an equation that calls no program."""
    operands, (out, *_) = equation.invars, equation.outvars
    if not jnp.issubdtype(out.aval.dtype, jnp.inexact):
        return 0
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = operands[0].aval.shape
        return 2 * out.aval.size * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        return convolution_flops(operands, out, equation.params)
    if name == "fft":
        factors = math.prod(int(math.log2(n)) for n in equation.params["fft_lengths"])
        return 2 * 4 * factors * operands[0].aval.size  # 4 products a complex one
    if name in MOVING or name in TRANSCENDENTAL:
        return 0
    if name.startswith("scatter"):
        return operands[2].aval.size  # one addition an update
    # Reductions take one operation an element they read.
    return max(out.aval.size, *(x.aval.size for x in operands)) if operands else 0


def convolution_flops(operands, out, params) -> int:
    """Flops of a convolution; products with padding are not counted."""
    numbers, shapes = params["dimension_numbers"], [v.aval.shape for v in operands]
    (_, _, *lhs), (_, features, *rhs) = numbers.lhs_spec, numbers.rhs_spec
    batch, channels, *spatial = numbers.out_spec
    pairs = math.prod(
        touching(shapes[0][a], shapes[1][b], out.aval.shape[c], *window)
        for a, b, c, *window in zip(
            lhs,
            rhs,
            spatial,
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
            strict=True,
        )
    )
    written = out.aval.shape[batch] * out.aval.shape[channels]
    return 2 * written * pairs * shapes[1][features]


def touching(size, kernel, out, stride, padding, dilation, kernel_dilation) -> int:
    """Along one axis, how many pairs of output and kernel place meet an input."""
    starts = np.arange(out)[:, None] * stride - padding[0]
    places = starts + np.arange(kernel)[None] * kernel_dilation  # (out, kernel)
    inside = (0 <= places) & (places <= (size - 1) * dilation)
    return int((inside & (places % dilation == 0)).sum())


def stacked_bytes(f: Callable, *args) -> int:
    """Bytes that the scans of `f` write once per step, residuals and outputs, counted
    in its traced program; nothing is run."""
    return program_stacked_bytes(jax.make_jaxpr(f)(*args))


def program_stacked_bytes(program) -> int:
    """`stacked_bytes` of a closed program and of the programs inside it."""
    return sum(map(equation_stacked_bytes, ir.inner(program)[0].eqns))


def equation_stacked_bytes(equation) -> int:
    """`stacked_bytes` of one equation."""
    inside = sum(map(program_stacked_bytes, inner_programs(equation)))
    if equation.primitive.name != "scan":
        return inside
    _, carried = ir.scan_counts(equation.params)
    own = sum(leaf_bytes(variable.aval) for variable in equation.outvars[carried:])
    return own + equation.params["length"] * inside


def inner_programs(equation) -> Iterator[Any]:
    """The closed programs that an equation calls."""
    values = jax.tree.leaves(list(equation.params.values()), is_leaf=is_program)
    return filter(is_program, values)


def is_program(value) -> bool:
    """Is the value a closed program, as calls and loops hold one?"""
    return hasattr(value, "jaxpr") and hasattr(value, "consts")


def leaf_bytes(array) -> int:
    """Bytes of an array or of a shape with its dtype."""
    return array.size * array.dtype.itemsize
