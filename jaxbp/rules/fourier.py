"""Fourier transforms: linear, all kinds in one primitive.

Transposes are without conjugation. Along the last transformed axis, of length n, with
w = exp(-2 pi i / n):
  FFT, IFFT: the matrix w^(jk) is symmetric, so the transform is its own transpose.
  RFFT, y_k = sum_j x_j w^(jk) for k <= n/2: x_bar_j = Re sum_k y_bar_k w^(jk). That
    sum is a half spectrum's: IRFFT counts k and n - k as a conjugate pair, so the
    cotangents are halved, but for those that stand alone (k = 0, and k = n/2 of an
    even n).
  IRFFT reads the same half spectrum: x_bar_k = conj(RFFT(y_bar))_k / N, doubled for the
    pairs.
The other axes are complex transforms and contribute the factor N, their sizes' product.
"""

import math

import numpy as np
from jax import lax
from jax.extend.core.primitives import fft_p

from .registry import linear


def _fft_transpose(y_bar, x, *, fft_type, fft_lengths):
    if fft_type == lax.FftType.RFFT:
        scale = math.prod(fft_lengths) / _members(fft_lengths[-1])
        spectrum = _scaled(lax.conj(y_bar), scale)
        return fft_p.bind(spectrum, fft_type=lax.FftType.IRFFT, fft_lengths=fft_lengths)
    if fft_type == lax.FftType.IRFFT:
        spectrum = fft_p.bind(y_bar, fft_type=lax.FftType.RFFT, fft_lengths=fft_lengths)
        scale = _members(fft_lengths[-1]) / math.prod(fft_lengths)
        return _scaled(lax.conj(spectrum), scale)
    return fft_p.bind(y_bar, fft_type=fft_type, fft_lengths=fft_lengths)


def _members(n):
    """How many of n frequencies each element of a half spectrum stands for: 1 or 2."""
    members = np.full(n // 2 + 1, 2.0)
    members[0] = 1
    if n % 2 == 0:
        members[-1] = 1
    return members


def _scaled(x, scale):
    """x times one factor per element of its last axis."""
    factors = lax.broadcast_in_dim(scale.astype(x.dtype), x.shape, (x.ndim - 1,))
    return lax.mul(x, factors)


linear("fft", transpose=_fft_transpose)
