"""How alike are six sigmoids, once all have slope 1 at the origin?

Each runs from -1 to 1 and is scaled so that f'(0) = 1:

    erf(sqrt(pi) x/2)            f' = exp(-pi x^2/4)
    tanh x                       f' = 1 - tanh(x)^2
    (4/pi) atan(tanh(pi x/4))    f' = sech(pi x/2)           (Gudermann)
    x / sqrt(1 + x^2)            f' = (1 + x^2)^(-3/2)
    (2/pi) atan(pi x/2)          f' = 1 / (1 + (pi x/2)^2)
    x / (1 + |x|)                f' = 1 / (1 + |x|)^2

"Their outputs differ little" is often said; it holds for the first three only.

Source: https://en.wikipedia.org/wiki/Sigmoid_function; the slopes are derived in
jaxbp/layers/activation.py.
Command: jaxbp classics sigmoids
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from jaxbp import layers
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import exactly, printed, within
from jaxbp.study import plots

NAMES = [layer.name for layer in layers.SIGMOIDS]
COLOURS = ["blue", "vermilion", "green", "purple", "orange", "sky"]
GRID = np.linspace(-5, 5, 20_001)  # a step of 0.0005


def value(name, x):
    """The sigmoid of that name."""
    return layers.find_activation(name).apply({}, x)


def slope(name, x):
    """Its slope, by the layer's own backward pass."""
    layer = layers.find_activation(name)
    y, residuals = layer.forward({}, x)
    return layer.backward({}, residuals, jnp.ones_like(y))[1]


def engine_slope(name, x):
    """The same by the engine, which knows nothing of the layer's."""
    return jax.jit(jax.vmap(jaxbp.grad(lambda x: value(name, x))))(x)


def compute(quick):
    values = {name: np.asarray(value(name, GRID)) for name in NAMES}
    slopes = {name: np.asarray(slope(name, GRID)) for name in NAMES}
    numbers = {}
    for name in NAMES:
        numbers |= {f"{name}({x})": value(name, float(x)) for x in (1, 2, 5)}
        numbers[f"{name}'(0)"] = slope(name, 0.0)
    neighbours = zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True)
    for one, other in neighbours:
        gap = np.abs(values[one] - values[other])
        numbers[f"largest |{one} - {other}|"] = gap.max()
    spread = np.ptp(np.stack(list(values.values())), axis=0)
    numbers["largest spread of all six"] = spread.max()
    numbers["where it is largest, |x|"] = abs(GRID[spread.argmax()])
    numbers["slopes against the engine's"] = max(
        np.abs(engine_slope(name, GRID) - slopes[name]).max() for name in NAMES
    )
    return numbers, (values, slopes, spread)


def draw(drawn, axes):
    values, slopes, spread = drawn
    for axis, curves in zip(axes, (values, slopes), strict=False):
        for name, colour in zip(NAMES, COLOURS, strict=True):
            label = name.removesuffix("_sigmoid")
            plots.line(axis, GRID, curves[name], label, colour, marker="")
    plots.line(axes[2], GRID, spread, "", "black", marker="")
    peaks = np.abs(GRID[spread.argmax()]), spread.max()
    axes[2].annotate(
        f"{peaks[1]:.3f} at |x| = {peaks[0]:.2f}", peaks, (2.1, 0.335), color=plots.INK
    )
    titles = ("f(x)", "f'(x): all 1 at the origin", "largest f minus smallest f")
    for axis, title in zip(axes, titles, strict=False):
        axis.set(title=title, xlabel="x", xlim=(-5, 5))


def answer(numbers):
    near = [numbers[f"largest |{pair}|"] for pair in GAPS][:2]
    return (
        f"erf and tanh differ by {near[0]:.3f} at most, tanh and Gudermann's by "
        f"{near[1]:.3f}, but all six by {numbers['largest spread of all six']:.3f}."
    )


TABLE = {  # f(1), f(2), f(5)
    "erf_sigmoid": (".789908595", ".987811118", "1.000000000"),
    "tanh": (".761594156", ".964027580", ".999909204"),
    "gudermann": (".739036227", ".945012542", ".999505724"),
    "algebraic": (".707106781", ".894427191", ".980580676"),
    "arctangent": (".639092927", ".803813476", ".919376857"),
    "softsign": (".500000000", ".666666667", ".833333333"),
}
GAPS = {
    "erf_sigmoid - tanh": ".035342",
    "tanh - gudermann": ".026070",
    "gudermann - algebraic": ".050757",
    "algebraic - arctangent": ".090742",
    "arctangent - softsign": ".145013",
    "softsign - erf_sigmoid": ".340107",
}
KNOWN = {
    f"{name}({x})": printed(text)
    for name, row in TABLE.items()
    for x, text in zip((1, 2, 5), row, strict=True)
}
KNOWN |= {f"{name}'(0)": exactly(1) for name in NAMES}
KNOWN |= {f"largest |{pair}|": printed(text) for pair, text in GAPS.items()}
KNOWN |= {
    "largest spread of all six": printed(".340107"),
    "where it is largest, |x|": printed("1.541"),
    "slopes against the engine's": within(0, 1e-14, "two witnesses agree"),
}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={1: "six sigmoids normalised to slope 1 at the origin"},
    compute=compute,
    known=KNOWN,
    draw=draw,
    answer=answer,
    panels=(2, 2),
)

if __name__ == "__main__":
    run(classic)
