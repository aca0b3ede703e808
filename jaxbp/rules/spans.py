"""Where the windows of a pooling operation lie, and how to read and write there."""

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from jax import lax

from .. import ir


def spans(sizes, dilation):
    """Elements from the first to the last of dilated axes."""
    pairs = zip(sizes, dilation, strict=True)
    return [(size - 1) * d + 1 if size else 0 for size, d in pairs]


def _padded(x, filler, config):
    return lax.pad(x, filler, config) if any(map(any, config)) else x


def _part(x, begin, end):
    return lax.slice(x, begin, end) if any(begin) or tuple(end) != x.shape else x


class Windows:
    """Where windows lie in an array that was dilated and padded.

    Args:
      shape: of the array itself.
      counts: how many windows there are along each axis.
    """

    def __init__(
        self, shape, counts, *, window_dimensions, window_strides, padding,
        base_dilation, window_dilation,
    ):  # fmt: skip
        self.counts, self.strides = counts, window_strides
        self.widths, self.steps = window_dimensions, window_dilation
        self.padding, self.gaps = padding, base_dilation
        inner = zip(spans(shape, base_dilation), padding, strict=True)
        self.sizes = [size + low + high for size, (low, high) in inner]
        self.size = math.prod(window_dimensions)
        pairs = zip(window_dimensions, window_strides, strict=True)
        self.overlap = any(width > stride for width, stride in pairs)

    def pad(self, x, filler):
        """`x` with its padding and gaps filled."""
        pairs = zip(self.padding, self.gaps, strict=True)
        return _padded(x, filler, [(low, high, d - 1) for (low, high), d in pairs])

    def crop(self, wide):
        """The places of `x` in its padded form."""
        back = [(-low, -high, 0) for low, high in self.padding]
        core = _padded(wide, np.zeros((), wide.dtype), back)
        if all(d == 1 for d in self.gaps):
            return core
        return lax.slice(core, [0] * core.ndim, core.shape, self.gaps)

    def places(self):
        """The places of a window, first to last, in the padded array."""
        widths = zip(self.widths, self.steps, strict=True)
        return itertools.product(*[range(0, w * step, step) for w, step in widths])

    def read(self, wide, place):
        """What stands at `place` of every window."""
        return lax.slice(wide, place, self._ends(place), self.strides)

    def back(self, chosen: Callable, *arrays: tuple):
        """The sum, in padded form, of what each window brings to its places.

        A window's places are those of a stride, counted `phase` (p mod s), some windows
        further (p div s): of each phase the sums are slices of arrays that are padded
        once, and the phases are laid beside one another.

        Args:
          chosen: chosen(number of the place, *arrays) -> what is brought there.
          *arrays: (array with one element a window, what stands for no window).
        """
        reach = spans(self.widths, self.steps)
        most = [(n - 1) // s for n, s in zip(reach, self.strides, strict=True)]
        counts = [-(-n // s) for n, s in zip(self.sizes, self.strides, strict=True)]
        spare = zip(most, counts, self.counts, strict=True)
        config = [(far, count - n, 0) for far, count, n in spare]
        wide = ir.barrier([_padded(array, none, config) for array, none in arrays])
        phases: dict[tuple, list] = defaultdict(list)
        for number, place in enumerate(self.places()):
            further = zip(most, place, self.strides, strict=True)
            begin = [far - p // s for far, p, s in further]
            end = [b + count for b, count in zip(begin, counts, strict=True)]
            phase = tuple([p % s for p, s in zip(place, self.strides, strict=True)])
            here = [_part(array, begin, end) for array in wide]
            phases[phase].append(chosen(number, *here))
        sums = {at: functools.reduce(lax.add, parts) for at, parts in phases.items()}
        return functools.reduce(lax.add, [self._laid(*item) for item in sums.items()])

    def _laid(self, phase, part):
        """Zeros in padded form, with `part` a stride apart from `phase` on."""
        each = zip(phase, part.shape, self.sizes, self.strides, strict=True)
        config = [
            (first, size - first - (n - 1) * s - 1, s - 1) for first, n, size, s in each
        ]
        return lax.pad(part, np.zeros((), part.dtype), config)

    def _ends(self, place):
        pairs = zip(place, spans(self.counts, self.strides), strict=True)
        return [first + span for first, span in pairs]
