"""Random loops that read and write carried arrays by index, against JAX's gradients.

Arrays are small; what is done in place for large ones only is done for all here.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.linear import in_place, windows

SEEDS = range(int(os.environ.get("JAXBP_FUZZ_LOOPS", "6")))
SHAPES = {"a": (9,), "m": (4, 5), "t": (3, 4, 2)}


@pytest.fixture(autouse=True)
def _everything_in_place(monkeypatch):
    monkeypatch.setattr(in_place, "LEAST", 1)
    monkeypatch.setattr(in_place, "MANY_PARTS", 1)
    monkeypatch.setattr(windows, "LEAST_IN_LOOP", 1)
    monkeypatch.setattr(windows, "MANY_PARTS", 1)


class Loop:
    """A random step; every choice is drawn when it is made, so it is always the same
    function."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.lines = [self.line() for _ in range(self.rng.integers(3, 8))]
        self.steps = int(self.rng.integers(2, 6))
        self.reverse = bool(self.rng.integers(2))

    def of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def line(self):
        kind = self.of(
            "read", "read", "set", "set", "add", "window", "update", "row", "many",
            "whole", "multiply", "branch", "subtract",
        )  # fmt: skip
        name = self.of(*SHAPES)
        numbers = [int(n) for n in self.rng.integers(-3, 12, 8)]
        mode = self.of(None, "drop", "clip")
        return kind, name, numbers, mode

    def index(self, name, k, numbers):
        """From the count, from data, or a number."""
        found = []
        for axis, size in enumerate(SHAPES[name]):
            n = numbers[axis]
            found.append((k + n, (k * n) % size, n % size, k // 2 - n)[n % 4])
        return tuple(found)

    def apply(self, line, state, k):
        kind, name, numbers, mode = line
        x, s, shape = state[name], state["s"], SHAPES[name]
        at = self.index(name, k, numbers)
        if kind == "read":
            s = jnp.sin(s + x[at] * x[at[0]].sum())
        elif kind in ("set", "add", "multiply", "subtract"):
            ref = x.at[at]
            value = jnp.tanh(s + x[tuple(i - 1 for i in at)])
            change = getattr(ref, kind)
            x = change(value, mode=mode) if kind in ("set", "add") else change(value)
        elif kind in ("window", "update"):
            sizes = [
                max(1, (n + abs(m)) % n) for n, m in zip(shape, numbers, strict=False)
            ]
            starts = [jnp.asarray(i) for i in at]
            part = lax.dynamic_slice(x, starts, sizes)
            s = s + jnp.cos(part).sum()
            if kind == "update":
                starts = [i + 1 for i in starts]
                x = lax.dynamic_update_slice(x, jnp.sin(part) * s, starts)
        elif kind == "row":
            x = x.at[at[0]].set(x[at[0] - 1] * jnp.cos(s))
        elif kind == "many":
            rows = jnp.stack(
                [jnp.asarray(at[0]), jnp.asarray(at[0]) + 1, jnp.asarray(1)]
            )
            x = x.at[rows].set(jnp.sin(x[rows - 1]) + s)
        elif kind == "whole":
            s = jnp.tanh(jnp.vdot(x, jnp.sin(x)) * 0.1 + s)
        elif kind == "branch":
            x = lax.cond(
                (k + numbers[0]) % 2 == 0,
                lambda x: x.at[at].set(s * x[at]),
                lambda x: x,
                x,
            )
        return state | {name: x, "s": jnp.tanh(s)}

    def __call__(self, x):
        ends = np.cumsum([0] + [int(np.prod(shape)) for shape in SHAPES.values()])
        parts = zip(SHAPES.items(), ends[:-1], ends[1:], strict=True)
        state = {name: x[i:j].reshape(shape) for (name, shape), i, j in parts}
        state["s"] = x[0]

        def step(state, k):
            for line in self.lines:
                state = self.apply(line, state, k)
            return state, state["s"]

        steps = jnp.arange(self.steps)
        state, ys = lax.scan(step, state, steps, reverse=self.reverse)
        return sum(jnp.sum(jnp.sin(v)) for v in state.values()) + jnp.sum(ys**2)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_loops(seed):
    loop = Loop(seed)
    x = jnp.asarray(loop.rng.normal(size=sum(map(np.prod, SHAPES.values()))))
    value, ours = jax.jit(jaxbp.value_and_grad(loop))(x)
    known, theirs = jax.jit(jax.value_and_grad(loop))(x)
    np.testing.assert_allclose(value, known, rtol=1e-11)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
    if seed % 4 == 0:
        v = jnp.cos(x)
        product, exact = (
            jax.jit(lambda x, m=m: m.jvp(m.grad(loop), (x,), (v,))[1])(x)
            for m in (jaxbp, jax)
        )
        np.testing.assert_allclose(product, exact, rtol=1e-8, atol=1e-9)
