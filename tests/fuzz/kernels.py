"""The commonest operations in numpy: kernel(type of the output, *operands, **params).

They compile nothing. What is not here runs as JAX's own operation.
"""

import math

import numpy as np


def _ufunc(function):
    def kernel(aval, *operands, **params):
        with np.errstate(all="ignore"):
            return function(*operands).astype(aval.dtype, copy=False)

    return kernel


def _broadcast(aval, x, *, shape, broadcast_dimensions, **_):
    sizes = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, x.shape, strict=True):
        sizes[axis] = size
    return np.broadcast_to(x.reshape(sizes), shape)


def _reshape(aval, x, *, dimensions, **_):
    x = x if dimensions is None else x.transpose(dimensions)
    return x.reshape(aval.shape)


def _transpose(aval, x, *, permutation):
    return x.transpose(permutation)


def _slice(aval, x, *, start_indices, limit_indices, strides):
    strides = strides or (1,) * x.ndim
    where = zip(start_indices, limit_indices, strides, strict=True)
    return x[tuple(slice(*w) for w in where)]


def _rev(aval, x, *, dimensions):
    return np.flip(x, dimensions)


def _concatenate(aval, *xs, dimension):
    return np.concatenate(xs, dimension)


def _pad(aval, x, value, *, padding_config):
    out = np.full(aval.shape, value, aval.dtype)
    into, outof = [], []
    for size, (low, high, inside) in zip(x.shape, padding_config, strict=True):
        places = low + (inside + 1) * np.arange(size)
        limit = low + max(0, (inside + 1) * (size - 1) + 1) * (size > 0) + high
        kept = (places >= 0) & (places < limit)
        into.append(places[kept])
        outof.append(np.arange(size)[kept])
    out[np.ix_(*into)] = x[np.ix_(*outof)]
    return out


def _select(aval, which, *cases):
    if which.dtype == bool:
        which = which.astype(np.int32)
    if which.ndim == 0:
        return cases[int(which)]
    return (
        np.choose(which, cases)
        if cases[0].dtype.kind != "V"
        else _by_hand(which, cases)
    )


def _by_hand(which, cases):
    out = cases[0].copy()
    for place, case in enumerate(cases):
        out[which == place] = case[which == place]
    return out


def _reduce(function):
    def kernel(aval, x, *, axes, **_):
        return function(x, axis=tuple(axes)).astype(aval.dtype, copy=False)

    return kernel


def _dot(aval, x, y, *, dimension_numbers, **_):
    (cx, cy), (bx, by) = dimension_numbers
    free_x = [a for a in range(x.ndim) if a not in (*cx, *bx)]
    free_y = [a for a in range(y.ndim) if a not in (*cy, *by)]
    wide = np.result_type(
        aval.dtype, np.float32 if aval.dtype.kind == "V" else aval.dtype
    )
    x = x.transpose([*bx, *free_x, *cx]).astype(wide)
    y = y.transpose([*by, *cy, *free_y]).astype(wide)
    batch = [x.shape[i] for i in range(len(bx))]
    inner = math.prod(y.shape[len(by) : len(by) + len(cy)])
    rows = math.prod(x.shape[len(bx) : len(bx) + len(free_x)])
    columns = math.prod(y.shape[len(by) + len(cy) :])
    left = x.reshape(*batch, rows, inner)
    right = y.reshape(*batch, inner, columns)
    return (left @ right).reshape(aval.shape).astype(aval.dtype)


def _convert(aval, x, **_):
    if x.dtype.kind == "c" and aval.dtype.kind != "c" and aval.dtype.kind != "b":
        x = x.real
    with np.errstate(all="ignore"):
        return x.astype(aval.dtype)


def _iota(aval, *, dimension, **_):
    sizes = [1] * len(aval.shape)
    sizes[dimension] = aval.shape[dimension]
    count = np.arange(aval.shape[dimension]).astype(aval.dtype)
    return np.broadcast_to(count.reshape(sizes), aval.shape)


def _integer_pow(aval, x, *, y):
    with np.errstate(all="ignore"):
        return np.asarray(x ** np.asarray(y, x.dtype)).astype(aval.dtype, copy=False)


def _cumulative(function):
    def kernel(aval, x, *, axis, reverse):
        if reverse:
            return np.flip(function(np.flip(x, axis), axis), axis).astype(aval.dtype)
        return function(x, axis).astype(aval.dtype)

    return kernel


def _extreme_place(function):
    def kernel(aval, x, *, axes, **_):
        return function(x, axis=axes[0]).astype(aval.dtype)

    return kernel


def _dynamic_slice(aval, x, *starts, slice_sizes, **_):
    where = zip(starts, slice_sizes, x.shape, strict=True)
    begins = [(max(0, min(int(start), n - size)), size) for start, size, n in where]
    return x[tuple(slice(begin, begin + size) for begin, size in begins)]


def _clamp(aval, low, x, high):
    return np.minimum(np.maximum(x, low), high)


def _stack(aval, *xs, axis, **_):
    return np.stack(xs, axis)


def _logistic(x):
    return (1 / (1 + np.exp(-x))).astype(x.dtype)


def _rsqrt(x):
    return (1 / np.sqrt(x)).astype(x.dtype)


def _squeeze(aval, x, **_):
    return x.reshape(aval.shape)


def _same(aval, x, **_):
    return x


def _complex(aval, x, y):
    return (x + 1j * y).astype(aval.dtype)


UFUNCS = {
    "abs": np.abs,
    "add": np.add,
    "add_any": np.add,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "and": np.bitwise_and,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "cbrt": np.cbrt,
    "ceil": np.ceil,
    "conj": np.conj,
    "cos": np.cos,
    "cosh": np.cosh,
    "div": np.divide,
    "eq": np.equal,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "floor": np.floor,
    "ge": np.greater_equal,
    "gt": np.greater,
    "imag": np.imag,
    "le": np.less_equal,
    "log": np.log,
    "log1p": np.log1p,
    "logistic": _logistic,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.bitwise_not,
    "or": np.bitwise_or,
    "pow": np.power,
    "real": np.real,
    "rsqrt": _rsqrt,
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "sub": np.subtract,
    "tan": np.tan,
    "tanh": np.tanh,
}
TABLE = {
    **{name: _ufunc(function) for name, function in UFUNCS.items()},
    "broadcast_in_dim": _broadcast,
    "argmax": _extreme_place(np.argmax),
    "argmin": _extreme_place(np.argmin),
    "clamp": _clamp,
    "complex": _complex,
    "concatenate": _concatenate,
    "convert_element_type": _convert,
    "copy": _same,
    "copy_p": _same,
    "cumprod": _cumulative(np.cumprod),
    "cumsum": _cumulative(np.cumsum),
    "dot_general": _dot,
    "dynamic_slice": _dynamic_slice,
    "integer_pow": _integer_pow,
    "iota": _iota,
    "pad": _pad,
    "reduce_max": _reduce(np.max),
    "reduce_min": _reduce(np.min),
    "reduce_precision": _same,
    "reduce_sum": _reduce(np.sum),
    "reshape": _reshape,
    "rev": _rev,
    "select_n": _select,
    "slice": _slice,
    "squeeze": _squeeze,
    "stack": _stack,
    "stop_gradient": _same,
    "transpose": _transpose,
}

# What does not round; and what chooses, where a perturbed operand would choose anew.
EXACT = {
    "abs", "and", "argmax", "argmin", "broadcast_in_dim", "ceil", "clamp", "complex",
    "concatenate", "conj", "convert_element_type", "copy", "copy_p", "cummax",
    "cummin", "dynamic_slice", "dynamic_update_slice", "eq", "expand_dims", "floor",
    "gather", "ge", "gt", "imag", "iota", "is_finite", "le", "lt", "max", "min", "ne",
    "neg", "not", "optimization_barrier", "or", "pad", "real", "reduce_max",
    "reduce_min", "reduce_precision", "reshape", "rev", "round", "scatter",
    "scatter-max", "scatter-min", "select_and_gather_add", "select_n", "sign", "slice",
    "sort", "split", "squeeze", "stop_gradient", "top_k", "transpose", "reduce_and",
    "reduce_or", "xor", "clz", "nextafter", "reduce_window_max",
}  # fmt: skip

# Operands that are whole numbers, by place: perturbed, the function has no value.
WHOLE = {"polygamma": 0}
