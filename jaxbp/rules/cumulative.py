"""Cumulative operations: each output depends on a prefix of the inputs."""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import ir
from .recurrence import recurrent, shifted
from .registry import Rewritten, linear, register, rewritten


def _cumsum_transpose(y_bar, x, *, axis, reverse, **params):
    return lax.cumsum(y_bar, axis, not reverse)


linear("cumsum", transpose=_cumsum_transpose)


# The others are scans of an associative operation, in log2(n) steps, and the derivative
# of cummax and cummin is that of these steps: at a tie each of the two combined gets
# half, as in JAX. Their value is that of the steps, too, as in JAX: on a CPU the
# primitive takes as long again, and four times as long as the steps.
def _scan(combine, x, *, axis, reverse, **params):
    return lax.associative_scan(combine, x, reverse=reverse, axis=axis)


rewritten("cummax", functools.partial(_scan, lax.max), gives_value=True)
rewritten("cummin", functools.partial(_scan, lax.min), gives_value=True)


# Of these two the tangents are linear recurrences, and nothing else need be kept.
def _product_slopes(x, y, axis, reverse):
    return shifted(y, axis, reverse, lax.full_like(y, 1)), x


# Where all so far is infinite, what is added is weighed as jnp.logaddexp does.
def _logsumexp_slopes(x, y, axis, reverse):
    infinite = y.dtype.type(np.inf)
    x, y = (
        lax.select(lax.eq(v, lax.full_like(v, infinite)), lax.full_like(v, 0), v)
        for v in (x, y)
    )
    before = shifted(y, axis, reverse, lax.full_like(y, -infinite))
    return lax.exp(lax.sub(x, y)), lax.exp(lax.sub(before, y))


class _Recurrent(Rewritten):
    """The value by steps; the tangent as a recurrence, with these slopes and ratios."""

    def __init__(self, combine, slopes):
        super().__init__(functools.partial(_scan, combine), gives_value=True)
        self.slopes = slopes

    def __call__(self, walker, primitive, values, dots, params):
        (x,) = values
        aval = ir.typeof(x)
        real = np.issubdtype(aval.dtype, np.floating)
        if type(x) is ir.Hole or not real or aval.size == 0 or ir.placed(aval):
            return super().__call__(walker, primitive, values, dots, params)
        x = ir.array(x)
        y = self.function(x, **params)
        slope, ratio = self.slopes(x, y, params["axis"], params["reverse"])
        return recurrent(walker, x, y, slope, ratio, dots, params)


register("cumlogsumexp", _Recurrent(jnp.logaddexp, _logsumexp_slopes))
register("cumprod", _Recurrent(lax.mul, _product_slopes))
