"""An evaluation trace in both modes: what does each line of a program carry?

y = ln x1 + x1 x2 - sin x2 at (2, 5). Forward mode carries a tangent along with each
value, one sweep for each input; reverse mode carries a cotangent back through the same
lines, one sweep for all inputs. The Hessian follows by either mode of the other.

Source: Baydin, Pearlmutter, Radul and Siskind 2018, arXiv:1502.05767, tables 2 and 3.
Command: jaxbp classics evaluation_trace
"""

import jax
import jax.numpy as jnp

import jaxbp
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import printed, within
from jaxbp.scalar import Value
from jaxbp.study import plots

POINT = (2.0, 5.0)
LINES = ("ln x1", "x1 x2", "sin x2", "v1 + v2", "v4 - v3")
NAMES = ("v1", "v2", "v3", "v4", "y")


def program(x1, x2):
    """Every line of the program, the last one being y."""
    v1 = x1.log()
    v2 = x1 * x2
    v3 = x2.sin()
    v4 = v1 + v2
    return v1, v2, v3, v4, v4 - v3


def plain(x):
    return jnp.log(x[0]) + x[0] * x[1] - jnp.sin(x[1])


def swept(seeds):
    """Lines with values and tangents, the inputs moved along `seeds`."""
    inputs = [Value(x) for x in POINT]
    lines = program(*inputs)
    lines[-1].forward(dict(zip(inputs, seeds, strict=True)))
    return lines


def pulled():
    """Lines with values and cotangents, and the inputs with theirs."""
    inputs = [Value(x) for x in POINT]
    lines = program(*inputs)
    lines[-1].backward()
    return lines, inputs


def compute(quick):
    lines, inputs = pulled()
    numbers = {name: line.data for name, line in zip(NAMES, lines, strict=True)}
    tangents = {seed: swept(seed) for seed in ((1.0, 0.0), (0.0, 1.0))}
    for seed, moved in tangents.items():
        numbers[f"forward, seed {seed[0]:.0f} {seed[1]:.0f}"] = moved[-1].tangent
    numbers |= {f"reverse, x{k + 1}_bar": x.grad for k, x in enumerate(inputs)}
    x = jnp.array(POINT)
    by_engine = jax.jit(lambda x: (jaxbp.grad(plain)(x), jaxbp.hessian(plain)(x)))
    grad, bends = jax.device_get(by_engine(x))
    numbers |= {f"engine, x{k + 1}_bar": grad[k] for k in (0, 1)}
    numbers |= {f"Hessian {i + 1}{j + 1}": bends[i, j] for i in (0, 1) for j in (0, 1)}
    return numbers, (lines, tangents, inputs)


def draw(drawn, axes):
    lines, tangents, inputs = drawn
    heads = ("line", "", "value", "tangent (1, 0)", "tangent (0, 1)", "cotangent")
    rows = [("x1", "", f"{POINT[0]:g}", "1", "0", f"{inputs[0].grad:.6g}"),
            ("x2", "", f"{POINT[1]:g}", "0", "1", f"{inputs[1].grad:.6g}")]  # fmt: skip
    for k, (name, text) in enumerate(zip(NAMES, LINES, strict=True)):
        moved = [f"{found[k].tangent:.6g}" for found in tangents.values()]
        rows.append(
            (name, text, f"{lines[k].data:.6g}", *moved, f"{lines[k].grad:.6g}")
        )
    places = (0.0, 0.09, 0.30, 0.50, 0.70, 0.90)
    sides = ("left", "left", "right", "right", "right", "right")
    inks = [plots.INK] * 3 + [plots.COLOURS[c] for c in ("blue", "blue", "vermilion")]
    for k, row in enumerate([heads, *rows]):
        for text, x, side, ink in zip(row, places, sides, inks, strict=True):
            weight = "bold" if k == 0 else "normal"
            axes[0].text(x, -k, text, ha=side, color=ink, fontsize=11, weight=weight)
    axes[0].plot([0, 0.91], [-0.45, -0.45], color=plots.INK, linewidth=0.8)
    for x, way, ink in ((0.76, (-7.2, -0.8), inks[3]), (0.96, (-0.8, -7.2), inks[5])):
        axes[0].annotate("", (x, way[0]), (x, way[1]),
                         arrowprops=dict(arrowstyle="->", color=ink))  # fmt: skip
    axes[0].set(xlim=(-0.02, 1.0), ylim=(-7.6, 0.8))
    axes[0].axis("off")


def answer(numbers):
    return (
        f"y = {numbers['y']:.12f}; two forward sweeps give "
        f"{numbers['forward, seed 1 0']:g} and {numbers['forward, seed 0 1']:.12f}, "
        "and one reverse sweep gives both."
    )


GOLDEN = {
    "v1": ".693147180560", "v2": "10", "v3": "-.958924274663", "v4": "10.693147180560",
    "y": "11.652071455223", "forward, seed 1 0": "5.5",
    "forward, seed 0 1": "1.716337814537", "reverse, x1_bar": "5.5",
    "reverse, x2_bar": "1.716337814537", "engine, x1_bar": "5.5",
    "engine, x2_bar": "1.716337814537",
}  # fmt: skip
HESSIAN = {"11": -0.25, "12": 1.0, "21": 1.0}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={4: "multivariate chain rule: the evaluation trace of both modes"},
    compute=compute,
    known={
        **{name: printed(text) for name, text in GOLDEN.items() if "." in text[:-1]},
        "v2": within(10, 1e-12),
        **{f"Hessian {ij}": within(value, 1e-12) for ij, value in HESSIAN.items()},
        "Hessian 22": printed("-.958924275"),
    },
    draw=draw,
    answer=answer,
    inches=(8.4, 3.4),
)

if __name__ == "__main__":
    run(classic)
