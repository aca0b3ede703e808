"""The linear programs of whole functions: what they say, opened and in parts."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.linear.loop.loop import Loop, Taped
from jaxbp.linear.parts import parts
from jaxbp.linear.program import LinearProgram, seeded
from jaxbp.problems.programs import PROGRAMS, program
from tests.linear.test_maps import described, matrix

LARGEST = 24  # entries of an edge's input whose Jacobian is compared in full


def opened_edges(linear):
    """(edge, residuals, avals) of a program, with the step of every taped loop."""
    whole = linear.opened()
    for edge in whole.structure.edges:
        residuals = whole.residuals(edge)
        if isinstance(edge.map, Loop) and isinstance(edge.map.step, Taped):
            yield from opened_edges(edge.map.at(residuals, 0))
        else:
            yield edge, residuals, whole.structure.avals


@pytest.fixture(scope="module")
def linears():
    found = {}
    for name in PROGRAMS:
        one = program(name, "small", dtype=np.float64)
        params, *data = one.args
        _, pushforward = jaxbp.linearize(
            lambda p, one=one, data=data: one.f(p, *data), params
        )
        found[name] = pushforward.program
    return found


@pytest.mark.slow
def test_edges_reproduce_their_jacobians(linears):
    counted, seen = collections.Counter(), set()
    for name, linear in linears.items():
        for edge, residuals, avals in opened_edges(linear):
            for part in parts(edge, avals):
                x, y = avals[part.ins[0]], avals[part.outs[0]]
                labels = part.map.labels(x, y, residuals)
                kind = labels or part.map.selection(residuals, x, y)
                counted["operator" if kind is None else "described"] += 1
                what = [
                    getattr(part.map, name, None) for name in ("primitive", "slope")
                ]
                like = type(part.map), *what, labels or (x.ndim, y.ndim)
                if kind is None or like in seen or x.size * y.size > LARGEST**2:
                    continue  # an edge like another says no more
                seen.add(like)
                np.testing.assert_allclose(
                    described(part.map, residuals, x, y),
                    matrix(part, residuals, x, y),
                    rtol=1e-6,
                    atol=1e-9,
                    err_msg=f"{name} {part}",
                )
    share = counted["described"] / counted.total()
    assert share >= 0.9, counted
    print(f"{share:.3f} of {counted.total()} edges have labels or are selections")


def test_a_program_prints_itself():
    def loss(w, x):
        return jnp.mean(jnp.tanh(x @ w) ** 2)

    x = jnp.ones((4, 3))
    _, pushforward = jaxbp.linearize(jax.jit(loss), jnp.ones(3), x)
    text = repr(pushforward.program.opened())
    assert text.startswith("LinearProgram: (x0 f64[3], x1 f64[4,3]) -> (")
    for word in ("Contraction", "tanh", "dot_general", "test_programs.py:", "holds"):
        assert word in text
    assert len(text.splitlines()) == 1 + len(
        pushforward.program.opened().structure.edges
    )


def test_push_and_pull_are_folds_of_steps():
    _, pushforward = jaxbp.linearize(lambda x: jnp.sin(x) * x, jnp.arange(3.0))
    program = pushforward.program
    env = seeded(program.structure.ins, [jnp.ones(3)])
    brought = [edge for edge, _, _ in program.steps("push", env)]
    assert brought == list(program.structure.edges)
    (out,) = program.structure.outs
    np.testing.assert_array_equal(env[out], program.push([jnp.ones(3)])[0])


def test_readers_makers_and_picked():
    _, pushforward = jaxbp.linearize(lambda x: (x * x, -x), jnp.ones(2))
    structure = pushforward.program.structure
    (x,), (square, minus) = structure.ins, structure.outs
    assert {e.outs[0] for e in structure.readers()[x]} == {square, minus}
    assert structure.makers()[x] == [None]
    assert len(structure.makers()[square]) == 2
    picked = pushforward.program.picked([1])
    np.testing.assert_array_equal(picked.push([jnp.ones(2)])[0], [-1, -1])


def test_opened_keeps_values():
    @jax.jit
    def inner(x):
        return jnp.sin(x), x

    def f(x):
        a, b = inner(x)
        return jax.checkpoint(jnp.cos)(a) + b * inner(a)[1]

    x = jnp.arange(3.0)
    program = jaxbp.linearize(f, x)[1].program
    opened = program.opened()
    assert not any("Call" in type(e.map).__name__ for e in opened.structure.edges)
    one = jnp.arange(1.0, 4)
    np.testing.assert_allclose(
        program.push([one])[0], opened.push([one])[0], rtol=1e-14
    )
    np.testing.assert_allclose(
        program.pull([one])[0], opened.pull([one])[0], rtol=1e-14
    )


def test_origins_say_nothing_to_equality():
    def f(x):
        return jnp.sin(x)

    def g(x):
        return jnp.sin(x)

    one, other = (jaxbp.linearize(h, jnp.ones(2))[1].program.structure for h in (f, g))
    assert one == other and hash(one) == hash(other)
    lines = [s.edges[0].origin.source for s in (one, other)]
    assert lines[0] != lines[1]


def test_lines_of_jax_functions_are_those_that_called_them():
    @jax.jit
    def loss(x):
        y = jnp.linalg.norm(x)
        return y * 2

    program = jaxbp.linearize(loss, jnp.ones(2))[1].program.opened()
    lines = {e.origin.source.partition(" (")[0][-3:] for e in program.structure.edges}
    first = loss.__wrapped__.__code__.co_firstlineno + 2
    assert {int(line.split(":")[-1]) for line in lines} == {first, first + 1}


def test_a_program_crosses_jit():
    _, pushforward = jaxbp.linearize(jnp.sin, jnp.ones(2))
    doubled = jax.jit(lambda p: jax.tree.map(lambda r: 2 * r, p))(pushforward.program)
    assert isinstance(doubled, LinearProgram)


@pytest.mark.parametrize("start", [0.5, "given"])
def test_a_loop_whose_carry_starts_as_a_constant_prints_itself(start):
    """The slot of such a carry is brought nothing: it prints as 0."""

    def f(w):
        first = w if start == "given" else jnp.full(2, start)
        return jax.lax.scan(lambda h, _: (jnp.tanh(w * h), h), first, None, length=3)[1]

    _, pushforward = jaxbp.linearize(f, jnp.ones(2))
    text = repr(pushforward)
    assert text.startswith("Pushforward of f\nLinearProgram: (x0 f64[2])")
    assert (" 0 " in text) == (start != "given")
    assert "Pullback of f" in repr(jaxbp.vjp(f, jnp.ones(2))[1])
