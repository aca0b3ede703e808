"""Likelihoods, kernels, filters and control: what is broadcast and contracted."""

import jax
import jax.numpy as jnp
from jax import lax

from .listed import listed


def _points(draw, *, n, d):
    return (draw.normal(n, d, scale=1),)


@listed(_points, dict(n=600, d=8), dict(n=4, d=2))
def distance_kernel(x):
    """A Gaussian kernel of all pairs, by broadcasting."""
    apart = jnp.sum((x[:, None] - x[None]) ** 2, -1)
    return jnp.sum(jnp.exp(-0.5 * apart))


@listed(_points, dict(n=500, d=3), dict(n=4, d=3))
def pair_energy(x):
    """Softened gravity between all pairs of particles."""
    apart = jnp.sum((x[:, None] - x[None]) ** 2, -1)
    return -jnp.sum(1 / jnp.sqrt(apart + 0.01))


def _mixture(draw, *, n, k, d):
    params = {
        "means": draw.normal(k, d, scale=1),
        "widths": draw.normal(k, d, scale=0.1),
        "weights": draw.normal(k, scale=1),
    }
    return params, draw.normal(n, d, scale=1)


@listed(_mixture, dict(n=1000, k=50, d=20), dict(n=4, k=2, d=2))
def diagonal_mixture(params, x):
    """The likelihood of a mixture of Gaussians of diagonal covariance."""
    away = (x[:, None] - params["means"][None]) * jnp.exp(params["widths"])[None]
    logs = jax.nn.log_softmax(params["weights"]) + jnp.sum(params["widths"], -1)
    logs = logs[None] - 0.5 * jnp.sum(away**2, -1)
    return -jnp.mean(jax.nn.logsumexp(logs, axis=1))


@listed(_points, dict(n=400, d=16), dict(n=4, d=2))
def quadratic_forms(x):
    """Mahalanobis distances to a covariance made of the points."""
    d = x.shape[1]
    S = x.T @ x / len(x) + jnp.eye(d, dtype=x.dtype)
    forms = jnp.einsum("ni,ij,nj->n", x, jnp.linalg.inv(S), x)
    return jnp.sum(jnp.log1p(forms))


def _observed(draw, *, steps, d):
    return ((draw.normal(d, d, scale=0.2), draw.normal(steps, d, scale=1)),)


@listed(_observed, dict(steps=300, d=6), dict(steps=3, d=2))
def kalman_filter(model):
    """The likelihood of a linear model of states, by Kalman's filter."""
    A, seen = model
    one = jnp.eye(len(A), dtype=A.dtype)

    def step(carry, y):
        m, P = carry
        m, P = A @ m, A @ P @ A.T + 0.1 * one
        S = P + 0.5 * one
        gain = jnp.linalg.solve(S, P).T
        error = y - m
        inside = error @ jnp.linalg.solve(S, error) + jnp.linalg.slogdet(S)[1]
        return (m + gain @ error, P - gain @ P), inside

    start = jnp.zeros(len(A), A.dtype), one
    return jnp.sum(lax.scan(step, start, seen)[1])


@listed(_observed, dict(steps=200, d=8), dict(steps=3, d=2))
def riccati_gains(model):
    """Gains of a linear regulator, kept in a table from the last to the first."""
    A, seen = model
    one = jnp.eye(len(A), dtype=A.dtype)
    steps = len(seen)

    def back(k, carry):
        P, gains = carry
        gain = jnp.linalg.solve(one + P, P @ A)
        P = one + A.T @ P @ (A - gain)
        return P, gains.at[steps - 1 - k].set(gain)

    start = one, jnp.zeros((steps, *A.shape), A.dtype)
    gains = lax.fori_loop(0, steps, back, start)[1]
    return jnp.sum(jnp.tanh(gains)) + jnp.sum(seen[0] ** 2)


@listed(_observed, dict(steps=400, d=20), dict(steps=3, d=2))
def shooting(model):
    """The cost of controls along a trajectory that is stored."""
    A, controls = model

    def step(t, T):
        return T.at[t + 1].set(jnp.tanh(A @ T[t] + controls[t]))

    T = jnp.zeros((len(controls) + 1, len(A)), A.dtype).at[0].set(1)
    T = lax.fori_loop(0, len(controls), step, T)
    return jnp.sum((T - 1) ** 2) + 0.1 * jnp.sum(controls**2)


@listed(_points, dict(n=1000, d=1), dict(n=4, d=1))
def self_exciting_events(x):
    """The likelihood of a Hawkes process, its intensity by recursion in a table."""
    gaps = jnp.exp(x[:, 0] - 1)

    def event(i, R):
        return R.at[i].set(jnp.exp(-gaps[i]) * (1 + R[i - 1]))

    R = lax.fori_loop(1, gaps.size, event, jnp.zeros_like(gaps))
    return jnp.sum(gaps) - jnp.sum(jnp.log(0.5 + 0.8 * R))


@listed(_points, dict(n=300, d=20), dict(n=3, d=4))
def tree_option(x):
    """An option's value, folded back along a lattice of prices."""
    prices = jnp.cumsum(x, axis=1) * 0.1
    payoff = jax.nn.softplus(prices)

    def back(k, V):
        t = x.shape[1] - 2 - k
        ahead = 0.5 * (V[:, t + 1] + jnp.roll(V[:, t + 1], 1))
        return V.at[:, t].set(jnp.logaddexp(payoff[:, t], 0.99 * ahead))

    return jnp.mean(lax.fori_loop(0, x.shape[1] - 1, back, payoff)[:, 0])
