"""Cotangents along which a rule and its body are compared."""

import math

import jax.numpy as jnp
import numpy as np

from .. import ir

FULL = 4096  # entries of a Jacobian that is compared in full
DENSE, ONE_HOT = 8, 8  # cotangents along which a larger one is


def probes(outs, xs, rng):
    """(in words, list of cotangents): dense ones, then single elements. Of a scalar
    there is one, which is 1 and needs no words."""
    sizes = [y.size if ir.differentiable(ir.typeof(y)) else 0 for y in outs]
    total, inputs = sum(sizes), sum(x.size for x in xs)
    full = total * inputs <= FULL
    for _ in range(0 if total == 1 else 2 if full else DENSE):
        yield "a random cotangent", dense(outs, rng)
    count = total if full else min(ONE_HOT, total)
    chosen = range(total) if full else rng.choice(total, count, replace=False)
    for number in chosen:
        bars = one_hot(outs, sizes, int(number))
        yield "" if total == 1 else f"a cotangent of 1 at {_place(bars)}", bars


def _place(bars) -> str:
    """Where the one element is that is not zero."""
    number, bar = next((k, b) for k, b in enumerate(bars) if b is not None and b.any())
    index = ", ".join(str(int(i[0])) for i in np.nonzero(bar))
    output = "the output" if len(bars) == 1 else f"output {number}"
    return f"[{index}] of {output}" if index else output


def dense(outs, rng) -> list:
    """A random cotangent for each output that has one."""
    bars = []
    for y in outs:
        aval = ir.typeof(y)
        if not ir.differentiable(aval):
            bars.append(None)
            continue
        value = rng.normal(size=aval.shape)
        if np.issubdtype(aval.dtype, np.complexfloating):
            value = value + 1j * rng.normal(size=aval.shape)
        bars.append(jnp.asarray(value).astype(aval.dtype))
    return bars


def one_hot(outs, sizes, number: int) -> list:
    bars: list = []
    for y, size in zip(outs, sizes, strict=True):
        aval = ir.typeof(y)
        if not size or not 0 <= number < size:
            bars.append(None)
        else:
            unit = np.zeros(math.prod(aval.shape), aval.dtype)
            unit[number] = 1
            bars.append(jnp.asarray(unit.reshape(aval.shape)))
        number -= size
    return bars
