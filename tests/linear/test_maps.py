"""Every map: both directions, zeros, types, equality, and what it says of itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.linear.labels import Selection, dense
from jaxbp.linear.parts import parts
from tests.linear.maps import CASES, LABELLED, draw, program_of

# Sums of at most a few dozen products of numbers near 1, in 64 bits.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def types(program, slots):
    return [program.structure.avals[slot] for slot in slots]


def random_like(avals, seed=0):
    return [draw(*a.shape, dtype=a.dtype, seed=seed + i) for i, a in enumerate(avals)]


def inner(ones, others):
    """The sum of products, without conjugation; zeros are None."""
    pairs = zip(ones, others, strict=True)
    return sum(
        jnp.vdot(jnp.conj(x), y) for x, y in pairs if x is not None and y is not None
    )


def edges(case):
    """(edge, its residuals, types of its inputs and of its outputs)."""
    program = program_of(case)
    for edge in program.structure.edges:
        ins, outs = types(program, edge.ins), types(program, edge.outs)
        yield edge, program.residuals(edge), ins, outs


def matrix(edge, residuals, x, y):
    """The Jacobian (*y, *x) of an edge with one input and one output, by pushes."""
    size = int(np.prod(x.shape))
    basis = jnp.eye(size, dtype=x.dtype).reshape(size, *x.shape)
    if not size:
        return jnp.zeros((*y.shape, *x.shape), y.dtype)
    columns = jax.vmap(lambda column: edge.map.push(residuals, [column])[0])(basis)
    return jnp.moveaxis(columns, 0, -1).reshape(*y.shape, *x.shape)


def names(structure):
    """Names of the maps, of those inside others too."""
    found = set()
    for edge in structure.edges:
        found.add(type(edge.map).__name__)
        for inner_ in getattr(edge.map, "structures", ()):
            found |= names(inner_)
    return found


def test_pull_is_the_transpose_of_push(case):
    for edge, residuals, ins, outs in edges(case):
        x_dots, y_bars = random_like(ins), random_like(outs, seed=7)
        y_dots = edge.map.push(residuals, x_dots)
        x_bars = edge.map.pull(residuals, y_bars)
        left, right = inner(y_bars, y_dots), inner(x_bars, x_dots)
        if edge.map.form.real_only:
            left, right = jnp.real(left), jnp.real(right)
        np.testing.assert_allclose(left, right, **CLOSE)


def test_a_zero_among_others_is_zero(case):
    """One input at a time, the others None, adds up to all of them together."""
    for edge, residuals, ins, _ in edges(case):
        x_dots = random_like(ins)
        whole = edge.map.push(residuals, x_dots)
        alone = [
            edge.map.push(
                residuals, [v if i == j else None for j, v in enumerate(x_dots)]
            )
            for i in range(len(x_dots))
        ]
        for y_dot, *terms in zip(whole, *alone, strict=True):
            total = sum(t for t in terms if t is not None)
            np.testing.assert_allclose(0 if y_dot is None else y_dot, total, **CLOSE)


def test_recorded_again_it_is_equal(case):
    if not case.same:
        pytest.skip("JAX traces the functions that it is given anew at every call")
    first, second = program_of(case).structure, program_of(case).structure
    for one, other in zip(first.edges, second.edges, strict=True):
        assert one == other and hash(one) == hash(other)


def test_parts_sum_to_the_whole(case):
    program = program_of(case)
    x_dots = random_like(types(program, program.structure.ins))
    apart = program.parts()
    for one, other in zip(program.push(x_dots), apart.push(x_dots), strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)
    ends = [(len(e.ins), len(e.outs)) for e in apart.structure.edges]
    assert set(ends) <= {(1, 1)}
    y_bars = random_like(types(program, program.structure.outs))
    for one, other in zip(program.pull(y_bars), apart.pull(y_bars), strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


def test_labels_and_selections_give_the_matrix(case):
    program = program_of(case).opened()
    avals = program.structure.avals
    for edge in program.structure.edges:
        residuals = program.residuals(edge)
        for part in parts(edge, avals):
            x, y = avals[part.ins[0]], avals[part.outs[0]]
            found = described(part.map, residuals, x, y)
            if found is not None:
                expected = matrix(part, residuals, x, y)
                np.testing.assert_allclose(found, expected, **CLOSE)


def described(it, residuals, x, y):
    """The Jacobian that the map says it has, or None."""
    labels = it.labels(x, y, residuals)
    if labels is not None:
        return dense(labels, it.coefficient(residuals), x, y)
    selection = it.selection(residuals, x, y)
    return None if selection is None else selected(selection, x, y)


def selected(selection: Selection, x, y):
    """The Jacobian of a selection."""
    table = np.asarray(selection.table).ravel()
    rows, columns = int(np.prod(y.shape)), int(np.prod(x.shape))
    found = np.zeros((rows, columns))
    for place, other in enumerate(table):
        if other >= 0:
            found[(other, place) if selection.scatters else (place, other)] = 1
    return found.reshape((*y.shape, *x.shape))


@pytest.mark.parametrize("row", LABELLED, ids=lambda row: row[0])
def test_labels_are_as_said(row):
    _, function, x, expected = row
    program = jaxbp.linearize(function, x)[1].program.opened()
    (edge,) = program.structure.edges
    types_ = [program.structure.avals[s] for s in (*edge.ins, *edge.outs)]
    found = edge.map.labels(*types_, program.residuals(edge))
    assert renamed(found) == renamed(expected)


def renamed(labels):
    """Labels in order of their first appearance."""
    known = {}
    for label in (*labels.out, *labels.of, *labels.coefficient):
        known.setdefault(label, len(known))
    return labels._replace(
        out=tuple(known[i] for i in labels.out),
        of=tuple(known[i] for i in labels.of),
        coefficient=tuple(known[i] for i in labels.coefficient),
    )


def test_a_mask_selects_and_does_not_multiply():
    """0 times infinity behind a mask is 0, in both directions."""
    mask = jnp.array([True, False])
    _, push = jaxbp.linearize(lambda x: jnp.where(mask, x, 0), jnp.ones(2))
    infinite = jnp.array([1.0, jnp.inf])
    np.testing.assert_array_equal(push(infinite), [1, 0])
    np.testing.assert_array_equal(push.program.pull([infinite])[0], [1, 0])


def test_what_is_real_linear_only_says_so():
    for function in (jnp.conj, jnp.real, jnp.imag):
        program = jaxbp.linearize(function, draw(3, dtype=complex))[1].program.opened()
        assert any(edge.map.form.real_only for edge in program.structure.edges)


def test_jit_finds_a_pullback_again():
    """A map is equal to one recorded later: the second call is not traced."""
    for case in (case for case in CASES if case.same):
        traced = []

        @jax.jit
        def apply(linear, given, traced=traced):
            traced.append(1)
            return linear(*given)

        for _ in range(3):
            _, pushforward = jaxbp.linearize(case.function, *case.x)
            apply(pushforward, case.x)
        assert len(traced) == 1, case.name


FEW = {"before": ((5, 1, 4), (5, 3, 4)), "last": ((5, 4, 1), (5, 4, 2)),
       "missing": ((4,), (2, 4)), "two": ((1, 5, 1), (2, 5, 3))}  # fmt: skip


@pytest.mark.parametrize("shape, long", FEW.values(), ids=FEW)
def test_few_terms_are_added_one_by_one(shape, long):
    x = jnp.linspace(1, 2, int(np.prod(shape))).reshape(shape)
    w = jnp.linspace(-1, 1, int(np.prod(long))).reshape(long)

    def f(x):
        return jnp.sum(jnp.sin(jnp.broadcast_to(x, long) * w))

    np.testing.assert_allclose(jaxbp.grad(f)(x), jax.grad(f)(x), 1e-12)
    np.testing.assert_allclose(jaxbp.hessian(f)(x), jax.hessian(f)(x), 1e-12, 1e-14)
