"""Derivatives of incomplete gamma and beta functions in their parameters, by series.

All terms of the functions' own series are positive; a derivative in a parameter
multiplies each by that of its logarithm, which follows from term to term by a sum. So
the derivative is as exact as the function, relative to the function's size.
Sources: NIST Digital Library of Mathematical Functions (DLMF), by number.
"""

import jax.numpy as jnp
from jax import lax

MOST_TERMS = 100_000  # only parameters of such a size need as many


def _summed(start, step, reach):
    """Sums of terms until all are below rounding.

    Args:
      start: the state of term 0, a list of arrays.
      step: step(n, state) -> (terms, the state of term n + 1).
      reach: from which term on they fall.
    """
    terms, _ = step(jnp.zeros_like(reach), start)
    zeros = [jnp.zeros_like(t) for t in terms]
    epsilon = float(jnp.finfo(reach.dtype).eps)

    def goes_on(carry):
        n, _, totals, last = carry
        pairs = zip(last, totals, strict=True)
        small = [lax.abs(t) <= epsilon * lax.abs(total) for t, total in pairs]
        settled = (n > reach) & jnp.stack(small).all(0)
        return ~jnp.all(settled) & jnp.all(n < MOST_TERMS)

    def next_term(carry):
        n, state, totals, _ = carry
        terms, state = step(n, state)
        return n + 1, state, [a + b for a, b in zip(totals, terms, strict=True)], terms

    first = jnp.zeros_like(reach), start, zeros, [jnp.ones_like(t) for t in terms]
    return lax.while_loop(goes_on, next_term, first)[2]


# P(a, x) = sum over n of t_n, t_n = x^(a + n) exp(-x) / Gamma(a + n + 1). DLMF 8.11.4.
# (log t_n)' = log x - psi(a + n + 1), (log t_n)'' = -psi'(a + n + 1), so that
# P'' = sum of t_n ((log t_n)'^2 + (log t_n)''). psi(z + 1) = psi(z) + 1 / z, 5.5.2.
def gamma_twice_by_a(a, x):
    """The second derivative of P(a, x) in a; 0 at x = 0 and beyond."""
    inside = (x > 0) & (x < jnp.inf)
    x = jnp.where(inside, x, jnp.ones_like(x))
    log_t = a * lax.log(x) - x - lax.lgamma(a + 1)
    slope = lax.log(x) - lax.digamma(a + 1)
    bend = -lax.polygamma(jnp.ones_like(a), a + 1)

    def step(n, state):
        t, slope, bend = state
        z = a + n + 1
        return [t * (slope * slope + bend)], [t * x / z, slope - 1 / z, bend + 1 / z**2]

    (total,) = _summed([lax.exp(log_t), slope, bend], step, x)
    return jnp.where(inside, total, jnp.zeros_like(total))


# I_x(a, b) = sum over n of t_n, t_0 = x^a (1 - x)^b / (a B(a, b)) and
# t_(n+1) = t_n x (a + b + n) / (a + 1 + n). DLMF 8.17.8. It converges fast for
# x < (a + 1) / (a + b + 2); beyond, I_x(a, b) = 1 - I_(1-x)(b, a), 8.17.4.
def beta_by_parameters(a, b, x):
    """The derivatives of I_x(a, b) in a and in b; 0 where x is 0 or 1."""
    inside = (x > 0) & (x < 1)
    x = jnp.where(inside, x, jnp.full_like(x, 0.5))
    swapped = x > (a + 1) / (a + b + 2)
    first, second = jnp.where(swapped, b, a), jnp.where(swapped, a, b)
    by_first, by_second = _beta_series(first, second, jnp.where(swapped, 1 - x, x))
    pairs = (by_first, -by_second), (by_second, -by_first)
    return [
        jnp.where(inside, jnp.where(swapped, far, near), jnp.zeros_like(near))
        for near, far in pairs
    ]


def _beta_series(a, b, x):
    together = lax.digamma(a + b)
    log_beta = lax.lgamma(a) + lax.lgamma(b) - lax.lgamma(a + b)
    log_t = a * lax.log(x) + b * lax.log1p(-x) - log_beta - lax.log(a)
    by_a = lax.log(x) - 1 / a - lax.digamma(a) + together
    by_b = lax.log1p(-x) - lax.digamma(b) + together

    def step(n, state):
        t, by_a, by_b = state
        up, down = a + b + n, a + 1 + n
        follows = [t * x * up / down, by_a + 1 / up - 1 / down, by_b + 1 / up]
        return [t * by_a, t * by_b], follows

    return _summed([lax.exp(log_t), by_a, by_b], step, jnp.ones_like(x))
