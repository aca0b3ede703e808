"""Small matrices of single entries, each at its place: rows, columns, or one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.across.expand import dense
from jaxbp.across.factor import Factor
from jaxbp.across.places import Axis, along
from jaxbp.across.singles import comparisons
from jaxbp.across.term import Term

DENSE, SPARSE = range(100), range(0, 100, 7)


def single(place, value, shape, outs):
    axes = [
        Axis(n, int(at))
        for n, at in zip(shape, np.unravel_index(place, shape), strict=True)
    ]
    return Term(tuple(axes[:outs]), tuple(axes[outs:]), Factor((), value))


@pytest.mark.parametrize("kept", [DENSE, SPARSE])
@pytest.mark.parametrize(
    "shape, outs", [((3, 4), 1), ((2, 3, 2), 2), ((6,), 1), ((6,), 0), ((12, 9), 1)]
)
def test_entries_stand_at_their_places(shape, outs, kept):
    wanted = np.zeros(shape)
    places = [i for i in kept if i < wanted.size]
    values = np.arange(1.0, 1 + len(places))
    values[0] = np.inf  # nothing is multiplied with it
    wanted.flat[places] = values

    def whole(values):
        terms = [
            single(at, value, shape, outs)
            for at, value in zip(places, values, strict=True)
        ]
        return dense(terms, shape, np.dtype(np.float64))

    np.testing.assert_array_equal(jax.jit(whole)(values), wanted)
    both = jax.vmap(whole)(jnp.stack([values, 2 * values]))
    np.testing.assert_array_equal(both, [wanted, 2 * wanted])


def test_entries_beside_other_terms_are_added():
    axis = along(3)
    diagonal = Term((axis,), (axis,), Factor(axis.labels, jnp.full(3, 5.0)))
    terms = [single(1, 2.0, (3, 3), 1), diagonal, single(1, 3.0, (3, 3), 1)]
    found = dense(terms, (3, 3), np.dtype(np.float64))
    np.testing.assert_array_equal(found, [[5, 5, 0], [0, 5, 0], [0, 0, 5]])


def test_comparisons_are_those_along_a_line():
    full = [single(at, 1.0, (2, 3), 1) for at in range(6)]
    assert comparisons(full, (2, 3)) == 36  # all in one line
    large = [single(at, 1.0, (8, 9), 1) for at in range(72)]
    assert comparisons(large, (8, 9)) == 72 * 8 * 2  # by columns of eight, in pairs
    assert comparisons(full[:1], (2, 3)) == 3  # in a row of three
