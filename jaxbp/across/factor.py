"""What is multiplied on the way: an array with a label per axis, and its products."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..linear.einsum import product_axes, product_numbers
from .made import kept, turned
from .places import Axis, Label, _along, taken

FEW = 8  # parts of a sum that are added one by one,
LARGE = 512  # if each has so many elements
MATRIX = 1 << 14  # elements of a matrix that is better multiplied by a library


class Factor(NamedTuple):
    """A coefficient.

    Fields:
      labels: one per axis of the array; () of a number.
      array: None where only the plan is made.
      mask: the array is boolean: it selects; behind it 0 times infinity is 0.
      negative: the coefficient is minus the array, so that a product or a sum of it is
        the other's, and turned where it is read. Of numbers and masks never.
    """

    labels: tuple[Label, ...] = ()
    array: Any = 1
    mask: bool = False
    negative: bool = False

    @property
    def size(self) -> int:
        return math.prod([label.size for label in self.labels])

    def put(self, label: Label, at: Axis) -> "Factor":
        """With `at` in the place of a label."""
        if label not in self.labels:
            return self
        labels, array = taken(self.array, self.labels, label, at)
        return Factor(labels, array, self.mask, self.negative)


ONE = Factor()


def is_number(factor: Factor) -> bool:
    """Whether it is a number that is known now."""
    return factor.array is not None and not _is_array(factor)


def spread(factor: Factor, labels: Sequence[Label]):
    """The array against the grid of `labels`, which are all its own and others."""
    return _along(jnp.asarray(_signed(factor)), factor.labels, labels)


def _signed(factor: Factor) -> Any:
    return lax.neg(factor.array) if factor.negative else factor.array


def ordered(factor: Factor, labels: Sequence[Label]):
    """The array, its axes in the order that they have among `labels`."""
    own, array = factor.labels, _signed(factor)
    order = sorted(range(len(own)), key=lambda place: labels.index(own[place]))
    return array if order == list(range(len(own))) else turned(array, order)


def number(factor: Factor, dtype) -> Any:
    """A mask as a number, in arrays."""
    return factor.array.astype(dtype) if factor.mask else _signed(factor)


def union(*factors: Factor) -> tuple[Label, ...]:
    return tuple(dict.fromkeys([label for f in factors for label in f.labels]))


def is_product(a: Factor, b: Factor, kept: Sequence[Label]) -> bool:
    """Whether a product of the two sums over a label of both, and keeps one of each
    alone: then it is a matrix product."""
    mine, its = set(a.labels), set(b.labels)
    lost = (mine & its) - set(kept)
    return bool(lost and mine - its and its - mine)


def multiplied(a: Factor, b: Factor, kept: Sequence[Label], dtype, precision) -> Factor:
    """The product, summed over all labels that are not kept.

    A mask selects from the other, so that what it leaves out stays out, be it infinite;
    only in a matrix product it counts as 0 and 1.
    """
    alone = set(kept)
    a, b = summed(a, {*kept, *b.labels}, dtype), summed(b, {*kept, *a.labels}, dtype)
    labels = tuple([label for label in union(a, b) if label in alone])
    if a.array is None or b.array is None:
        return Factor(
            labels, None, a.mask and b.mask and len(labels) == len(union(a, b))
        )
    turned = a.negative != b.negative
    a, b = a._replace(negative=False), b._replace(negative=False)
    found = _product(a, b, kept, labels, dtype, precision)
    return found._replace(negative=found.negative != turned)


def _product(a, b, kept, labels, dtype, precision) -> Factor:
    """The product of two arrays; arguments as of `multiplied`, `labels` its own."""
    alone = set(kept)
    if is_product(a, b, kept) or _is_vector_product(a, b, labels):
        return _matrix_product(a, b, labels, dtype, precision)
    lost = [label for label in union(a, b) if label not in alone]
    if _are_few(lost, union(a, b)):
        return _summed_one_by_one(a, b, lost, dtype)
    return summed(_elementwise(a, b, dtype), alone, dtype)


def _is_vector_product(a: Factor, b: Factor, kept: Sequence[Label]) -> bool:
    """Whether one is a large matrix, the other a vector that is summed over, all of it:
    a library's product of them is faster than a pass and its sum."""
    small, large = sorted((a, b), key=lambda f: f.size)
    if small.mask or large.mask or not small.labels or large.size < MATRIX:
        return False
    lost = set(large.labels) - set(kept)
    return set(small.labels) == lost and len(lost) < len(large.labels)


def _are_few(lost: Sequence[Label], every: Sequence[Label]) -> bool:
    """Whether a sum has so few parts, each of them large, that they are added."""
    count, size = (math.prod([i.size for i in labels]) for labels in (lost, every))
    return 1 < count <= FEW and size >= LARGE * count


def _summed_one_by_one(a: Factor, b: Factor, lost: Sequence[Label], dtype) -> Factor:
    """The product, summed over a few values of labels: one pass with what computes it.
    A reduction over a short axis took up to ten times as long (XLA for CPUs)."""
    total = None
    for places in np.ndindex(*[label.size for label in lost]):
        at = dict(zip(lost, places, strict=True))
        part = _elementwise(_slice(a, at), _slice(b, at), dtype)
        total = part if total is None else added(total, part, dtype)
    assert total is not None
    return total


def _slice(factor: Factor, at: dict[Label, int]) -> Factor:
    """With the value of some labels given."""
    axes = [axis for axis, label in enumerate(factor.labels) if label in at]
    if not axes:
        return factor
    starts = [at.get(label, 0) for label in factor.labels]
    ends = [at.get(label, label.size - 1) + 1 for label in factor.labels]
    array = lax.squeeze(lax.slice(jnp.asarray(factor.array), starts, ends), axes)
    rest = tuple([label for label in factor.labels if label not in at])
    return Factor(rest, array, factor.mask, factor.negative)


def _elementwise(a: Factor, b: Factor, dtype) -> Factor:
    if _is_one(a):
        return b
    if _is_one(b):
        return a
    labels = union(*((a, b) if a.size >= b.size else (b, a)))  # as the larger lies
    if a.mask and b.mask:
        return Factor(labels, spread(a, labels) & spread(b, labels), True)
    if a.mask or b.mask:
        chosen, value = (a, b) if a.mask else (b, a)
        where = spread(chosen, labels)
        given = spread(value, labels)
        return Factor(labels, jnp.where(where, given, jnp.zeros((), given.dtype)))
    if not a.labels and not b.labels and not _is_array(a) and not _is_array(b):
        return Factor((), a.array * b.array)
    if not _is_array(a) or not _is_array(b):
        times, value = (b.array, a) if _is_array(a) else (a.array, b)
        if times == -1:
            return value._replace(negative=not value.negative)
        whole = jnp.asarray(value.array, dtype)
        whole = lax.mul(whole, lax.full_like(whole, times))
        return Factor(value.labels, whole, negative=value.negative)
    whole = math.prod([label.size for label in labels])
    mine, its = (
        _on_grid(f._replace(array=alone), labels, dtype)
        for f in (a, b)
        for alone in [kept(f.array, whole // max(f.size, 1), f.size)]
    )
    return Factor(labels, lax.mul(mine, its))


def _on_grid(factor: Factor, labels: Sequence[Label], dtype):
    """The array against the grid of `labels`, the same along what it lacks."""
    array = jnp.asarray(ordered(factor, labels), dtype)
    places = [place for place, label in enumerate(labels) if label in factor.labels]
    shape = tuple([label.size for label in labels])
    return (
        array
        if len(places) == len(labels)
        else lax.broadcast_in_dim(array, shape, places)
    )


def _is_one(factor: Factor) -> bool:
    return not factor.mask and not _is_array(factor) and factor.array == 1


def _is_array(factor: Factor) -> bool:
    return hasattr(factor.array, "ndim")


def _matrix_product(a, b, labels, dtype, precision) -> Factor:
    """By a library, the axes in the order that it gives."""
    a, b = _sides(a, b, labels)
    mine, its = (jnp.asarray(number(f, dtype), dtype) for f in (a, b))
    numbers = product_numbers(a.labels, b.labels, labels)
    out = lax.dot_general(mine, its, *numbers, precision=precision)
    return Factor(tuple(product_axes(a.labels, b.labels, labels)), out)


def _sides(a: Factor, b: Factor, kept: Sequence[Label]) -> tuple[Factor, Factor]:
    """Left and right of a matrix product: the larger is read as it lies, its summed
    axes last on the left, or first on the right. Turned, a matrix of 512 x 512 took ten
    times as long beside two vectors (XLA for CPUs)."""
    small, large = (a, b) if a.size < b.size else (b, a)
    alone = [label not in small.labels for label in large.labels]
    lost = [label in small.labels and label not in kept for label in large.labels]
    if True not in alone or True not in lost:
        return a, b
    return (small, large) if lost.index(True) < alone.index(True) else (large, small)


def summed(factor: Factor, kept, dtype) -> Factor:
    """Summed over the labels that are not kept."""
    lost = tuple([i for i, label in enumerate(factor.labels) if label not in kept])
    if not lost:
        return factor
    labels = tuple([label for label in factor.labels if label in kept])
    if factor.array is None:
        return Factor(labels, None)
    named = [factor.labels[axis] for axis in lost]
    if _are_few(named, factor.labels):
        return _summed_one_by_one(factor, ONE, named, dtype)
    array = number(factor._replace(negative=False), dtype)
    total = lax.reduce_sum(jnp.asarray(array), lost)
    return Factor(labels, total, negative=factor.negative)


def scaled(factor: Factor, times: int, dtype) -> Factor:
    """`times` the factor."""
    if times == 1:
        return factor
    return (
        _elementwise(factor, Factor((), times), dtype)
        if factor.array is not None
        else factor
    )


def added(a: Factor, b: Factor, dtype) -> Factor:
    """The sum; what one lacks, it is the same along."""
    labels = union(a, b)
    if a.array is None or b.array is None:
        return Factor(labels, None)
    if not labels and not _is_array(a) and not _is_array(b):
        return Factor((), a.array + b.array)
    plain = [f._replace(negative=False) for f in (a, b)]
    mine, its = (
        _on_grid(f._replace(array=number(f, dtype)), labels, dtype) for f in plain
    )
    if a.negative == b.negative:
        return Factor(labels, lax.add(mine, its), negative=a.negative)
    return Factor(labels, lax.sub(its, mine) if a.negative else lax.sub(mine, its))
