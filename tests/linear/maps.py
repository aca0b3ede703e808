"""One row per linear map: how it is recorded, and at which types."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxbp
from jaxbp.linear.labels import Labels


def draw(*shape, dtype=float, seed=0):
    values = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    return jnp.asarray(values, dtype)


W, B = draw(3, 4, seed=1), draw(2, 3, seed=2)
SYSTEM = W[:, :3] + 5 * jnp.eye(3)
TABLE = draw(5, 3, seed=3)


@jax.custom_vjp
def doubled(x):
    return x * x


doubled.defvjp(lambda x: (x * x, x), lambda x, y_bar: (2 * x * y_bar,))


def scanned(x):
    return lax.scan(lambda c, e: (jnp.tanh(c @ W[:, :3]) + e, c), x, jnp.ones((4, 3)))


def by_ref(x):
    ref = jax.new_ref(x)
    ref[0] = 3 * ref[1]
    jax.ref.addupdate(ref, 2, x[0])
    return ref[...]


def goes_on(carry):
    return carry[1] < 3


def sine(carry):
    return jnp.sin(carry[0]), carry[1] + 1


def looped(x):
    return lax.while_loop(goes_on, sine, (x, 0))[0]


class Case(NamedTuple):
    """A function of arrays whose linear program has the map in it.

    Fields:
      name: of the map's class, with what it does there.
      function, x: the function, and where.
      same: recorded again it is equal; not so where JAX itself traces anew.
    """

    name: str
    function: object
    x: tuple
    same: bool = True


V = draw(3)
CASES = [
    Case("Diagonal: tanh", jnp.tanh, (draw(2, 3),)),
    Case("Diagonal: product", lambda x: x * B, (draw(2, 3),)),
    Case("Diagonal: mask", lambda x: jnp.where(B > 1, x, 0), (draw(2, 3),)),
    Case("Diagonal: complex", lambda x: x * (1 + 2j), (draw(3, dtype=complex),)),
    Case("Scaled: neg", lambda x: -x, (draw(2, 3),)),
    Case("Broadcast: axes of length 1", lambda x: B - x, (draw(1, 3),)),
    Case("Contraction: left", lambda x: x @ W, (draw(2, 3),)),
    Case("Contraction: right", lambda w: B @ w, (W,)),
    Case("Contraction: batched", lambda x: jnp.einsum("bij,bjk->bik", x, draw(2, 4, 3)),
         (draw(2, 5, 4),)),
    Case("Contraction: matrix, vector", lambda x: W @ x, (draw(4),)),
    Case("Einsum: repeated, then contracted",
         jax.jit(lambda x: (TABLE - jnp.broadcast_to(x, TABLE.shape)) @ W), (V,)),
    Case("ThroughPrimitive: reduce_sum", lambda x: x.sum(1), (draw(2, 3),)),
    Case("ThroughPrimitive: broadcast_in_dim",
         lambda x: jnp.broadcast_to(x[:, None], (3, 2)), (V,)),
    Case("ThroughPrimitive: tile", lambda x: jnp.tile(x, (2, 2)), (V,)),
    Case("ThroughPrimitive: transpose", lambda x: x.T, (draw(2, 3),)),
    Case("ThroughPrimitive: squeeze", lambda x: jnp.squeeze(x, 0), (draw(1, 3),)),
    Case("ThroughPrimitive: reshape", lambda x: x.reshape(3, 2), (draw(2, 3),)),
    Case("ThroughPrimitive: slice", lambda x: x[1:3], (draw(4),)),
    Case("ThroughPrimitive: rev", lambda x: x[::-1], (draw(4),)),
    Case("ThroughPrimitive: gather", lambda x: x[jnp.array([2, 0, 2])], (draw(4),)),
    Case("ThroughPrimitive: dynamic_slice",
         lambda x: lax.dynamic_slice(x, (1,), (2,)), (draw(4),)),
    Case("ThroughPrimitive: convolution",
         lambda x: jnp.convolve(x, V), (draw(5),)),
    Case("ThroughPrimitive: cumsum", jnp.cumsum, (draw(4),)),
    Case("ThroughPrimitive: conj", jnp.conj, (draw(3, dtype=complex),)),
    Case("ThroughPrimitive: fft", jnp.fft.fft, (draw(4, dtype=complex),)),
    Case("JointlyThroughPrimitive: concatenate",
         lambda x, y: jnp.concatenate([x, y]), (draw(2), draw(3))),
    Case("JointlyThroughPrimitive: pad",
         lambda x, c: lax.pad(x, c, [(1, 2, 1)]), (draw(3), draw())),
    Case("JointlyThroughPrimitive: scatter-add",
         lambda x, u: x.at[jnp.array([1, 1])].add(u), (draw(4), draw(2))),
    Case("JointlyThroughPrimitive: dynamic_update_slice",
         lambda x, u: lax.dynamic_update_slice(x, u, (1,)), (draw(4), draw(2))),
    Case("JointlyThroughPrimitive: split", lambda x: jnp.split(x, 2), (draw(4),)),
    Case("Call: jit", jax.jit(lambda x: (jnp.sin(x), x * x)), (V,)),
    Case("Branches: cond",
         jax.jit(lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.exp, x)), (V,)),
    Case("Checkpoint: jax.checkpoint", jax.checkpoint(lambda x: jnp.sin(x) * x), (V,)),
    Case("Backward: custom_vjp", doubled, (V,)),
    Case("Loop: scan", scanned, (V,)),
    Case("Repeated: while", looped, (V,)),
    Case("Read, Write, Addition: refs", by_ref, (draw(4),)),
    Case("Solve: custom_linear_solve",
         lambda b: lax.custom_linear_solve(
             lambda x: SYSTEM @ x, b,
             lambda f, b: jnp.linalg.solve(SYSTEM, b),
             lambda f, b: jnp.linalg.solve(SYSTEM.T, b)), (V,), same=False),
    Case("empty", lambda x: jnp.tanh(x) @ jnp.ones((0, 2)), (draw(3, 0),)),
    Case("size 1", lambda x: jnp.tanh(x) * 2, (draw(1),)),
    Case("scalar", lambda x: jnp.tanh(x) * 2, (draw(),)),
]  # fmt: skip


def program_of(case):
    """The linear program of a case at its point."""
    return jaxbp.linearize(case.function, *case.x)[1].program


LABELLED = [
    ("tanh", jnp.tanh, draw(2, 3), Labels((0, 1), (0, 1), (0, 1))),
    ("mask", lambda x: jnp.where(B > 1, x, 0), draw(2, 3),
     Labels((0, 1), (0, 1), (0, 1), mask=True)),
    ("neg", lambda x: -x, draw(2, 3), Labels((0, 1), (0, 1))),
    ("sum", lambda x: x.sum(0), draw(2, 3), Labels((1,), (0, 1))),
    ("transpose", lambda x: x.T, draw(2, 3), Labels((1, 0), (0, 1))),
    ("product", lambda x: x @ W, draw(2, 3), Labels((1, 2), (1, 0), (0, 2))),
]  # fmt: skip
