"""Programs that tutorials of differentiable programming build, written as they are."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.ode import odeint

import jaxbp
from tests.ecosystem.agreement import agree
from tests.transforms.standin import same_values

# The fixed point of a contraction, by the implicit function theorem ----------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def fixed_point(f, a, guess):
    def step(carry):
        _, x = carry
        return x, f(a, x)

    def moves(carry):
        before, x = carry
        return jnp.max(jnp.abs(before - x)) > 1e-14

    return jax.lax.while_loop(moves, step, (guess, f(a, guess)))[1]


def fixed_point_fwd(f, a, guess):
    x = fixed_point(f, a, guess)
    return x, (a, x)


def fixed_point_rev(f, residuals, x_bar):
    a, x = residuals
    _, pull_a = jax.vjp(lambda a: f(a, x), a)
    _, pull_x = jax.vjp(lambda x: f(a, x), x)
    w = fixed_point(lambda pair, w: pair[1] + pair[0](w)[0], (pull_x, x_bar), x_bar)
    return *pull_a(w), jnp.zeros_like(x)


fixed_point.defvjp(fixed_point_fwd, fixed_point_rev)


def test_fixed_point():
    """Newton's square root, and the equilibrium of a recurrent network, in reverse."""

    def equilibrium(w, b):
        root = fixed_point(lambda a, x: 0.5 * (x + a / x), jnp.sum(b**2), jnp.ones(()))
        state = fixed_point(lambda p, x: jnp.tanh(p[0] @ x + p[1]), (w, b), b)
        return jnp.sum(jnp.sin(state)) * root

    point = jnp.array([[0.2, -0.3], [0.4, 0.1]]), jnp.array([0.5, -0.7])
    ours, jaxs = (
        jax.jit(ad.value_and_grad(equilibrium, (0, 1)))(*point) for ad in (jaxbp, jax)
    )
    same_values(ours, jaxs)


# Others are differentiable in both modes ------------------------------------------


def network(params, x):
    for w, b in params[:-1]:
        x = jnp.tanh(x @ w + b[None])
    w, b = params[-1]
    return x @ w + b[None]


WIDTHS = (1, 4, 1)
PARAMS = [
    (jnp.sin(jnp.arange(1.0, n * m + 1)).reshape(n, m), jnp.linspace(-0.5, 0.3, m))
    for n, m in zip(WIDTHS, WIDTHS[1:], strict=False)
]
PHASES = jnp.array([0.1, 1.3, 2.2])


def maml(params, phases, rate):
    """Loss on new examples of each sine task after two steps of gradient descent."""

    def loss(params, x, y):
        return jnp.mean((network(params, x) - y) ** 2)

    def task(phase):
        x = jnp.linspace(-2, 2, 6)[:, None]
        own = params
        for _ in range(2):
            slopes = jax.grad(loss)(own, x, jnp.sin(x + phase))
            own = jax.tree.map(lambda p, g: p - rate * g, own, slopes)
        return loss(own, x + 0.2, jnp.sin(x + 0.2 + phase))

    return jnp.mean(jax.vmap(task)(phases))


def kalman(transition, noise, observed):
    """Log-likelihood of a linear Gaussian state-space model: filtered by a scan."""
    q, r = jnp.exp(noise[0]) * jnp.eye(2), jnp.exp(noise[1])
    h = jnp.array([1.0, 0.5])

    def step(carry, y):
        mean, covariance, total = carry
        mean = transition @ mean
        covariance = transition @ covariance @ transition.T + q
        innovation, variance = y - h @ mean, h @ covariance @ h + r
        gain = covariance @ h / variance
        mean = mean + gain * innovation
        covariance = covariance - jnp.outer(gain, h @ covariance)
        total -= 0.5 * (innovation**2 / variance + jnp.log(2 * jnp.pi * variance))
        return (mean, covariance, total), mean

    start = jnp.zeros(2), jnp.eye(2), jnp.zeros(())
    (_, _, total), means = jax.lax.scan(step, start, observed)
    return total, means


def hidden_markov(logits, emissions, observed):
    """Log-likelihood of symbols by the forward algorithm; best path by Viterbi."""
    moves = jax.nn.log_softmax(logits, axis=1)
    seen = jax.nn.log_softmax(emissions, axis=1)

    def step(carry, symbol):
        alpha, best = carry
        total = jax.nn.logsumexp(alpha[:, None] + moves, axis=0) + seen[:, symbol]
        return (total, jnp.max(best[:, None] + moves, axis=0) + seen[:, symbol]), None

    start = seen[:, observed[0]] - jnp.log(3.0)
    (alpha, best), _ = jax.lax.scan(step, (start, start), observed[1:])
    return jax.nn.logsumexp(alpha), jnp.max(best)


def hamiltonian(q, log_mass, step_size, key):
    """One step of Hamiltonian Monte Carlo: leapfrogs, then accepted or not."""

    def energy(q):
        return jnp.sum(q[:-1] ** 2) / 2 + jnp.sum((q[1:] - q[:-1] ** 2) ** 2)

    mass, (first, second) = jnp.exp(log_mass), jax.random.split(key)
    p = jax.random.normal(first, q.shape, q.dtype) * jnp.sqrt(mass)

    def leapfrog(_, state):
        q, p = state
        p = p - 0.5 * step_size * jax.grad(energy)(q)
        q = q + step_size * p / mass
        return q, p - 0.5 * step_size * jax.grad(energy)(q)

    moved, late = jax.lax.fori_loop(0, 4, leapfrog, (q, p))
    change = energy(q) + jnp.sum(p**2 / mass) / 2
    change -= energy(moved) + jnp.sum(late**2 / mass) / 2
    accept = jnp.log(jax.random.uniform(second, dtype=q.dtype)) < change
    return jnp.where(accept, moved, q), jnp.minimum(1.0, jnp.exp(change))


OBSERVED = jnp.array([0.3, -0.1, 0.8, 1.1, 0.4])
TRANSITION = jnp.array([[0.9, 0.2], [-0.1, 0.8]])
CASES = {
    "maml": (maml, PARAMS, PHASES, jnp.array(0.05)),
    "kalman": (kalman, TRANSITION, jnp.array([-1.0, -2.0]), OBSERVED),
    "hidden_markov": (
        hidden_markov,
        jnp.array([[0.5, -0.2, 0.1], [0.3, 0.9, -0.4], [-0.7, 0.2, 0.6]]),
        jnp.array([[0.1, 0.8], [0.7, -0.3], [-0.5, 0.4]]),
        jnp.array([0, 1, 1, 0]),
    ),
    "hamiltonian": (
        hamiltonian,
        jnp.array([0.4, -0.3, 0.8]),
        jnp.array([0.1, -0.2, 0.3]),
        jnp.array(0.1),
        jax.random.key(5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_in_both_modes(name):
    function, *args = CASES[name]
    agree(function, *args, order=1)


# An adaptive solver: its derivative is its own adjoint equation, by custom_vjp -----


def test_neural_ode():
    """The flow of a network's vector field, fitted to where points should end.

    Reverse mode as JAX's. Ours has the forward mode too, which JAX refuses.
    """

    @jax.jit
    def loss(params, starts, end):
        def field(x, t, params):
            return network(params, x) * jnp.exp(-t)

        times = jnp.stack([jnp.zeros(()), end / 3, end])
        flow = odeint(field, starts, times, params, rtol=1e-11, atol=1e-11)
        return jnp.mean((flow[1:] - jnp.array([0.3, 0.5])[:, None, None]) ** 2)

    point = PARAMS, jnp.array([[-0.6], [0.2], [0.9]]), jnp.array(1.2)
    everywhere = (0, 1, 2)
    value, gradient = jaxbp.value_and_grad(loss, everywhere)(*point)
    same_values(gradient, jax.grad(loss, everywhere)(*point))
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(loss, point, gradient)
    pushed, slope = jaxbp.jvp(loss, point, gradient)
    same_values(pushed, value)
    # The adjoint's steps are chosen for its cotangent: equal as the solver is exact.
    expected = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient))
    assert float(slope) == pytest.approx(expected, rel=1e-9)
