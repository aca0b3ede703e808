"""One weight, y = w x: what does descent look like, and when does it stop?

Inputs 0, 1, 2 have the targets 0, 2, 4; the right weight is 2. With
E(w) = (1/2) sum (w x - t)^2 the slope is sum x (w x - t) = 5 (w - 2), so that a rate
of .1 halves the distance to 2 at every update. The loop asks "is the error minimal?"
and stops where the slope is below a tolerance: a rule that looks at the gradient and
not at a number of epochs.

Source: the teaching example of many introductions; the sums of squares are by hand.
Command: jaxbp classics one_weight
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import exactly, within
from jaxbp.study import plots

INPUTS = np.array([0.0, 1.0, 2.0])
TARGETS = np.array([0.0, 2.0, 4.0])
RATE, TOLERANCE, LIMIT = 0.1, 1e-10, 100


def sum_of_squares(w):
    return jnp.sum((w * INPUTS - TARGETS) ** 2)


def error(w):
    return 0.5 * sum_of_squares(w)


@jax.jit
def slope(w):
    return jaxbp.grad(error)(w)


def descend(w):
    """The weights visited until the slope is below the tolerance."""
    path = [w]
    while abs(slope(path[-1])) > TOLERANCE and len(path) < LIMIT:
        path.append(float(path[-1] - RATE * slope(path[-1])))
    return path


def compute(quick):
    path = descend(3.0)
    numbers = {f"sum of squares, w = {w}": sum_of_squares(w) for w in (2.0, 3.0, 4.0)}
    numbers |= {f"w after {k} updates": path[k] for k in range(4)}
    numbers["w at the stop"] = path[-1]
    numbers["updates until the stop"] = len(path) - 1
    return numbers, path


def draw(path, axes):
    w = np.linspace(1.4, 3.3, 200)
    curve = [float(error(each)) for each in w]
    axes[0].plot(w, curve, color=plots.COLOURS["grey"])
    heights = [float(error(each)) for each in path]
    axes[0].plot(path, heights, "o-", color=plots.COLOURS["vermilion"])
    for k in range(3):
        axes[0].annotate(f"{path[k]:g}", (path[k], heights[k]), (8, -9),
                         textcoords="offset points")  # fmt: skip
    axes[0].set(title="E(w), and the first weights visited", xlabel="w")
    distance = np.abs(np.array(path) - 2)
    updates = np.arange(len(path))
    plots.line(axes[1], updates, distance, "", "vermilion")
    axes[1].axhline(TOLERANCE / 5, color=plots.INK, linestyle=":")
    stop = f"stop: |slope| = 5 |w - 2| <= {TOLERANCE:g}"
    axes[1].annotate(stop, (0, TOLERANCE / 5), (0, 4), textcoords="offset points")
    axes[1].set(yscale="log", title="|w - 2|: halved each time", xlabel="updates")


def answer(numbers):
    visited = [numbers[f"w after {k} updates"] for k in (1, 2)]
    return (
        f"From 3 over {visited[0]:g} and {visited[1]:g} to "
        f"{numbers['w at the stop']:.9f}, where the stop rule ends it after "
        f"{numbers['updates until the stop']:.0f} updates."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={10: "one weight, y = w x, with a stop rule"},
    compute=compute,
    known={
        "sum of squares, w = 2.0": exactly(0),
        "sum of squares, w = 3.0": exactly(5),
        "sum of squares, w = 4.0": exactly(20),
        "w after 1 updates": within(2.5, 1e-15, "by hand"),
        "w after 2 updates": within(2.25, 1e-15, "by hand"),
        "w after 3 updates": within(2.125, 1e-15, "by hand"),
        "w at the stop": within(2, TOLERANCE, "by hand"),
        "updates until the stop": exactly(36),  # 5 / 2^k <= 1e-10
    },
    draw=draw,
    answer=answer,
    panels=(1, 2),
)

if __name__ == "__main__":
    run(classic)
