"""Is the Fisher information the Hessian, and what is the empirical Fisher?

For cross-entropy over a network's scores s(w), with p = softmax(s) and J = ds/dw,

    Hessian            H = G + mean sum_k (p_k - q_k) d2s_k/dw2
    Gauss-Newton       G = mean J^T (diag p - p p^T) J          (generalised)
    Fisher             F = mean E_{label ~ p} [g g^T] = G, exactly
    empirical Fisher   E = mean g g^T at the labels given

H - G is a mean of the errors p - q: it vanishes with a good fit, and only then is the
Fisher the Hessian. E is something else at every fit. Levenberg-Marquardt descends with
(J^T J + lambda I) and lowers lambda where the model holds.

Source: Schraudolph 2002, doi:10.1162/08997660260028683; Martens 2020, arXiv:1412.1193;
Kunstner et al. 2019, arXiv:1905.12558; Marquardt 1963, doi:10.1137/0111030.
Command: jaxbp classics fisher
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import jaxbp
from jaxbp import layers, problems, training
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import SOUGHT, at_least, within
from jaxbp.study import plots

SEEDS, STAGES = 20, (0, 40, 1000)  # updates
MODEL = layers.mlp([2, 8, 2], activation="tanh")
POINTS, LABELS = problems.moons(200, noise=0.2, seed=1337)


def loss(params, x, labels):
    return layers.softmax_cross_entropy.apply(MODEL.apply(params, x), labels)


def stages(key):
    """Parameters after each number of updates, training on from one to the next."""
    params, rows = MODEL.init(key, jnp.float64), jnp.arange(len(POINTS))
    found = [params]
    for before, after in zip(STAGES[:-1], STAGES[1:], strict=True):
        every = jnp.tile(rows, (after - before, 1))
        data = (POINTS, LABELS)
        by_hand = layers.value_and_grad(MODEL, layers.softmax_cross_entropy)
        params, _ = training.descend(by_hand, optax.adam(0.02), params, data, every)
        found.append(params)
    return found


def curvatures(params):
    """Loss, and H, G, F, E of all examples."""
    w, back = ravel_pytree(params)
    f = lambda w: loss(back(w), POINTS, LABELS)  # noqa: E731
    scores = MODEL.apply(params, POINTS)  # (n, 2)
    J = jaxbp.jacrev(lambda w: MODEL.apply(back(w), POINTS))(w)  # (n, 2, w)
    p = jax.nn.softmax(scores)
    inner = jax.vmap(lambda p: jnp.diag(p) - jnp.outer(p, p))(p)
    n = len(POINTS)
    G = jnp.einsum("nki,nkl,nlj->ij", J, inner, J) / n
    # The gradient of one example, were its label k: J^T (p - onehot k).
    slopes = jnp.einsum("nkl,nli->nki", p[:, None] - jnp.eye(2)[None], J)
    F = jnp.einsum("nk,nki,nkj->ij", p, slopes, slopes) / n
    own = jnp.take_along_axis(slopes, LABELS[:, None, None], axis=1)[:, 0]
    E = own.T @ own / n
    return f(w), jaxbp.hessian(f)(w), G, F, E


def levenberg_marquardt(steps=12):
    """Losses of a 1-6-1 network fitted to a sine: by LM, and by gradient descent."""
    model = layers.mlp([1, 6, 1], activation="tanh")
    x = jnp.linspace(-1, 1, 40)[:, None]
    target = jnp.sin(3 * x)[:, 0]
    w, back = ravel_pytree(model.init(jax.random.key(1), jnp.float64))
    residuals = lambda w: model.apply(back(w), x)[:, 0] - target  # noqa: E731
    f = lambda w: 0.5 * jnp.mean(residuals(w) ** 2)  # noqa: E731

    def newton_like(state, _):
        w, damping = state
        r, J = residuals(w), jaxbp.jacrev(residuals)(w)
        step = jnp.linalg.solve(J.T @ J + damping * jnp.eye(w.size), J.T @ r)
        better = f(w - step) < f(w)
        w = jnp.where(better, w - step, w)
        return (w, jnp.where(better, damping / 3, damping * 3)), f(w)

    def descent(w, _):
        w = w - 0.3 * jaxbp.grad(f)(w)
        return w, f(w)

    _, by_lm = jax.lax.scan(newton_like, (w, jnp.asarray(1.0)), length=steps)
    _, by_gradient = jax.lax.scan(descent, w, length=steps)
    return by_lm, by_gradient


@jax.jit
def every_seed(keys):
    """`curvatures` at each stage, from each start: leading axes (seeds,)."""
    return [jax.vmap(curvatures)(params) for params in jax.vmap(stages)(keys)]


def relative(a, b):
    """|a - b| / |b| (seeds,), in the Frobenius norm."""
    norm = lambda a: np.linalg.norm(a, axis=(-2, -1))  # noqa: E731
    return norm(a - b) / norm(b)


def compute(quick):
    keys = jax.random.split(jax.random.key(0), SEEDS)
    found = jax.device_get(every_seed(keys))
    numbers = {}
    for updates, (value, H, G, F, E) in zip(STAGES, found, strict=True):
        at = f"after {updates} updates"
        numbers |= {
            f"loss, {at}, median": np.median(value),
            f"|F - G| / |G|, {at}, largest": relative(F, G).max(),
            f"|G - H| / |H|, {at}, median": np.median(relative(G, H)),
            f"|E - F| / |F|, {at}, smallest": relative(E, F).min(),
        }
    gaps = np.array([relative(G, H) for _, H, G, _, _ in found])
    falls = np.all(np.diff(gaps, axis=0) < 0, axis=0)
    numbers[f"starts of {SEEDS} whose gap to the Hessian falls at each stage"] = sum(
        falls
    )
    by_lm, by_gradient = jax.device_get(jax.jit(levenberg_marquardt)())
    numbers["gradient descent over Levenberg-Marquardt, loss"] = (
        by_gradient[-1] / by_lm[-1]
    )
    return numbers, (found, by_lm, by_gradient)


def draw(drawn, axes):
    found, by_lm, by_gradient = drawn
    matrices = [each[0] for each in found[-1][1:]]  # of the first start
    largest = max(np.abs(m).max() for m in matrices[:3])
    names = ("Hessian", "Gauss-Newton", "Fisher", "empirical Fisher")
    for axis, matrix, name in zip(axes, matrices, names, strict=False):
        top = largest if name != "empirical Fisher" else np.abs(matrix).max()
        image = axis.imshow(
            np.cbrt(matrix / top), cmap="PuOr", vmin=-1, vmax=1, aspect="auto"
        )
        ticks = [-1, -0.5, 0, 0.5, 1]
        bar = axis.figure.colorbar(image, ax=axis, ticks=ticks, pad=0.02, aspect=35)
        bar.ax.set_yticklabels([f"{top * tick**3:.2g}" for tick in ticks])
        told = {
            "Hessian": f" after {STAGES[-1]} updates",
            "empirical Fisher": ", its own scale",
        }
        axis.set(title=name + told.get(name, ""), xticks=[], yticks=[])
        axis.grid(False)
    losses = [np.median(value) for value, *_ in found]
    near = [np.median(relative(G, H)) for _, H, G, _, _ in found]
    far = [np.median(relative(E, F)) for _, _, _, F, E in found]
    plots.line(axes[4], losses, near, "Gauss-Newton\nand Hessian", "blue")
    plots.line(axes[4], losses, far, "empirical\nand Fisher", "vermilion")
    plots.log_log(axes[4], "loss (training goes to the left)", "relative distance")
    axes[4].set_xticks(losses, [f"{loss:.2g}" for loss in losses])
    axes[4].minorticks_off()
    axes[4].set_yticks(
        [0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"]
    )
    steps = np.arange(1, len(by_lm) + 1)
    plots.line(axes[5], steps, by_lm, "Levenberg-Marquardt", "green")
    plots.line(axes[5], steps, by_gradient, "gradient", "grey")
    axes[5].set(yscale="log", xlabel="steps", title="loss, a curve fitted",
                xticks=steps[::2])  # fmt: skip


def answer(numbers):
    gaps = [numbers[f"|G - H| / |H|, after {n} updates, median"] for n in STAGES]
    worst = max(numbers[f"|F - G| / |G|, after {n} updates, largest"] for n in STAGES)
    return (
        f"Gauss-Newton is the Fisher to {worst:.0e} at every fit; its distance to the "
        f"Hessian falls from {gaps[0]:.2f} over {gaps[1]:.2f} to {gaps[2]:.3f} as the "
        "loss falls, and the empirical Fisher is another matrix."
    )


IDENTICAL = {
    f"|F - G| / |G|, after {n} updates, largest": within(0, 1e-14) for n in STAGES
}
OTHER = {f"|E - F| / |F|, after {n} updates, smallest": at_least(0.05) for n in STAGES}
# Medians of twenty starts; those of fifty others are .742, .091 and .017.
GAPS = {
    f"|G - H| / |H|, after {n} updates, median": within(gap, slack, SOUGHT)
    for n, gap, slack in zip(
        STAGES, (0.752, 0.105, 0.016), (0.15, 0.04, 0.008), strict=True
    )
}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={15: "Hessian approximated by the Fisher information"},
    compute=compute,
    known={
        **IDENTICAL,
        **OTHER,
        **GAPS,
        f"starts of {SEEDS} whose gap to the Hessian falls at each stage": at_least(18),
        "gradient descent over Levenberg-Marquardt, loss": at_least(2),
    },
    draw=draw,
    answer=answer,
    panels=(3, 2),
    inches=(4.8, 3.5),
)

if __name__ == "__main__":
    run(classic)
