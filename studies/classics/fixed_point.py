"""Recurrent backpropagation: can a network that settles be trained without unrolling?

The state relaxes to a fixed point h = F(h, theta) = tanh(W h + U x). There

    dh = F_h dh + F_theta dtheta,   so   dL/dtheta = F_theta^T z,   z = F_h^T z + dL/dh,

and z is found by relaxing a second, linear network, run backwards: the adjoint. Only
the fixed point is kept, whatever the number of steps that led there. Unrolling 200
steps and backpropagating through all of them gives the same gradient.

Source: Almeida 1987, ICNN; Pineda 1987, doi:10.1103/PhysRevLett.59.2229.
Command: jaxbp classics fixed_point
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import at_most, within
from jaxbp.study import plots

UNITS, STEPS = 8, 200
NETWORKS = ("state", "adjoint")


def start():
    """Weights of norm .6, so that F contracts; the input and a target."""
    keys = jax.random.split(jax.random.key(0), 4)
    W = jax.random.normal(keys[0], (UNITS, UNITS))
    W = 0.6 * W / jnp.linalg.norm(W, 2)
    U = jax.random.normal(keys[1], (UNITS, 3))
    x, target = jax.random.normal(keys[2], (3,)), jax.random.normal(keys[3], (UNITS,))
    return {"W": W, "U": U}, x, target


def step(params, x, h):
    return jnp.tanh(params["W"] @ h + params["U"] @ x)


def relax(update, h, steps=STEPS):
    """The last state, and how far each step moved."""

    def body(h, _):
        moved = update(h)
        return moved, jnp.linalg.norm(moved - h)

    return jax.lax.scan(body, h, length=steps)


def mismatch(h, target):
    return 0.5 * jnp.sum((h - target) ** 2)


def unrolled_loss(params, x, target):
    h, _ = relax(lambda h: step(params, x, h), jnp.zeros(UNITS))
    return mismatch(h, target)


def implicit_gradient(params, x, target):
    """Two relaxations: the state, then the adjoint."""
    h, moves = relax(lambda h: step(params, x, h), jnp.zeros(UNITS))
    _, pull_state = jaxbp.vjp(lambda h: step(params, x, h), h)
    h_bar = h - target
    z, adjoint_moves = relax(lambda z: pull_state(z)[0] + h_bar, jnp.zeros(UNITS))
    _, pull_params = jaxbp.vjp(lambda params: step(params, x, h), params)
    return pull_params(z)[0], (moves, adjoint_moves)


@jax.jit
def measured():
    params, x, target = start()
    implicit, moves = implicit_gradient(params, x, target)
    witnesses = {
        "unrolled by the engine": jaxbp.grad(unrolled_loss)(params, x, target),
        "unrolled by JAX": jax.grad(unrolled_loss)(params, x, target),
    }
    h, _ = relax(lambda h: step(params, x, h), jnp.zeros(UNITS))
    residual = jnp.abs(step(params, x, h) - h).max()
    return implicit, witnesses, moves, residual


def compute(quick):
    implicit, witnesses, moves, residual = jax.device_get(measured())
    numbers = {"|F(h) - h|": residual}
    for name, grads in witnesses.items():
        gaps = [np.abs(grads[k] - implicit[k]).max() for k in implicit]
        numbers[f"implicit against {name}"] = max(gaps)
    for name, moved in zip(NETWORKS, moves, strict=True):
        numbers[f"steps until the {name} rests, to 1e-12"] = np.sum(moved > 1e-12)
    return numbers, moves


def draw(moves, axes):
    for name, moved, colour in zip(
        ("state h", "adjoint z"), moves, ("blue", "vermilion"), strict=True
    ):
        moved = moved[moved > 1e-17]
        plots.line(axes[0], np.arange(moved.size), moved, name, colour, marker="")
    axes[0].set(
        yscale="log", xlabel="step of the relaxation", title="length of the step"
    )


def answer(numbers):
    gap = numbers["implicit against unrolled by the engine"]
    rests = [numbers[f"steps until the {name} rests, to 1e-12"] for name in NETWORKS]
    return (
        f"Yes: state and adjoint rest after {rests[0]:.0f} and {rests[1]:.0f} steps, "
        f"and the gradient equals the one through {STEPS} steps to {gap:.0e}."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={3: "recurrent backpropagation (Almeida 1987, Pineda 1987)"},
    compute=compute,
    known={
        "|F(h) - h|": within(0, 1e-15, "a fixed point"),
        "implicit against unrolled by the engine": within(0, 1e-12, "witnesses agree"),
        "implicit against unrolled by JAX": within(0, 1e-12, "witnesses agree"),
        "steps until the state rests, to 1e-12": at_most(STEPS),
        "steps until the adjoint rests, to 1e-12": at_most(STEPS),
    },
    draw=draw,
    answer=answer,
    inches=(7.0, 4.2),
)

if __name__ == "__main__":
    run(classic)
