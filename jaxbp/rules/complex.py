"""Complex numbers and their parts: linear over the reals.

Transposes are without conjugation, as in JAX: the cotangent of x = a + i b is a_bar - i
b_bar, so that y_bar x_dot has the real part <y_bar, x_dot>, and the gradient of a real
function is the conjugate of its steepest ascent. Holomorphic functions then have the
same slope in both modes.
"""

import numpy as np
from jax import lax

from ..linear.base import unbroadcast
from ..linear.labels import Form
from .registry import linear


def _complex_transpose(y_bar, re, im):
    re_bar, im_bar = lax.real(y_bar), lax.neg(lax.imag(y_bar))
    return [unbroadcast(re_bar, re.shape), unbroadcast(im_bar, im.shape)]


REAL_ONLY = Form(real_only=True)
linear("complex", transpose=_complex_transpose, operands=(0, 1))


def _conj_transpose(y_bar, x, *, input_dtype):
    is_complex = np.issubdtype(input_dtype, np.complexfloating)
    return lax.conj(y_bar) if is_complex else lax.real(y_bar)


linear("conj", transpose=_conj_transpose, form=REAL_ONLY)


def _imag_transpose(y_bar, x):
    return lax.complex(lax.full_like(y_bar, 0), lax.neg(y_bar))


linear("imag", transpose=_imag_transpose, form=REAL_ONLY)


def _real_transpose(y_bar, x):
    return lax.complex(y_bar, lax.full_like(y_bar, 0))


linear("real", transpose=_real_transpose, form=REAL_ONLY)
