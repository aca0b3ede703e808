"""How many flops and transcendental functions is one equation?

Counted as XLA counts, so that the two counts can stand side by side: two flops for
each multiply-add of a product, products with padding left out of a convolution, one an
element for arithmetic, comparison and selection, one for each element that a reduction
absorbs, none for moving or converting data. Transcendental functions are counted apart,
one an element, whatever polynomial a compiler writes for them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import ir
from ..rules import kind_of
from .factorizations import FACTORIZATIONS
from .flat import Step

# What a primitive does, its rule says (`rules.kind_of`). Named here is what the rule
# cannot know: what has none, and what its kind alone does not price.
MOVING = """
    after_all all_gather all_gather_invariant all_gather_reduced all_to_all axis_index
    bitcast_convert_type check complex copy_p create_token dce_sink debug_callback
    debug_print empty empty2 imag inspect_sharding iota mesh_cast name
    pbroadcast pbroadcast_dynamic ppermute preduced pvary ragged_all_to_all random_bits
    random_fold_in random_seed random_split random_unwrap random_wrap real
    reduced_vary_cast reduced_vary_cast_p rng_bit_generator sharding_constraint
    stop_gradient threefry2x32
    vary_unreduced_cast vary_unreduced_cast_p
""".split()
ELEMENTWISE = """
    addupdate and ceil clz conj eq eq_to floor ge gt is_finite le le_to lt lt_to mulhi
    ne not or pmax pmin population_count psum psum_invariant reduce_precision
    reduce_scatter rng_uniform round shift_left shift_right_arithmetic
    shift_right_logical unreduced_psum unreduced_reduce_scatter xor
""".split()
TRANSCENDENTAL = """
    acos acosh asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt cos cosh digamma
    erf erf_inv erfc exp expm1 igamma igamma_grad_a igammac lgamma log log1p log2
    polygamma pow random_gamma random_gamma_grad regularized_incomplete_beta rsqrt sin
    sinh sqrt tan tanh zeta
""".split()
REDUCING = """
    argmax argmin reduce reduce_and reduce_max reduce_min reduce_or reduce_prod
    reduce_xor
""".split()
SCANNING = "cumsum cumprod cummax cummin".split()
WINDOWED = """
    reduce_window reduce_window_max reduce_window_min reduce_window_sum
    select_and_gather_add
""".split()
SCATTERING = """
    scatter-add scatter-max scatter-min scatter-mul scatter-sub scatter_add scatter_max
    scatter_min scatter_mul scatter_sub
""".split()  # spelled one way or the other, by version


class Work(NamedTuple):
    """Arithmetic of one equation; `assumed` where the table has no entry for it."""

    flops: int = 0
    transcendentals: int = 0
    assumed: bool = False


def work(step: Step) -> Work:
    """The arithmetic of a step that is no loop or branch."""
    if not any(ir.differentiable(v.aval) for v in (*step.ins, *step.outs)):
        return Work()
    found = TABLE.get(step.name) or BY_KIND.get(kind_of(step.equation.primitive))
    return Work(_out(step), assumed=True) if found is None else found(step)


# Sizes ----------------------------------------------------------------------


def _out(step: Step) -> int:
    return step.outs[0].aval.size if step.outs else 0


def _in(step: Step) -> int:
    return step.ins[0].aval.size


def _log2(number: int) -> float:
    return math.log2(max(2, number))


# The entries ----------------------------------------------------------------


def nothing(step) -> Work:
    return Work()


def of_matrices(flops: Callable) -> Callable[[Step], Work]:
    """The entry of a factorization, from its formula."""
    return lambda step: Work(round(flops(step)))


def elementwise(flops: int, transcendentals: int = 0) -> Callable[[Step], Work]:
    """So many operations an element."""

    def entry(step):
        return Work(flops * _out(step), transcendentals * _out(step))

    return entry


def reduction(step) -> Work:
    """All elements but the one that remains of each row are absorbed."""
    arrays = max(1, len(step.ins) // 2) if step.name == "reduce" else 1
    return Work(arrays * max(0, _in(step) - _out(step)))  # nothing of nothing


def cumulative(step) -> Work:
    """One operation an element after the first of each row."""
    size, length = _in(step), step.ins[0].aval.shape[step.params["axis"]]
    return Work(size - size // length if size else 0)


def cumulative_logsumexp(step) -> Work:
    """logaddexp is a maximum, a difference, a sum, and an exp and a log1p."""
    additions = cumulative(step).flops
    return Work(3 * additions, 2 * additions)


def windows(step) -> Work:
    return Work(_out(step) * (math.prod(step.params["window_dimensions"]) - 1))


def select_and_scatter(step) -> Work:
    """Each source finds its place in a window, and is added there."""
    return Work(_in(step) * math.prod(step.params["window_dimensions"]))


def scatter(step) -> Work:
    return Work(step.ins[2].aval.size)


def integer_power(step) -> Work:
    """Products by repeated squaring, and a division for a negative power."""
    power = step.params["y"]
    products = abs(power).bit_length() - 1 + abs(power).bit_count() - 1
    return Work(max(0, products + (power < 0)) * _out(step))


def polynomial(step) -> Work:
    """Horner: a product and a sum for each coefficient after the first."""
    return Work(2 * max(0, len(step.ins) - 2) * _out(step))


def dot(step) -> Work:
    (contracted, _), _ = step.params["dimension_numbers"]
    shape = step.ins[0].aval.shape
    return Work(2 * _out(step) * math.prod(shape[axis] for axis in contracted))


def ragged_dot(step) -> Work:
    """Each row meets the matrix of one group."""
    numbers = step.params["ragged_dot_dimension_numbers"].dot_dimension_numbers
    shape = step.ins[0].aval.shape
    return Work(2 * _out(step) * math.prod(shape[axis] for axis in numbers[0][0]))


def convolution(step) -> Work:
    """Two flops for each kernel place that meets an input, not padding or a gap."""
    params = step.params
    numbers, (lhs, rhs) = params["dimension_numbers"], step.ins
    out = step.outs[0].aval.shape
    axes = zip(
        [lhs.aval.shape[axis] for axis in numbers.lhs_spec[2:]],
        [rhs.aval.shape[axis] for axis in numbers.rhs_spec[2:]],
        [out[axis] for axis in numbers.out_spec[2:]],
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        strict=True,
    )
    pairs = math.prod(touching(*axis) for axis in axes)
    written = out[numbers.out_spec[0]] * out[numbers.out_spec[1]]
    return Work(2 * written * pairs * rhs.aval.shape[numbers.rhs_spec[1]])


def touching(size, kernel, out, stride, padding, dilation, kernel_dilation) -> int:
    """Along one axis, how many pairs of output and kernel place meet an input."""
    starts = np.arange(out)[:, None] * stride - padding[0]
    places = starts + np.arange(kernel)[None] * kernel_dilation  # (out, kernel)
    inside = (0 <= places) & (places <= (size - 1) * dilation)
    return int((inside & (places % dilation == 0)).sum())


def fourier(step) -> Work:
    """8 n log2 n, as XLA counts one axis; over several axes the logarithms add.

    XLA multiplies them, which is right for no algorithm.
    """
    real = max(_in(step), _out(step))  # the real side of a real transform
    stages = sum(map(_log2, step.params["fft_lengths"]))
    return Work(round(8 * real * stages))


def sorting(step) -> Work:
    """Comparisons of keys, log2 of a row's length for each element."""
    length = step.ins[0].aval.shape[step.params["dimension"]]
    return Work(round(step.params["num_keys"] * _in(step) * _log2(length)))


def top_k(step) -> Work:
    """A heap of k: log2 k comparisons for each element."""
    return Work(round(_in(step) * _log2(step.outs[0].aval.shape[-1])))


BY_KIND = {
    "elementwise": elementwise(1),
    "moves": nothing,
    "repeats": nothing,
    "sums": reduction,
}
TABLE: dict[str, Callable[[Step], Work]] = {
    **dict.fromkeys(MOVING, nothing),
    **dict.fromkeys(ELEMENTWISE, elementwise(1)),
    **dict.fromkeys(TRANSCENDENTAL, elementwise(0, 1)),
    **dict.fromkeys(REDUCING, reduction),
    **dict.fromkeys(SCANNING, cumulative),
    **dict.fromkeys(WINDOWED, windows),
    **dict.fromkeys(SCATTERING, scatter),
    **{name: of_matrices(flops) for name, flops in FACTORIZATIONS.items()},
    "approx_top_k": top_k,
    "conv_general_dilated": convolution,
    "cumlogsumexp": cumulative_logsumexp,
    "dot_general": dot,
    "exp2": elementwise(1, 1),  # exp(x log 2)
    "fft": fourier,
    "integer_pow": integer_power,
    "logistic": elementwise(3, 1),  # 1 / (1 + exp(-x))
    "one_minus_square": elementwise(2),
    "polynomial": polynomial,
    "ragged_dot_general": ragged_dot,
    "select_and_scatter": select_and_scatter,
    "select_and_scatter_add": select_and_scatter,
    "sort": sorting,
    "top_k": top_k,
}
