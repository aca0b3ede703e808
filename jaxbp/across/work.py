"""What the algebra of terms takes on a device, and in what it computes.

Predicted seconds are those of kernels: a matrix product takes its flops or its bytes,
whichever is longer; what goes element by element is fused with its neighbours, and
takes its elements.
"""

import math
import os
from typing import Any, NamedTuple

import jax
import numpy as np

from .bands import banded, distances
from .expand import beside, one_by_one
from .memory import Memory
from .singles import comparisons, is_static, split

CACHE = 1 << 22  # bytes that a product finds in cache,
IN_CACHE = 8  # times as fast as in main memory
FOUND = 2  # kernels' worth of computing the places of entries
MANY = 16  # elements of a pass that is counted; fewer are fused with their neighbours


def _is_found_later(term) -> bool:
    """Whether it stands at places that are not known yet."""
    axes = (*term.out, *term.of)
    return any(a.index is not None and a.index.array is None for a in axes)


class Rates(NamedTuple):
    """What a device does in a second, where nothing was measured.

    Fields:
      flops_per_s: of a matrix product of float32.
      bytes_per_s: of main memory.
      elements_per_s: of a fused pass over float32 in cache.
      kernel_s: until a product has begun.
      entry_s: to add one entry at a place of its own.
      pass_s: of a pass, beside its elements: many are fused with their neighbours.
      sum_s: of a sum along axes: what is computed of it is a pass of its own.
      call_s: of a call of a compiled program, whatever it computes.
    """

    flops_per_s: float
    bytes_per_s: float
    elements_per_s: float
    kernel_s: float
    entry_s: float
    pass_s: float
    sum_s: float
    call_s: float


def rates(platform: str, copies: int = 1) -> Rates:
    """Of a usual device of this kind; they compare ways, and time nothing.

    Those of a CPU are fitted to the measured times of all ways to 100 Jacobians and
    Hessians (2 cores, logarithms, loops apart). Of many examples at once a pass is a
    parallel loop, and is begun in several threads.
    """
    if platform == "cpu":
        cores = min(os.cpu_count() or 1, 16)
        flops, fused = 5e10 * cores, 3e9 * cores
        if copies == 1:
            return Rates(flops, 1e10, fused, 1e-6, 2.5e-9, 5e-8, 2.5e-7, 4e-6)
        return Rates(flops, 1e10, fused, 1e-6, 1.5e-8, 1e-7, 4e-6, 4e-6)
    return Rates(3e13, 1.5e12, 2e11, 5e-6, 1e-10, 5e-7, 2e-6, 1e-5)


class Exhausted(Exception):
    """An order is given up: it takes too long, or looking for it does."""


class Patience:
    """How many products plans may still count, all together."""

    def __init__(self, products: int):
        self.products = products

    def spend(self, products: int = 1) -> None:
        self.products -= products
        if self.products < 0:
            raise Exhausted


class Work:
    """The type to compute in, and what has been done so far.

    Attributes:
      plan: nothing is computed: what is done is counted.
      copies: how many examples are computed at once, each of them counted.
      flops: of products, and one an element.
      time_s: predicted.
      kernels: matrix products and sweeps through operators.
      largest: elements of the largest array made.
      heaviest: flops of the largest product.
      plain: whether zeros were written inside, in the place of many terms.
      joins: whether diagonals are added to the blocks that hold them.
      joined: whether any was.
      products: products of terms that were counted.
      memory: of what was counted before; none where arrays are computed.
    """

    def __init__(
        self, dtype, precision: Any, plan: bool, copies: int = 1,
        found: Rates | None = None, memory: Memory | None = None,
    ):  # fmt: skip
        self.dtype, self.precision, self.plan = np.dtype(dtype), precision, plan
        self.copies = copies
        if found is None:
            found = rates(jax.default_backend(), copies)
        self.rates = found
        self.scale = max(1.0, self.dtype.itemsize / 4)
        self.flops, self.time_s, self.kernels, self.largest = 0.0, 0.0, 0, 0
        self.heaviest = 0.0
        self.plain, self.joins, self.joined = False, False, False
        self.products = 0
        self.memory = (memory or Memory()) if plan else None
        self.patience: Patience | None = None
        self.limit_s = math.inf

    def counted(self) -> None:
        """After each product: raises Exhausted where it is time to give up."""
        self.products += 1
        if self.patience is not None:
            self.patience.spend()
        self.within()

    def counted_again(self, other: "Work") -> None:
        """The products of another count were counted before: they are spent again, so
        that what is found does not depend on what is remembered."""
        if self.patience is not None:
            self.patience.spend(other.products)

    def within(self) -> None:
        """Raises Exhausted where it has taken too long. Where diagonals join blocks, a
        matrix product is too long: a library multiplies them apart for less."""
        if self.time_s > self.limit_s or (self.joins and self.kernels):
            raise Exhausted

    def product(self, flops: float, elements: float) -> None:
        """A matrix product that reads and writes so many elements."""
        flops, elements = self.copies * flops, self.copies * elements
        self.flops += flops
        self.heaviest = max(self.heaviest, flops)
        self.kernels += 1
        size = 4 * self.scale * elements
        near = IN_CACHE if size <= CACHE else 1
        self.time_s += self.rates.kernel_s + max(
            self.scale * flops / self.rates.flops_per_s,
            size / (near * self.rates.bytes_per_s),
        )

    def elements(self, count: float) -> None:
        """A fused pass."""
        count = self.copies * count
        self.flops += count
        self.time_s += self.scale * count / self.rates.elements_per_s
        if count >= MANY:
            self.time_s += self.rates.pass_s

    def summed(self) -> None:
        """A pass adds up along axes."""
        self.time_s += self.rates.sum_s

    def written(self, shape, terms) -> None:
        """The terms as one plain array."""
        size = math.prod(shape)
        bands, terms = banded(terms, shape)
        if bands:
            self.elements(size * max(1.0, distances(bands) / 4))
        single, terms = split(terms, shape)
        if single:
            self.elements(size)
            self.flops += 2 * self.copies * comparisons(single, shape)
        if not terms:
            return
        blocks = beside(terms, shape)
        if blocks is not None:
            place, parts = blocks
            for count, own in parts:
                self.written((*shape[:place], count, *shape[place + 1 :]), own)
            return
        apart = {id(term) for term in one_by_one(terms, shape)}
        few = [t.entries for t in terms if id(t) in apart or not is_static(t)]
        if not few and [term.factor.size for term in terms] == [size]:
            return  # the product that made it wrote it, in the same pass
        plain, entries = len(terms) - len(few), sum(few)
        if few and any(map(_is_found_later, terms)):
            self.time_s += FOUND * self.rates.kernel_s
        self.elements(size * max(1.0, (1 + plain) / 2))
        self.time_s += self.copies * entries * self.rates.entry_s

    def made(self, count: int) -> None:
        """An array was made."""
        self.largest = max(self.largest, self.copies * count)

    def again(self) -> "Work":
        """A new count, of the same type and device."""
        own = self.dtype, self.precision, self.plan, self.copies, self.rates
        found = Work(*own, self.memory)
        found.patience, found.joins = self.patience, self.joins
        return found

    def include(self, other: "Work") -> None:
        """Adds another count."""
        self.products += other.products
        self.flops += other.flops
        self.time_s += other.time_s
        self.kernels += other.kernels
        self.heaviest = max(self.heaviest, other.heaviest)
        self.largest = max(self.largest, other.largest)
        self.plain = self.plain or other.plain
        self.joined = self.joined or other.joined
