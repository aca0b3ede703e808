"""Checking a gradient by differences: which step is best, and how good does it get?

A central difference (f(w + h) - f(w - h)) / 2h errs by h^2 f'''/6 from the cut series
and by eps |f| / h from rounding: over h a V, best near h = eps^(1/3), about 1e-5 in
float64. A forward difference errs by h f''/2, is best near eps^(1/2), and less good.

Source: Nocedal and Wright 2006, Numerical Optimization, section 8.1.
Command: jaxbp classics differences
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxbp
from jaxbp import layers, problems
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import at_most, between, exactly
from jaxbp.study import plots

EXPONENTS = range(1, 14)  # of h = 10^-k
SEEDS = 5


def network(key):
    """The loss of a 2-2-1 tanh network on XOR as f(w (9,)), and weights."""
    model = layers.mlp([2, 2, 1], activation="tanh", biases=layers.normal(0.5))
    inputs, labels = problems.xor(np.float64)
    w, unflatten = ravel_pytree(model.init(key, jnp.float64))
    f = layers.loss_fn(model, layers.mean_squared_error)
    return lambda w: f(unflatten(w), inputs, labels[:, None] * 1.0), w


@jax.jit
def errors(key):
    """Largest error of a partial derivative, central and forward, for each step."""
    f, w = network(key)
    exact = jaxbp.grad(f)(w)
    moves = jnp.eye(w.size)
    each = jax.vmap(f)

    def one(h):
        ahead, back = each(w[None] + h * moves), each(w[None] - h * moves)
        central = (ahead - back) / (2 * h)
        forward = (ahead - f(w)) / h
        return jnp.abs(central - exact).max(), jnp.abs(forward - exact).max()

    return jax.lax.map(one, 10.0 ** -jnp.arange(1.0, 14.0))


def compute(quick):
    keys = jax.random.split(jax.random.key(0), SEEDS)
    found = jax.device_get([errors(key) for key in keys])
    central, forward = (np.median([f[k] for f in found], axis=0) for k in (0, 1))
    numbers = {"parameters": 9}
    for k in (3, 4, 5, 6, 8, 12):
        numbers[f"central, h = 1e-{k}"] = central[k - 1]
    for name, curve in (("central", central), ("forward", forward)):
        numbers[f"{name}: best error"] = curve.min()
        numbers[f"{name}: best step, 10^-k with k"] = EXPONENTS[curve.argmin()]
    numbers["error ratio of h = 1e-2 and 1e-3"] = central[1] / central[2]
    return numbers, (central, forward)


def draw(drawn, axes):
    steps = 10.0 ** -np.array(EXPONENTS)
    for name, curve, colour in zip(
        ("central", "forward"), drawn, ("blue", "vermilion"), strict=True
    ):
        axes[0].plot(steps, curve, "o-", color=plots.COLOURS[colour])
        best = curve.argmin()
        told = f"{name}: {curve[best]:.0e} at h = {steps[best]:.0e}"
        offset = (0, 60) if name == "forward" else (0, -16)
        axes[0].annotate(told, (steps[best], curve[best]), offset, ha="center",
                         textcoords="offset points",
                         color=plots.COLOURS[colour])  # fmt: skip
    plots.log_log(axes[0], "step h", "largest error of a partial derivative")
    axes[0].set_ylim(bottom=1e-12)


def answer(numbers):
    return (
        f"Central differences are best at h = 1e-"
        f"{numbers['central: best step, 10^-k with k']:.0f}, with "
        f"{numbers['central: best error']:.0e} left; forward ones keep "
        f"{numbers['forward: best error']:.0e}."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={13: "a gradient check by differences"},
    compute=compute,
    known={
        "central: best step, 10^-k with k": between(5, 6, "eps^(1/3) is 6e-6"),
        "central: best error": at_most(3e-10),
        "central, h = 1e-3": between(1e-8, 1e-5, "2.6e-7 on another start"),
        "central, h = 1e-8": between(1e-10, 1e-6, "4.7e-8 on another start"),
        "central, h = 1e-12": between(1e-6, 1e-2, "4.4e-4 on another start"),
        "error ratio of h = 1e-2 and 1e-3": between(95, 105, "h^2"),
        "forward: best step, 10^-k with k": between(7, 8, "eps^(1/2) is 1.5e-8"),
        "forward: best error": between(1e-9, 5e-7, "4.5e-8 on another start"),
        "parameters": exactly(9),
    },
    draw=draw,
    answer=answer,
    inches=(7.0, 4.2),
)

if __name__ == "__main__":
    run(classic)
