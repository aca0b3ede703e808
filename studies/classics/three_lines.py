"""The three-line gradient of a framework: does every framework say the same?

x = 1, y = 2, w = 1 and loss = (y - w x)^2: the loss is 1, its gradient by w is
-2 x (y - w x) = -2, and after an update with the rate .01 the weight is 1.02.

Source: the first example of many tutorials.
Command: jaxbp classics three_lines
"""

import importlib.util

import jax

import jaxbp
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import within
from jaxbp.scalar import Value
from jaxbp.study import plots

X, Y, W, RATE = 1.0, 2.0, 1.0, 0.01


def loss(w):
    return (Y - w * X) ** 2


def by_jaxbp():
    value, grad = jaxbp.value_and_grad(loss)(W)
    return value, grad, W - RATE * grad


def by_scalar_tape():
    w = Value(W)
    out = loss(w)
    out.backward()
    return out.data, w.grad, w.data - RATE * w.grad


def by_jax():
    value, grad = jax.value_and_grad(loss)(W)
    return value, grad, W - RATE * grad


def by_torch():
    import torch

    w = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    out = loss(w)
    out.backward()
    return out.item(), w.grad.item(), W - RATE * w.grad.item()


WAYS = {"jaxbp": by_jaxbp, "jaxbp.scalar": by_scalar_tape, "jax": by_jax}
if importlib.util.find_spec("torch"):
    WAYS["torch"] = by_torch
NAMES = ("loss", "gradient", "w after the update")
BY_HAND = (1.0, -2.0, 1.02)


def compute(quick):
    found = {way: [float(v) for v in call()] for way, call in WAYS.items()}
    numbers = {
        f"{name}, {way}": value
        for way, values in found.items()
        for name, value in zip(NAMES, values, strict=True)
    }
    return numbers, found


def draw(found, axes):
    ws = [k / 100 for k in range(60, 321)]
    axes[0].plot(ws, [loss(w) for w in ws], color=plots.COLOURS["grey"])
    value, grad, after = found["jaxbp"]
    near = (W - 0.35, W + 0.35)
    axes[0].plot(near, [value + grad * (w - W) for w in near],
                 color=plots.COLOURS["vermilion"])  # fmt: skip
    axes[0].plot([W, after], [value, loss(after)], "o", color=plots.COLOURS["blue"])
    told = f"w = 1: loss {value:g}, slope {grad:g}\nafter the update w = {after:g}"
    axes[0].annotate(told, (W, value), (14, 4), textcoords="offset points")
    ways = ", ".join(found)
    axes[0].set(title=f"loss = (y - w x)², x = 1, y = 2, by {ways}", xlabel="w")


def answer(numbers):
    loss, grad, after = (numbers[f"{name}, jaxbp"] for name in NAMES)
    return (
        f"Loss {loss:g}, gradient {grad:g}, w = {after:g}: {', '.join(WAYS)} agree "
        "to the last bit or two."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={27: "the three-line gradient in a framework"},
    compute=compute,
    known={
        f"{name}, {way}": within(value, 1e-15, "by hand")
        for way in WAYS
        for name, value in zip(NAMES, BY_HAND, strict=True)
    },
    draw=draw,
    answer=answer,
    inches=(6.4, 4.0),
)

if __name__ == "__main__":
    run(classic)
