"""A labelled map as an einsum with its coefficient held."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jax import lax

from .. import ir
from .base import SimpleMap
from .labels import Labels


@dataclass(slots=True, unsafe_hash=True)
class Einsum(SimpleMap):
    """The map with these labels; its one residual is the coefficient.

    Fields:
      found: the labels.
      x, y: the types of input and output.
      precision: of the product, for its direction from x to y.
      wide: the type in which the products are summed, or None.
    """

    found: Labels
    x: Any
    y: Any
    precision: Any
    wide: Any
    waits = True

    def labels(self, x, y, residuals):
        return self.found

    def coefficient(self, residuals):
        return residuals[0]

    def push_one(self, residuals, x_dot):
        return self._product(residuals[0], self.found, x_dot, self.y)

    def pull_one(self, residuals, y_bar):
        back = self.found._replace(out=self.found.of, of=self.found.out)
        return self._product(residuals[0], back, y_bar, self.x)

    def pull_steps(self, residuals, y_bar):
        step = 1 + max((*self.found.out, *self.found.of, *self.found.coefficient))
        labels = Labels(
            self.found.of, (step, *self.found.out), (step, *self.found.coefficient)
        )
        return self._product(residuals[0], labels, y_bar, self.x)

    def _product(self, coefficient, labels, given, like):
        """The einsum of coefficient and `given`: sums come first, repeats last."""
        given, own = _summed(given, labels.of, (*labels.coefficient, *labels.out))
        held, axes = _summed(coefficient, labels.coefficient, (*own, *labels.out))
        out = lax.dot_general(
            held,
            given,
            *product_numbers(axes, own, labels.out),
            precision=self.precision,
            preferred_element_type=self.wide,
        )
        found = product_axes(axes, own, labels.out)
        wanted = [label for label in labels.out if label in found]
        out = lax.transpose(out, [found.index(label) for label in wanted])
        out = lax.convert_element_type(out, ir.tangent_aval(like).dtype)
        if wanted == list(labels.out):
            return out
        places = [labels.out.index(label) for label in wanted]
        return lax.broadcast_in_dim(out, like.shape, places)


def _summed(value, labels: Sequence[int], wanted: Sequence[int]):
    """`value` summed over the axes whose labels are not wanted, and the labels left."""
    axes = tuple(i for i, label in enumerate(labels) if label not in wanted)
    kept = [label for label in labels if label in wanted]
    return (lax.reduce_sum(value, axes) if axes else value), kept


def product_numbers(left: Sequence, right: Sequence, out: Sequence) -> tuple:
    """The dimension numbers of a product whose operands have these labels."""
    both = [label for label in left if label in right]
    batch = [label for label in both if label in out]
    contracted = [label for label in both if label not in out]
    return (
        (
            ([left.index(i) for i in contracted], [right.index(i) for i in contracted]),
            ([left.index(i) for i in batch], [right.index(i) for i in batch]),
        ),
    )


def product_axes(left, right, out) -> list:
    """The labels of the product, in its order."""
    both = [label for label in left if label in right]
    batch = [label for label in both if label in out]
    rest = [label for label in (*left, *right) if label not in both]
    return [*batch, *rest]
