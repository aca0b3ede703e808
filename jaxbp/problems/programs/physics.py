"""Few numbers, many steps: systems of differential equations stepped by loops."""

import jax.numpy as jnp
import numpy as np
from jax import lax


def rk4(params, start, target):
    """Lotka-Volterra-like system of n species, classical Runge-Kutta by scan."""

    def slope(y):
        return y * (params["growth"] + params["coupling"] @ y)

    def step(y, _):
        h = 0.01
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    y, _ = lax.scan(step, start, None, length=target.shape[0])
    return jnp.sum((y - target[-1]) ** 2)


def rk4_args(draw, *, species, steps):
    growth = draw.uniform(species, low=0.1, high=1)
    coupling = -draw.uniform(species, species) - species * np.eye(
        species, dtype=draw.dtype
    )
    params = {"growth": growth, "coupling": coupling}
    return params, draw.uniform(species), draw.uniform(steps, species)


def pendulum_scan(params, start, times):
    """A damped driven pendulum, four scalars, one scan step a time step."""
    h = 0.01

    def step(state, t):
        angle, speed = state
        push = params["drive"] * jnp.cos(params["frequency"] * t)
        force = push - params["damping"] * speed - params["gravity"] * jnp.sin(angle)
        speed = speed + h * force
        return (angle + h * speed, speed), None

    (angle, speed), _ = lax.scan(step, (start[0], start[1]), times)
    return angle**2 + speed**2


def pendulum_fori(params, start, times):
    """The same pendulum by `fori_loop`, the times read by index."""
    h = 0.01

    def step(k, state):
        angle, speed = state
        push = params["drive"] * jnp.cos(params["frequency"] * times[k])
        force = push - params["damping"] * speed - params["gravity"] * jnp.sin(angle)
        speed = speed + h * force
        return angle + h * speed, speed

    angle, speed = lax.fori_loop(0, times.shape[0], step, (start[0], start[1]))
    return angle**2 + speed**2


def pendulum_args(draw, *, steps):
    values = {"drive": 1.2, "frequency": 2 / 3, "damping": 0.5, "gravity": 9.8}
    params = {name: np.asarray(value, draw.dtype) for name, value in values.items()}
    times = (0.01 * np.arange(steps)).astype(draw.dtype)
    return params, draw.uniform(2), times


def lorenz(params, start, target):
    """The Lorenz system, three numbers, classical Runge-Kutta by scan."""
    h = 0.001

    def slope(state):
        sigma, rho, beta = params
        x, y, z = state
        return jnp.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    def step(state, _):
        k1 = slope(state)
        k2 = slope(state + h / 2 * k1)
        k3 = slope(state + h / 2 * k2)
        k4 = slope(state + h * k3)
        return state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    end, _ = lax.scan(step, start, None, length=target.shape[0])
    return jnp.sum((end - target[-1]) ** 2)


def lorenz_args(draw, *, steps):
    params = np.asarray([10, 28, 8 / 3], draw.dtype)
    return params, draw.uniform(3, low=1, high=2), draw.uniform(steps, 3)
