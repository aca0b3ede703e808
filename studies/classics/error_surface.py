"""Down the error surface: when is a step too small, right, or too large?

Two linear neurons in a row read one input 1 and shall answer 0; seen as a sum,
E = (w1 + w2)^2 (the example (1, 1, 0) of the textbooks). Its Hessian is
[[2, 2], [2, 2]], with eigenvalues 0 and 4: no bowl but a trough. Gradient descent
multiplies w1 + w2 by 1 - 4 lr, and so

    lr < 1/4 creeps,  lr = 1/4 lands at once,  lr < 1/2 swings in,  lr = 1/2 alternates
    for ever,  lr > 1/2 diverges.

A tanh network on XOR has no such surface: the quadratic model's remainder falls 8 times
when the step halves, and its Hessian has negative eigenvalues: a saddle, not a bowl.

Source: https://en.wikipedia.org/wiki/Backpropagation (learning as optimisation).
Command: jaxbp classics error_surface
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxbp
from jaxbp import layers, problems
from jaxbp.study import plots
from jaxbp.study.classic import Classic, run
from jaxbp.study.known import between, exactly, within

START = np.array([1.0, 0.5])
RATES = {0.1: "blue", 0.25: "green", 0.4: "purple", 0.5: "orange", 0.6: "vermilion"}
STEPS = 50


def error(w):
    """E of weights w (2,): an input of 1 and of 1, a target of 0."""
    return (w[0] + w[1]) ** 2


def descend(rate):
    """The path (STEPS + 1, 2) of gradient descent from START."""

    def step(w, _):
        return w - rate * jaxbp.grad(error)(w), w

    last, path = jax.lax.scan(step, jnp.asarray(START), length=STEPS)
    return jnp.concatenate([path, last[None]])


def xor_loss():
    """Half the sum of squares of a tanh 2-2-1 network on XOR, as f(weights (9,)), and
    weights to look around."""
    model = layers.mlp([2, 2, 1], activation="tanh")
    inputs, labels = problems.xor(np.float64)
    params = model.init(jax.random.key(0), jnp.float64)
    flat, unflatten = ravel_pytree(params)
    f = layers.loss_fn(model, layers.half_sum_of_squares)
    return lambda w: f(unflatten(w), inputs, labels[:, None] * 1.0), flat


def remainders(f, w):
    """|f - its quadratic model| at w + h along one direction, for halved steps h."""
    along = jax.random.normal(jax.random.key(1), w.shape, w.dtype)
    slope, bend = jaxbp.jvp(lambda w: jaxbp.grad(f)(w) @ along, (w,), (along,))
    steps = 0.1 * 0.5 ** jnp.arange(6.0)
    actual = jax.vmap(lambda h: f(w + h * along))(steps)
    model = f(w) + steps * slope + 0.5 * steps**2 * bend
    return jnp.abs(actual - model)


@jax.jit
def explored():
    """The paths, and the curvatures of both surfaces."""
    paths = jax.vmap(descend)(jnp.array(list(RATES)))
    f, w = xor_loss()
    curvatures = jnp.linalg.eigvalsh(jaxbp.hessian(error)(jnp.asarray(START)))
    return paths, curvatures, remainders(f, w), jnp.linalg.eigvalsh(jaxbp.hessian(f)(w))


def compute(quick):
    paths, curvatures, left, bends = jax.device_get(explored())
    numbers = {f"eigenvalue {k + 1}": curvatures[k] for k in (0, 1)}
    for rate, path in zip(RATES, paths, strict=True):
        losses = error(path.T)
        if rate < 0.5:
            numbers |= {f"w{k + 1} at the end, lr {rate}": path[-1, k] for k in (0, 1)}
        numbers |= {f"E after {k}, lr {rate}": losses[k] for k in (1, STEPS)}
    numbers["remainder over that of half the step, tanh"] = left[-3] / left[-2]
    numbers["negative eigenvalues, tanh"] = np.sum(bends < -1e-9)
    return numbers, paths


def draw(paths, axes):
    w1, w2 = np.meshgrid(np.linspace(-1.6, 2.4, 121), np.linspace(-2.1, 1.9, 121))
    levels = [0, 0.02, 0.1, 0.5, 1, 2.25, 4, 6, 9, 13, 20]
    axes[0].contourf(w1, w2, error((w1, w2)), levels, cmap="Greys", alpha=0.4)
    axes[0].plot([-1.6, 2.1], [1.6, -2.1], color=plots.INK, linewidth=0.8)
    style = dict(textcoords="offset points", fontsize=plots.LABEL_POINTS)
    axes[0].annotate("the trough: E = 0", (-1.5, 1.5), (12, -54), rotation=-45, **style)
    for k, (rate, colour) in enumerate(RATES.items()):
        shift = 0.15 * (k - 2)  # the paths lie on one line: shown side by side
        w = paths[k][: 3 if rate > 0.5 else STEPS] + np.array([shift, -shift])
        axes[0].plot(*w.T, color=plots.COLOURS[colour], marker="o", markersize=3.5)
        offset = (3, 5) if rate < 0.6 else (6, -8)  # this path goes on past its start
        axes[0].annotate(f"{rate}", w[0], offset, color=plots.COLOURS[colour], **style)
        losses = error(paths[k].T)[: 2 if rate == 0.25 else 13]
        label = f"lr {rate}" if rate != 0.25 else "lr 0.25: E = 0"
        plots.line(axes[1], range(len(losses)), losses, label, colour)
    axes[0].set(
        xlim=(-1.6, 2.4), ylim=(-2.1, 1.9), aspect="equal", xlabel="w1", ylabel="w2",
        title="E = (w1 + w2)², and one path for each learning rate",
    )  # fmt: skip
    # Linear below 1e-6, so that 0 has a place.
    axes[1].set_yscale("symlog", linthresh=1e-6)
    axes[1].set(xlabel="updates", title="E", ylim=(-3e-7, 2e4))
    axes[1].set_yticks([0, 1e-6, 1e-4, 1e-2, 1, 1e2, 1e4])


def answer(numbers):
    low, high = (abs(numbers[f"eigenvalue {k}"]) for k in (1, 2))
    stays, down = numbers["E after 50, lr 0.5"], numbers["negative eigenvalues, tanh"]
    return (
        f"A trough with curvatures {low:.0f} and {high:.0f}: a rate of 1/4 lands in "
        f"one step, 1/2 alternates at {stays:.2f}, more diverges. The tanh network's "
        f"surface has {down:.0f} directions downwards: a saddle."
    )


ENDS = {
    f"w{k} at the end, lr {rate}": within(end, 1e-9)
    for rate in (0.1, 0.25, 0.4)
    for k, end in ((1, 0.25), (2, -0.25))
}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={
        12: "gradient descent in the fog",
        25: "error surface of linear neurons: a trough",
    },
    compute=compute,
    known={
        "eigenvalue 1": within(0, 1e-15, "by hand"),
        "eigenvalue 2": within(4, 1e-14, "by hand"),
        **ENDS,
        "E after 1, lr 0.25": exactly(0),
        "E after 1, lr 0.5": exactly(2.25),
        f"E after {STEPS}, lr 0.5": exactly(2.25),
        "remainder over that of half the step, tanh": between(7.5, 8.5, "Taylor"),
        "negative eigenvalues, tanh": exactly(3, "computed independently"),
    },
    draw=draw,
    answer=answer,
    panels=(1, 2),
    inches=(5.6, 4.8),
)

if __name__ == "__main__":
    run(classic)
