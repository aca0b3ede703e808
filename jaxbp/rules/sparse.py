"""Sparse arrays (jax.experimental.sparse): products, conversions, solves.

Most of its primitives are defined by ordinary array operations, which are what is
differentiated; so is what is written down here for those that are not. The indices are
integers and carry nothing. The module itself is not imported before a program uses it:
the rules are registered by name.
"""

import importlib
from typing import Any

import jax.numpy as jnp
from jax import lax

from .. import ir
from ..linear.base import Params, add
from .mixed import mixed
from .registry import Rewritten, register


class Defined(Rewritten):
    """The derivative is that of the operations by which JAX defines the primitive."""

    def __init__(self):
        super().__init__(_definition)

    def __call__(self, walker, primitive, values, dots, params):
        avals = tuple(map(ir.typeof, values))
        static = Params(params | {"primitive": primitive})
        outs, dots = walker.run(ir.traced(_definition, static, avals), values, dots)
        if any(type(v) is ir.Hole for v in values):
            return outs, dots
        return ir.evaluate(primitive, values, params), dots


def _definition(*operands, primitive, **params):
    return primitive.impl(*operands, **params)


for _name in (
    "bcoo_dot_general_sampled bcoo_extract bcoo_fromdense bcoo_sort_indices "
    "bcoo_spdot_general bcoo_sum_duplicates bcoo_todense bcoo_transpose bcsr_extract "
    "bcsr_fromdense bcsr_todense todense"
).split():
    register(_name, Defined())


# COO and CSR: y_i = sum over the elements k of row i of data_k v_col(k). Elements
# outside of the shape are padding.
def _matmul(data, row, col, b, *, spinfo: Any = None, shape=None, transpose):
    shape = spinfo.shape if shape is None else shape
    if transpose:
        row, col, shape = col, row, shape[::-1]
    terms = b.at[col].get(mode="fill", fill_value=0)
    scale = lax.broadcast_in_dim(data, terms.shape, (0,))
    return jnp.zeros((shape[0], *b.shape[1:]), data.dtype).at[row].add(scale * terms)


def _todense(data, row, col, *, spinfo: Any = None, shape=None):
    shape = spinfo.shape if shape is None else shape
    return jnp.zeros(shape, data.dtype).at[row, col].add(data)


def _rows(indices, indptr):
    """The row of every element, from where each row starts."""
    return jnp.cumsum(jnp.zeros_like(indices).at[indptr].add(1)) - 1


def _csr(function):
    def call(data, indices, indptr, *others, **params):
        return function(data, _rows(indices, indptr), indices, *others, **params)

    return call


def _coo_fromdense(x, **params):
    _, row, col = _primitive("coo_fromdense").bind(lax.stop_gradient(x), **params)
    return x.at[row, col].get(mode="fill", fill_value=0), row, col


def _csr_fromdense(x, **params):
    fixed = lax.stop_gradient(x)
    _, indices, indptr = _primitive("csr_fromdense").bind(fixed, **params)
    data = x.at[_rows(indices, indptr), indices].get(mode="fill", fill_value=0)
    return data, indices, indptr


def _module(name):
    return importlib.import_module(f"jax.experimental.sparse.{name}")


def _primitive(name):
    kind = "linalg" if name == "spsolve" else name.split("_")[0]
    return getattr(_module(kind), f"{name}_p")


for _kind, _of in (("coo", lambda f: f), ("csr", _csr)):
    register(f"{_kind}_matvec", Rewritten(_of(_matmul)))
    register(f"{_kind}_matmat", Rewritten(_of(_matmul)))
    register(f"{_kind}_todense", Rewritten(_of(_todense)))
register("coo_fromdense", Rewritten(_coo_fromdense))
register("csr_fromdense", Rewritten(_csr_fromdense))


# BCOO: JAX keeps the definition beside the primitive.
def _bcoo_dot_general(data, indices, b, *, lhs_spinfo, **params):
    bcoo = _module("bcoo")
    define = getattr(bcoo, "_bcoo_dot_general_impl", None)
    if define is not None:
        return define(data, indices, b, lhs_spinfo=lhs_spinfo, **params)
    dense = bcoo.BCOO((data, indices), shape=lhs_spinfo.shape).todense()
    return lax.dot_general(
        dense,
        b,
        params["dimension_numbers"],
        preferred_element_type=params["preferred_element_type"],
    )


def _bcsr_dot_general(data, indices, indptr, b, *, lhs_spinfo, **params):
    bcsr = _module("bcsr").BCSR((data, indices, indptr), shape=lhs_spinfo.shape)
    coo = bcsr.to_bcoo()
    return _primitive("bcoo_dot_general").bind(
        coo.data, coo.indices, b, lhs_spinfo=coo._info, **params
    )


register("bcoo_dot_general", Rewritten(_bcoo_dot_general))
register("bcsr_dot_general", Rewritten(_bcsr_dot_general))


# spsolve: A x = b in CSR, so A x_dot = b_dot - A_dot x and A^T b_bar = x_bar.
def _spsolve_jvp(primals, tangents, **params):
    data, indices, indptr, b = primals
    data_dot, _, _, b_dot = tangents
    solve = _primitive("spsolve")
    x = solve.bind(data, indices, indptr, b, **params)
    right, shape = b_dot, (b.shape[0], b.shape[0])
    if data_dot is not None:
        moved = _csr(_matmul)(
            data_dot, indices, indptr, x, shape=shape, transpose=False
        )
        right = add(right, lax.neg(moved))
    return x, solve.bind(data, indices, indptr, right, **params)


def _spsolve_transpose(x_bar, data, indices, indptr, b, **params):
    row = _rows(indices, indptr)
    order = jnp.lexsort((row, indices))
    starts = jnp.zeros_like(indptr).at[indices + 1].add(1)
    return _primitive("spsolve").bind(
        data[order],
        row[order].astype(indices.dtype),
        jnp.cumsum(starts).astype(indptr.dtype),
        x_bar,
        **params,
    )


mixed("spsolve", operands=(3,), transpose=_spsolve_transpose, jvp=_spsolve_jvp)
