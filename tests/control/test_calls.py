"""Calls of inner jitted functions: derived once, the same derivative however nested."""

import functools
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.study import stacked_bytes
from tests.transforms.standin import same

X = jnp.array([0.3, 1.2, -0.7])
W = jnp.outer(X, X) - 0.2 * jnp.eye(3)


def body(w, x):
    """A value that is used, one that is not, an operand and a constant as outputs."""
    h = jnp.tanh(w @ x) * jax.nn.softplus(x)
    h = lax.cond(h[0] > 0, jnp.sin, jnp.cos, h) + jax.checkpoint(jnp.exp)(x)
    return x + h / (1 + jnp.sum(h**2)), jnp.sinh(h) * jnp.cosh(x), x, jnp.ones(2)


block = jax.jit(body)


def loss(w, x):
    for _ in range(2):
        x, _, y, _ = block(w, x)
    return jnp.sum(x * y)


def jit(f):
    return jax.jit(f)


NESTED = {
    "reverse": lambda ad: jit(ad.grad(loss, (0, 1)))(W, X),
    "forward": lambda ad: jit(lambda w: ad.jvp(loss, (w, X), (W, X)))(W),
    "linearized": lambda ad: jit(lambda w: ad.linearize(loss, w, X)[1](w, X))(W),
    "second": lambda ad: jit(ad.hessian(loss, 1))(W, X),
    "of_jax": lambda ad: jit(jax.grad(lambda x: jnp.sum(ad.grad(loss)(W, x))))(X),
    "in_jax": lambda ad: jit(ad.grad(lambda x: jnp.sum(jax.grad(loss)(W, x))))(X),
    "vmap": lambda ad: jit(jax.vmap(ad.grad(loss, 1), (None, 0)))(W, W),
    "of_vmap": lambda ad: jit(ad.jacrev(jax.vmap(loss, (None, 0))))(W, W),
    "pullback": lambda ad: jit(functools.partial(ad.vjp, loss))(W, X)[1](2.0),
    "every_output": lambda ad: jit(
        lambda w: ad.vjp(block, w, X)[1]((X, 2 * X, 3 * X, jnp.ones(2)))
    )(W),
}


@pytest.mark.parametrize("program", NESTED.values(), ids=NESTED.keys())
def test_stands_in_for_jax(program):
    same(program)


def test_inner_program_is_derived_once():
    """However often it is called, in however many traces."""
    seen = []

    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    @sine.defjvp
    def _(primals, tangents):
        seen.append(1)
        return sine(*primals), jnp.cos(*primals) * tangents[0]

    inner = jax.jit(lambda w, x: body(w, sine(x))[0])

    def outer(w, x):
        for _ in range(4):
            x = inner(w, x)
        return jnp.sum(x)

    programs = [jax.make_jaxpr(jaxbp.grad(outer, (0, 1)))(W, X) for _ in range(2)]
    assert len(seen) == 1
    eqns = [eqn for program in programs for eqn in program.eqns]
    calls = [id(e.params["jaxpr"]) for e in eqns if e.primitive.name == "jit"]
    # Of each direction one program, used 8 times.
    assert len(calls) == 16 and len(set(calls)) == 2
    names = {eqn.params["name"] for eqn in eqns if eqn.primitive.name == "jit"}
    assert names == {"<lambda>", "<lambda>_pull"}


def test_tape_is_that_of_the_equations_in_line():
    def tape(inner):
        def run(w, x):
            return jaxbp.vjp(lambda w, x: inner(w, jnp.sin(x))[0], w, x)[1]

        program = jax.eval_shape(run, W, X).program
        return sum(x.size * x.dtype.itemsize for x in program.tape)

    assert tape(block) == tape(jax.jit(body, inline=True))


def test_loops_see_the_equations_of_a_jitted_step():
    def cell(w, x):
        return jnp.tanh(w @ jnp.tanh(w @ x)) * jnp.tanh(x)

    def stacked(step):
        def run(w):
            return lax.scan(lambda x, _: (step(w, x), None), X, None, 4)[0].sum()

        return stacked_bytes(jaxbp.grad(run), W)

    assert stacked(jax.jit(cell)) == stacked(cell)


def test_derivatives_die_with_their_programs():
    def trace():
        inner = jax.jit(lambda w, x: body(w, x)[0])
        jax.make_jaxpr(jaxbp.grad(lambda w: inner(w, X).sum()))(W)
        (eqn,) = jax.make_jaxpr(inner)(W, X).eqns
        return weakref.ref(eqn.params["jaxpr"])

    program = trace()
    gc.collect()
    assert program() is None


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["as it is", "jit"])
def test_a_checkpoint_rounds_as_without_it(wrap):
    """XLA may keep more digits of a bfloat16 value that is used at once: what is
    computed again must not be another number than what was computed first."""
    x, w = (
        jax.random.normal(jax.random.key(i), (8, 8), jnp.bfloat16) for i in range(2)
    )

    def loss(block):
        def f(x, w):
            for _ in range(3):
                x = block(x, w)
            return jnp.sum(x.astype(jnp.float32) ** 2)

        return wrap(jaxbp.value_and_grad(f, (0, 1)))(x, w)

    def block(x, w):
        return jnp.tanh(x @ w) * jnp.bfloat16(1.1) + x

    expected = loss(block)
    for checkpoint in (jax.checkpoint, jaxbp.checkpoint):
        found = loss(checkpoint(block))
        jax.tree.map(np.testing.assert_array_equal, found, expected)
