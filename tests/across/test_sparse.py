"""`jaxbp.sparse`: patterns hold every nonzero, and entries are those of JAX."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp import sparse
from jaxbp.across import colours
from jaxbp.across.entries import entries_of
from jaxbp.errors import InvalidArgument, ShapeMismatch

N = 10
X = np.linspace(0.11, 1.03, N)
PLACES = np.array([0, 3, 3, 9])


def burgers(u):
    right, left = jnp.roll(u, -1), jnp.roll(u, 1)
    return -u * (right - left) / 2 + 0.1 * (right - 2 * u + left)


def energy(x):
    return jnp.sum((x[1:] - x[:-1] ** 2) ** 2)


def gathered(x):
    return x[PLACES] ** 2 * jnp.sin(x[jnp.array([1, 2, 3, 4])])


def through_an_operator(x):
    return jnp.fft.irfft(jnp.fft.rfft(x)) * x


FUNCTIONS = {
    "Burgers": burgers,
    "gradient": jax.grad(energy),
    "gathered": gathered,
    "operator": through_an_operator,
    "matrix": lambda x: jnp.diag(x)[1:] * 2,
    "scattered": lambda x: jnp.zeros((2, N)).at[1, PLACES].add(x[:4] ** 2),
    "empty rows": lambda x: jnp.concatenate([jnp.zeros(3), x[2:4] ** 2]),
    "zero": lambda x: jnp.zeros(3),
    "sum": lambda x: jnp.sum(x**2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_entries_and_patterns(name):
    f = FUNCTIONS[name]
    wanted = np.asarray(jax.jit(jax.jacrev(f))(X)).reshape(-1, N)
    found = jax.jit(sparse.jacobian(f))(X)
    np.testing.assert_allclose(found.todense(), wanted, atol=1e-12)
    flat = np.asarray(found.indices) @ [N, 1]
    assert (np.diff(flat) > 0).all()  # ordered, and each place once
    live = name in ("gathered", "scattered")  # indices are known where it runs
    given = jnp.asarray(X) if live else jax.ShapeDtypeStruct((N,), np.float64)
    pattern = sparse.pattern(f, given)
    assert pattern.dense()[wanted != 0].all()
    assert pattern.exact == (name not in ("operator", "matrix"))
    if pattern.exact:
        assert pattern.nse == (wanted != 0).sum()


def test_a_pattern_from_types_is_that_of_values():
    given = sparse.pattern(burgers, jax.ShapeDtypeStruct((N,), np.float64))
    assert (given.dense() == sparse.pattern(burgers, X).dense()).all()
    np.testing.assert_allclose(
        sparse.jacobian(burgers)(X).todense(), jax.jacfwd(burgers)(X), atol=1e-12
    )
    assert given.scipy().shape == (N, N)


def test_hessian_of_a_stencil():
    found = jax.jit(sparse.hessian(energy))(X)
    np.testing.assert_allclose(found.todense(), jax.hessian(energy)(X), atol=1e-12)
    assert found.nse == 3 * N - 2


def test_diagonals_are_part_of_blocks():
    x, W = np.linspace(0.1, 1.0, 6).reshape(3, 2), np.array([[1.0, 2.0], [-1.0, 3.0]])
    f = lambda x: jnp.tanh(x @ W) * x  # noqa: E731
    found = jax.jit(jaxbp.sparse.jacobian(f))(x)
    wanted = jax.jit(jax.jacfwd(f))(x).reshape(6, 6)
    assert found.nse == 12
    np.testing.assert_allclose(found.todense(), wanted, rtol=1e-12)


@pytest.mark.parametrize("count", [2, 5])
def test_entries_at_one_place_are_added(count):
    """Be they few, which are read, or many, which are written one by one."""
    orders = [np.r_[0, 1 + np.roll(np.arange(5), k)] for k in range(count)]
    x = np.linspace(1.0, 2.0, 6)
    f = lambda x: sum(x[order] for order in orders)  # noqa: E731
    found = jaxbp.sparse.jacobian(f)(x)  # so that indices are known
    wanted = sum(np.eye(6)[order] for order in orders)
    assert found.nse == 1 + 5 * count
    np.testing.assert_allclose(found.todense(), wanted)


def test_a_large_stencil_is_planned_without_its_matrix():
    many = sparse.pattern(jax.grad(energy), jax.ShapeDtypeStruct((50_000,), np.float64))
    assert many.exact and many.nse == 3 * 50_000 - 2
    assert sparse.colouring(many).max() + 1 == 3


@pytest.mark.parametrize("by", ["columns", "rows"])
def test_colours_share_no_line(by):
    pattern = np.random.default_rng(1).random((20, 15)) < 0.2
    found = sparse.colouring(pattern, by)
    lines = pattern if by == "columns" else pattern.T
    assert found.min() == 0
    for colour in range(found.max() + 1):
        assert lines[:, found == colour].sum(1).max() <= 1


ARROW = np.eye(30, dtype=bool)
ARROW[0] = ARROW[:, 0] = True
BAND = np.abs(np.subtract.outer(np.arange(12), np.arange(12))) <= 2
RANDOM = np.random.default_rng(2).random((18, 18)) < 0.15
PATTERNS = {
    "arrow": ARROW,
    "band": BAND,
    "random": RANDOM | RANDOM.T,
    "full": np.ones((4, 4), bool),
    "empty": np.zeros((3, 3), bool),
    "no rows": np.zeros((0, 0), bool),
    "a dense row": np.vstack([np.ones((1, 9), bool), np.eye(9, dtype=bool)]),
    "wide": np.random.default_rng(3).random((5, 14)) < 0.3,
}


SYMMETRIC = ("arrow", "band", "random", "full", "empty", "no rows")


@pytest.mark.parametrize(
    ("name", "by"),
    [(name, by) for name in PATTERNS for by in ("columns", "rows", "both")]
    + [(name, "star") for name in SYMMETRIC],
)
def test_every_entry_is_read_from_the_sweeps(name, by):
    dense = PATTERNS[name]
    matrix = np.random.default_rng(4).normal(size=dense.shape) * dense
    if by == "star":
        matrix = matrix + matrix.T
    found = colours.FINDS[by](sparse.Pattern.of(dense))
    pushes, pulls = found.sweeps
    pushed = (np.arange(pushes)[:, None] == found.columns) @ matrix.T
    pulled = (np.arange(pulls)[:, None] == found.rows) @ matrix
    tables = (pushed, pulled)
    read = [
        tables[int(r)][c, at]
        for r, c, at in zip(found.by_row, found.colour, found.line, strict=True)
    ]
    np.testing.assert_allclose(read, matrix[dense], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "by", "sweeps"),
    [("arrow", "columns", 30), ("arrow", "both", 3), ("arrow", "star", 2)]
    + [("band", "star", 5), ("a dense row", "both", 2)],
)
def test_how_many_sweeps(name, by, sweeps):
    found = colours.FINDS[by](sparse.Pattern.of(PATTERNS[name]))
    assert sum(found.sweeps) <= sweeps


def test_an_arrow_through_an_operator():
    """Entries of a Hessian that cannot be taken apart, at two sweeps for thirty."""

    def tied(x):  # the inverse transform undoes the transform
        again = jnp.fft.irfft(jnp.fft.rfft(x), len(x))
        return jnp.sum(jnp.sin(again) * again[0]) + jnp.sum(x**2)

    x = np.linspace(0.2, 1.1, 30)
    found = sparse.hessian(tied, pattern=ARROW)(x)
    np.testing.assert_allclose(found.todense(), jax.hessian(tied)(x), atol=1e-10)


def test_a_given_pattern_is_used_and_checked():
    sums = lambda x: jnp.fft.irfft(jnp.fft.rfft(x)) * 3  # noqa: E731 (3 x)
    eye = np.eye(N, dtype=bool)
    found = sparse.jacobian(sums, pattern=eye)(X)
    np.testing.assert_allclose(found.todense(), 3 * np.eye(N), atol=1e-12)
    assert found.nse == N
    larger = sparse.jacobian(burgers, pattern=np.ones((N, N)))(X)
    np.testing.assert_allclose(larger.todense(), jax.jacfwd(burgers)(X), atol=1e-12)
    with pytest.raises(InvalidArgument, match="lacks an entry"):
        sparse.jacobian(through_an_operator, pattern=np.eye(N, k=1))(X)
    with pytest.raises(InvalidArgument, match="lacks 20 places"):
        sparse.jacobian(burgers, pattern=eye)(X)
    with pytest.raises(ShapeMismatch, match=r"must have shape \(10, 10\)"):
        sparse.jacobian(burgers, pattern=np.eye(3))(X)


def test_wrong_arguments():
    with pytest.raises(InvalidArgument, match="has 2 leaves"):
        sparse.jacobian(lambda x: (x, x))(X)
    with pytest.raises(InvalidArgument, match="must be one of columns, rows, both, st"):
        sparse.colouring(np.eye(2), "diagonals")
    with pytest.raises(InvalidArgument, match="for symmetric patterns"):
        sparse.colouring(np.eye(2, k=1), "star")
    with pytest.raises(InvalidArgument, match="must be a jaxbp.sparse.Pattern"):
        sparse.jacobian(burgers, pattern=np.ones(3))


@pytest.mark.parametrize("name", ["colouring", "hessian", "jacobian", "pattern"])
def test_the_example_runs(name):
    function = getattr(jaxbp.sparse, name)
    examples = doctest.DocTestParser().get_examples(function.__doc__)
    assert examples
    test = doctest.DocTest(examples, {}, name, None, None, function.__doc__)
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_rows_whose_entries_take_turns(count):
    """Each row has an entry of each band, in an order of their own."""
    rng = np.random.default_rng(count)
    values = [rng.normal(size=5) for _ in range(count)]
    turns = rng.permutation(count)
    places = [turn + count * np.arange(5) for turn in turns]
    wanted = np.zeros(5 * count)
    for value, where in zip(values, places, strict=True):
        wanted[where] = value
    find = lambda *v: entries_of(v, places, 5 * count, np.float64)  # noqa: E731
    np.testing.assert_array_equal(find(*map(jnp.asarray, values)), wanted)
    assert "gather" not in str(jax.make_jaxpr(find)(*values))


@pytest.mark.parametrize("n", [3, 8])
def test_differences_are_read_without_indices(n):
    f = lambda x: (x[2:] - 3 * x[1:-1] + x[:-2]) ** 2  # noqa: E731
    x = jnp.asarray(X[:n])
    find = sparse.jacobian(f)
    wanted = jax.jacrev(f)(x)
    np.testing.assert_allclose(jax.jit(find)(x).todense(), wanted, atol=1e-12)
    xs = jnp.stack([x, x[::-1]])
    found = jax.vmap(lambda x: find(x).data)(xs)
    np.testing.assert_allclose(found[1], find(xs[1]).data, atol=1e-12)
