"""Recurrent networks: how far back does a gradient reach?

In h_t = W h_{t-1} with W = rho Q, Q orthogonal, the gradient of any c.h_T by h_0 is
(W^T)^T c, of norm rho^T |c|: it vanishes for rho < 1 and explodes for rho > 1. With a
tanh the slopes below 1 stop the explosion. An LSTM carries its memory past the
products, through the forget gate: the larger its bias, the longer it remembers.
Backpropagation through time that is cut after k steps is cheaper and wrong; clipping
bounds the length of a gradient and keeps its direction.

Source: Hochreiter 1991; Bengio, Simard and Frasconi 1994, doi:10.1109/72.279181;
Pascanu et al. 2013, arXiv:1211.5063 (clipping); Williams and Peng 1990 (truncation).
Command: jaxbp classics vanishing
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import jaxbp
from jaxbp import layers
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import SOUGHT, between, within
from jaxbp.study import plots

UNITS, LENGTH, SEEDS = 16, 100, 100
RHOS = {0.5: "blue", 1.0: "green", 1.5: "vermilion"}
FORGET = {0.0: "sky", 1.0: "purple", 5.0: "orange"}
CUTS, SHORT = (1, 3, 10, 20, 30), 30
RNN = "RNN, rho .9"


def matrix(key, rho):
    return layers.orthogonal(rho)(key, (UNITS, UNITS), jnp.float64)


def norms_back(W, squash):
    """|d(c.h_T)/dh_{T-t}| for t = 1 .. LENGTH, by the engine's pullback of each step,
    over |c|."""
    step = (lambda h: jnp.tanh(W @ h)) if squash else (lambda h: W @ h)
    start = jnp.linspace(-0.5, 0.5, UNITS)

    def ahead(h, _):
        return step(h), h

    _, states = jax.lax.scan(ahead, start, length=LENGTH)

    def back(h_bar, h):
        _, pull = jaxbp.vjp(step, h)
        (h_bar,) = pull(h_bar)
        return h_bar, jnp.linalg.norm(h_bar)

    c = jnp.ones(UNITS)
    return jax.lax.scan(back, c, states, reverse=True)[1][::-1] / jnp.linalg.norm(c)


def reach(layer, params, key):
    """|d mean(out_T)/dx_{T-t}| for t = 0 .. LENGTH, of a recurrent layer."""
    x = jax.random.normal(key, (LENGTH + 1, 4))
    x_bar = jaxbp.grad(lambda x: jnp.mean(layer.apply(params, x)[-1]))(x)
    return jnp.linalg.norm(x_bar, axis=-1)[::-1]


def cells(key):
    """Reach of a tanh RNN (rho .9) and of LSTMs by forget bias."""
    first, second, third = jax.random.split(key, 3)
    weights, recurrent = layers.normal(0.1), layers.normal(0.26)
    rnn = layers.rnn(
        4, UNITS, weights=weights, recurrent_weights=layers.orthogonal(0.9)
    )
    found = {RNN: reach(rnn, rnn.init(first, jnp.float64), third)}
    for bias in FORGET:
        lstm = layers.lstm(4, UNITS, weights=weights, recurrent_weights=recurrent,
                           forget_bias=bias)  # fmt: skip
        found[f"LSTM, forget bias {bias:g}"] = reach(
            lstm, lstm.init(second, jnp.float64), third
        )
    return found


def truncated(key):
    """Relative error of the gradient by all parameters of an RNN with a readout, the
    loss at the end of a sequence, cut k steps back, for each of CUTS."""
    first, second, third, fourth, fifth = jax.random.split(key, 5)
    params = {
        "W_h": matrix(first, 0.9),
        "W_x": 0.5 * jax.random.normal(second, (2, UNITS)),
        "W_y": 0.04 * jax.random.normal(third, (UNITS, 2)),
    }
    x = 0.3 * jax.random.normal(fourth, (SHORT, 2))
    target = 0.3 * jax.random.normal(fifth, (2,))

    def loss(params, k):
        """Half the square of the last error; steps before the last k are constants."""

        def step(h, at):
            t, x_t = at
            h = jnp.where(t == SHORT - k, jax.lax.stop_gradient(h), h)
            W_x, W_h = (
                jnp.where(t >= SHORT - k, W, jax.lax.stop_gradient(W))
                for W in (params["W_x"], params["W_h"])
            )
            return jnp.tanh(x_t @ W_x + W_h @ h), None

        h, _ = jax.lax.scan(step, jnp.zeros(UNITS), (jnp.arange(SHORT), x))
        return 0.5 * jnp.sum((h @ params["W_y"] - target) ** 2)

    grads = jax.vmap(lambda k: jaxbp.grad(loss)(params, k))(jnp.array(CUTS))
    flat = jax.vmap(lambda grad: ravel_pytree(grad)[0])(grads)  # (cuts, parameters)
    whole = flat[-1]
    return jnp.linalg.norm(flat - whole[None], axis=1) / jnp.linalg.norm(whole)


@jax.jit
def measured():
    key = jax.random.key(0)
    rhos = jnp.array(list(RHOS))
    matrices = jax.vmap(lambda rho: matrix(key, rho))(rhos)
    linear = jax.vmap(lambda W: norms_back(W, False))(matrices)
    squashed = jax.vmap(lambda W: norms_back(W, True))(matrices)
    keys = jax.random.split(key, SEEDS)
    clip = optax.clip_by_global_norm(1.0)
    long = {"W": 100.0 * jnp.ones(4)}
    clipped, _ = clip.update(long, clip.init(long))
    cosine = jnp.sum(clipped["W"] * long["W"]) / jnp.linalg.norm(long["W"])
    return linear, squashed, jax.vmap(cells)(keys), jax.vmap(truncated)(keys), cosine


def compute(quick):
    linear, squashed, reaches, cuts, cosine = jax.device_get(measured())
    numbers = {}
    for rho, norms in zip(RHOS, linear, strict=True):
        numbers |= {f"linear, rho {rho}, T = {T}": norms[T - 1] for T in (10, 100)}
        steps = np.arange(1, LENGTH + 1)
        gap = np.abs(norms / rho**steps - 1).max()
        numbers[f"linear, rho {rho}: largest |norm / rho^T - 1|"] = gap
    numbers["tanh, rho 1.5, T = 100"] = squashed[2, -1]
    for name, found in reaches.items():
        numbers[f"{name}, T = 100, median"] = np.median(found[:, -1])
    for k, error in zip(CUTS, np.median(cuts, axis=0), strict=True):
        numbers[f"cut after {k} of {SHORT} steps, relative error"] = error
    numbers["clipped gradient: length along the unclipped"] = cosine
    return numbers, (linear, squashed, reaches, cuts)


def draw(drawn, axes):
    linear, squashed, reaches, cuts = drawn
    steps = np.arange(1, LENGTH + 1)
    for k, (rho, colour) in enumerate(RHOS.items()):
        plots.line(axes[0], steps, linear[k], f"rho {rho}", colour, marker="")
    for k, (colour, mark) in enumerate(zip(RHOS.values(), "^so", strict=True)):
        axes[0].plot(
            steps, squashed[k], ":", color=plots.INK, marker=mark,
            markevery=(4 + k, 12),
            markerfacecolor=plots.COLOURS[colour], markersize=5, linewidth=1,
        )  # fmt: skip
    title = "norm of the gradient: linear (lines), tanh (marks)"
    axes[0].set(yscale="log", xlabel="steps back", title=title)
    colours = {f"LSTM, forget bias {b:g}": c for b, c in FORGET.items()}
    for name, colour in {RNN: "black", **colours}.items():
        label = name.replace("forget bias", "bias")
        middle = np.median(reaches[name], axis=0)
        plots.line(axes[1], np.arange(LENGTH + 1), middle, label, colour, marker="")
    title = f"|d out / d x|, a median of {SEEDS}"
    axes[1].set(yscale="log", xlabel="steps back", title=title)
    plots.line(axes[2], CUTS[:-1], np.median(cuts, axis=0)[:-1], "", "blue")
    title = f"relative error of a gradient cut short (all {SHORT}: 0)"
    axes[2].set(yscale="log", xlabel="steps kept", title=title, xticks=CUTS[:-1])


def answer(numbers):
    half, more = (numbers[f"linear, rho {rho}, T = 100"] for rho in (0.5, 1.5))
    rnn, lstm = (
        numbers[f"{name}, T = 100, median"] for name in (RNN, "LSTM, forget bias 5")
    )
    return (
        f"Over 100 steps the norm is {half:.0e} for rho .5 and {more:.0e} for 1.5; a "
        f"tanh RNN keeps {rnn:.0e}, an LSTM with forget bias 5 {lstm:.0e}."
    )


EXACT = {f"linear, rho {r}: largest |norm / rho^T - 1|": within(0, 1e-12) for r in RHOS}


def near(value, factor):
    """A median over starts of a number that spreads over powers of ten."""
    return between(value / factor, value * factor, f"{value:g}; {SOUGHT}")


# In six sets of 100 starts no median is off by more than half of these factors.
REACHES = {
    RNN: (4e-11, 10), "LSTM, forget bias 0": (2e-17, 10),
    "LSTM, forget bias 1": (2.4e-5, 10), "LSTM, forget bias 5": (4e-2, 4),
}  # fmt: skip

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={26: "recurrent networks: vanishing and exploding gradients"},
    compute=compute,
    known={
        "linear, rho 0.5, T = 10": within(9.765625e-4, 1e-15, "rho^T"),
        "linear, rho 0.5, T = 100": within(7.888609052e-31, 1e-39, "rho^T"),
        "linear, rho 1.0, T = 100": within(1, 1e-12, "rho^T"),
        "linear, rho 1.5, T = 10": within(57.6650390625, 1e-10, "rho^T"),
        "linear, rho 1.5, T = 100": within(4.0656117753521e17, 1e6, "rho^T"),
        **EXACT,
        "tanh, rho 1.5, T = 100": between(1e-3, 1e3),
        **{f"{name}, T = 100, median": near(*known) for name, known in REACHES.items()},
        **{
            f"cut after {k} of 30 steps, relative error": near(error, 2)
            for k, error in ((1, 0.19), (10, 0.045), (20, 0.0045))
        },
        "cut after 30 of 30 steps, relative error": within(0, 1e-15, "not cut"),
        "clipped gradient: length along the unclipped": within(1, 1e-12, "by hand"),
    },
    draw=draw,
    answer=answer,
    panels=(2, 2),
)

if __name__ == "__main__":
    run(classic)
