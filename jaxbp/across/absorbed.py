"""A sum of terms with fewer of them: a diagonal is added to the blocks that hold it.

Where a term's places are those of another with labels made equal, its entries are the
other's too: both are one array then, computed in one pass.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax

from .factor import Factor, added, spread
from .places import Label
from .term import Term

WIDER = 32  # times as many entries as the narrow term's, at most


def absorbed(terms: Sequence[Term], dtype, wider: int = WIDER) -> list[Term]:
    """The same sum; each narrow term is part of the first wide one that holds it, if
    that has at most `wider` times as many entries."""
    found = sorted(terms, key=lambda term: -term.entries)
    place = 0
    while place < len(found):
        wide, rest = found[place], found[place + 1 :]
        for term in rest:
            names = _names(wide, term)
            if names is not None and wide.entries <= wider * term.entries:
                wide = _with(wide, term, names, dtype)
                found = [one for one in found if one is not term]
        found[place] = wide
        place += 1
    return found


def _names(wide: Term, narrow: Term) -> dict[Label, Label] | None:
    """For each label of `wide` the one of `narrow` that stands where it stands; None
    where their places have another form."""
    names: dict[Label, Label] = {}
    for axis, other in zip(
        (*wide.out, *wide.of), (*narrow.out, *narrow.of), strict=True
    ):
        if axis.index or other.index or axis.start != other.start:
            return None
        if [step for _, step in axis.steps] != [step for _, step in other.steps]:
            return None
        for (label, _), (name, _) in zip(axis.steps, other.steps, strict=True):
            if label.size != name.size or names.setdefault(label, name) is not name:
                return None
    return names


def _with(wide: Term, narrow: Term, names: dict[Label, Label], dtype) -> Term:
    """`wide` and `narrow` as one, on the grid of the first."""
    first: dict[Label, Label] = {}
    for label, name in names.items():
        first.setdefault(name, label)
    labels = tuple(names)
    factor = narrow.factor
    if wide.factor.array is None or factor.array is None:
        return wide._replace(factor=added(wide.factor, Factor(labels, None), dtype))
    own = tuple([first[name] for name in factor.labels])
    value = spread(factor._replace(labels=own), labels).astype(dtype)
    grid = tuple([label.size for label in labels])
    value = jnp.broadcast_to(value, grid)
    for place, label in enumerate(labels):
        other = first[names[label]]
        if other is not label:
            rows, columns = (
                lax.broadcasted_iota(jnp.int32, grid, at)
                for at in (place, labels.index(other))
            )
            value = lax.select(lax.eq(rows, columns), value, lax.full_like(value, 0))
    return wide._replace(factor=added(wide.factor, Factor(labels, value), dtype))
