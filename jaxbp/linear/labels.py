"""What a linear map does to axes: labels, and selections.

A *labelled* map is an einsum with one array held: its output, its input and its
coefficient have a label per axis. Axes with one label are one: a label of input and
output is an identity along that axis; one of the input alone is summed over, one of the
output alone is repeated along; what the coefficient lacks, it is the same along, and
what it has alone is summed over.

    y = tanh(x), x (n, m)      out (0, 1)  in (0, 1)  coefficient (0, 1)
    y = 2 x                    out (0, 1)  in (0, 1)  coefficient ()
    y = x @ w, w held          out (0, 2)  in (0, 1)  coefficient (1, 2)
    y = x.sum(0)               out (1,)    in (0, 1)  coefficient ()
    y = x[None] * w, (k, n)    out (0, 1)  in (2, 1)  coefficient (0, 1); 2 is of size 1

Labels are static: from them follow the pattern of the Jacobian, the order in which it
is had for the least, and counts, all without arrays.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import ir


class Labels(NamedTuple):
    """Labels per axis, as small integers.

    Fields:
      out, of, coefficient: of the output, of the input, of what is multiplied.
      mask: the coefficient is boolean: it selects, and does not multiply. Behind a mask
        0 times infinity is 0.
    """

    out: tuple[int, ...]
    of: tuple[int, ...]
    coefficient: tuple[int, ...] = ()
    mask: bool = False

    @property
    def repeated(self) -> tuple[int, ...]:
        """Labels of the output that neither input nor coefficient has."""
        return tuple(i for i in self.out if i not in (*self.of, *self.coefficient))

    @property
    def summed(self) -> tuple[int, ...]:
        """Labels of the input that the output lacks."""
        return tuple(i for i in self.of if i not in self.out)

    def after(self, other: "Labels") -> "Labels | None":
        """The labels of this map after `other`, one of which has no coefficient axes.

        None where they do not compose: an axis of `other`'s output that this one sums
        is not in its input, so that the sum has as many terms as the axis is long.
        """
        offset = 1 + max((*self.out, *self.of, *self.coefficient, -1))
        renamed = {old: new for old, new in zip(other.out, self.of, strict=True)}

        def new(label):
            return renamed[label] if label in renamed else label + offset

        lost = [i for i in self.summed if i not in self.coefficient]
        repeats = {renamed[i] for i in other.out if i not in other.of}
        if repeats.intersection(lost):
            return None
        coefficient = (*self.coefficient, *map(new, other.coefficient))
        return Labels(
            self.out, tuple(map(new, other.of)), coefficient, self.mask or other.mask
        )


@dataclass(frozen=True, eq=False, slots=True)
class Form:
    """What kind of linear operation a primitive is; one object per rule.

    Fields:
      kind: "moves": elements go elsewhere, unchanged. "repeats", "sums": along axes.
        "contracts": products are summed. "operator": anything else.
      labels: labels(map, x, y, residuals) -> Labels or None, where it has any.
      scatters: of what moves: several elements may be added at one place.
      real_only: linear over the real numbers alone.
      onto: onto(map, residuals, y_bar, x_bar) -> x_bar with the pull of y_bar added in
        its place, where only a part of x is read.
      window: window(map, residuals) -> where the part of x that is read begins along
        each axis, where it is one window, or None.
    """

    kind: str = "operator"
    labels: Callable | None = None
    scatters: bool = False
    real_only: bool = False
    onto: Callable | None = None
    window: Callable | None = None


OPERATOR = Form()


class Selection(NamedTuple):
    """From where elements come, in maps that move them unchanged.

    Fields:
      table: int, shaped as the output: the flat index in the input from which an
        element comes, -1 where it is 0. With `scatters`, shaped as the input: the flat
        index in the output to which an element goes, -1 where it is dropped.
      scatters: several elements may go to one place, where they are added.
    """

    table: Any
    scatters: bool = False


def identity(x, y) -> Labels:
    """Labels of a map along equal shapes, with a number as coefficient."""
    axes = tuple(range(len(y.shape)))
    return Labels(axes, axes)


IDENTITY = Form("moves", lambda it, x, y, residuals: identity(x, y))


def summing(x, axes) -> Labels:
    """Labels of a sum over some axes of `x`."""
    of = tuple(range(len(x.shape)))
    return Labels(tuple([axis for axis in of if axis not in axes]), of)


def along(x_shape: tuple, y_shape: tuple) -> tuple[int, ...]:
    """Labels of `x_shape`, broadcast to `y_shape` with labels 0, 1, ...: axes of length
    1 that get longer have labels of their own; a scalar has none."""
    if not x_shape:
        return ()
    fresh = len(y_shape)
    pairs = enumerate(zip(x_shape, y_shape, strict=True))
    return tuple(i if n == m else fresh + i for i, (n, m) in pairs)


def kept_axes(x_shape: tuple, y_shape: tuple) -> list[tuple] | None:
    """Pairs (axis of x, axis of y) where a reshape only adds or drops axes of length 1;
    None where it merges or splits others."""
    long = [i for i, n in enumerate(x_shape) if n != 1]
    other = [i for i, n in enumerate(y_shape) if n != 1]
    if [x_shape[i] for i in long] != [y_shape[i] for i in other]:
        return None
    return list(zip(long, other, strict=True))


def reshaped(x, y) -> Labels | None:
    """Labels of a reshape that adds or drops axes of length 1."""
    pairs = kept_axes(x.shape, y.shape)
    if pairs is None:
        return None
    out = tuple(range(len(y.shape)))
    of = [len(out) + i for i in range(len(x.shape))]
    for axis, label in pairs:
        of[axis] = label
    return Labels(out, tuple(of))


def numbered(apply, aval):
    """`apply` on the numbers 1, 2, ... in the shape of `aval`, then from 0 on: -1 says
    from nowhere, since `apply` moves elements and fills with zeros. None where there
    are more than a float counts exactly."""
    count = math.prod(aval.shape)
    numbers = jnp.arange(1, count + 1, dtype=jnp.result_type(float))
    if count >= 1 << (jnp.finfo(numbers.dtype).nmant + 1):
        return None
    return jnp.asarray(apply(numbers.reshape(aval.shape)), np.int32) - 1


def dense(labels: Labels, coefficient, x, y):
    """The Jacobian (*y, *x) of a labelled map as an array: for small maps.

    Every axis of it meets its label in an identity matrix; labels left are summed.
    """
    value = jnp.asarray(coefficient)
    operands = [value.astype(ir.tangent_aval(y).dtype)]
    terms, axes = [list(labels.coefficient)], []
    fresh = 1 + max((*labels.out, *labels.of, *labels.coefficient, -1))
    sizes = (*y.shape, *x.shape)
    for size, label in zip(sizes, (*labels.out, *labels.of), strict=True):
        axes.append(fresh + len(axes))
        operands.append(jnp.eye(size, dtype=operands[0].dtype))
        terms.append([label, axes[-1]])
    given = [item for pair in zip(operands, terms, strict=True) for item in pair]
    return jnp.einsum(*given, axes)
