"""The entries of a sparse Jacobian, from the arrays that hold some of them each."""

import jax.numpy as jnp
import numpy as np

from ..linear.base import add
from .expand import SPARSE, added_at, read_at

MOST_READ = 4  # entries at one place that are read; more are written one by one


def entries_of(values, places, count: int, dtype):
    """The sum of arrays at their places: what has all of them in order at once, what
    takes turns in one pass without indices, else read or added at indices.

    Args:
      values, places: per array (k,) its entries and where each is added, known now.
      count: how many places there are.

    Returns:
      (count,) of `dtype`.
    """
    total, every, rest = None, np.arange(count), []
    for value, where in zip(values, places, strict=True):
        if np.array_equal(where, every):
            total = add(total, value)
        else:
            rest.append((value, where))
    if not rest:
        return jnp.zeros(count, dtype) if total is None else total
    values, places = zip(*rest, strict=True)
    turns = _in_turn(places, count)
    if turns is not None:
        taken = jnp.stack([values[place] for place in turns], 1).reshape(-1)
        return add(total, taken)
    where = np.concatenate(places)
    sources = _sources(where, count)
    if len(sources) > MOST_READ or (total is not None and SPARSE * len(where) < count):
        total = jnp.zeros(count, dtype) if total is None else total
        return added_at(total, where, jnp.concatenate(values))
    none = () if (sources < len(where)).all() else (jnp.zeros(1, dtype),)
    found = jnp.concatenate([*values, *none])
    for source in sources:
        total = add(total, read_at(found, source))
    return total


def _in_turn(places, count: int) -> list[int] | None:
    """Which array the first place is of, which the second, and so on, if all take turns
    at the places: rows with as many entries each, as of differences. Else None."""
    if not count or any(len(where) * len(places) != count for where in places):
        return None
    order = sorted(range(len(places)), key=lambda one: places[one][0])
    every = np.arange(count)
    regular = all(
        np.array_equal(places[one], every[turn :: len(places)])
        for turn, one in enumerate(order)
    )
    return order if regular else None


def _sources(where: np.ndarray, count: int) -> np.ndarray:
    """Per place what is added there, as (most at one place, count): entries read at
    known places are one pass, those written one by one are not. One past the end where
    there are fewer."""
    order = np.argsort(where, kind="stable")
    at = where[order]
    rank = np.arange(len(at)) - np.searchsorted(at, at)
    most = int(rank.max(initial=-1)) + 1
    found = np.full((most, count), len(at), np.int32)
    found[rank, at] = order
    return found
