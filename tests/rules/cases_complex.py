"""Complex numbers and their parts; Fourier transforms."""

import jax.numpy as jnp
from jax import lax

from tests.rules.case import BOTH, Case, normal

COMPLEX = ("complex",)
VECTOR = (normal(4),)

CASES = [
    Case("complex", lax.complex, (normal(2, 3), normal(2, 3))),
    Case("complex", lambda x: lax.complex(jnp.zeros_like(x), x), VECTOR, "one"),
    Case("conj", lax.conj, VECTOR, "", BOTH),
    Case("imag", lax.imag, VECTOR, "", COMPLEX),
    Case("real", lambda x: lax.real(x * x), VECTOR, "", COMPLEX),
    Case("fft", jnp.fft.fft, VECTOR, "even", BOTH),
    Case("fft", jnp.fft.ifftn, (normal(2, 3, 4),), "inverse", BOTH),
    Case("fft", lambda x: jnp.fft.fft2(x, axes=(0, 2)), (normal(2, 3, 5),), "axes"),
]


def half(name, transform, shape, dtypes):
    return Case("fft", transform, (normal(*shape),), name, dtypes)


# Odd and even lengths, and the lengths 1 and 2 at which no frequency has a partner.
for n in (1, 2, 4, 5):
    CASES += [
        half(f"real-{n}", jnp.fft.rfft, (2, n), ("float",)),
        half(
            f"halved-{n}",
            lambda x, n=n: jnp.fft.irfft(x, n=n),
            (2, n // 2 + 1),
            COMPLEX,
        ),
    ]
for n in (4, 5):
    CASES += [
        half(f"realn-{n}", jnp.fft.rfftn, (2, 3, n), ("float",)),
        half(
            f"halvedn-{n}",
            lambda x, n=n: jnp.fft.irfftn(x, s=(2, 3, n)),
            (2, 3, n // 2 + 1),
            COMPLEX,
        ),
    ]
