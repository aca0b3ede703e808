"""`python -m tests.across.many 5000 [seed]`: so many random programs, by orders of
elimination, beside JAX: values and, in float64, patterns that hold every nonzero."""

import sys

import jax

from jaxbp.across import order

from .test_random import trial

CHUNK = 100
KEPT = 10  # chunks that share what was compiled


def main(count: int, seed: int = 0) -> None:
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)  # each runs once or twice
    order.CLEARLY, order.SEEN = float("inf"), -float("inf")
    compared = tried = 0
    while compared < count:
        compared += trial(CHUNK, seed + tried // CHUNK)
        tried += CHUNK
        print(f"{compared} of {tried} compared, none differs", flush=True)
        if not tried % (KEPT * CHUNK):
            jax.clear_caches()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
