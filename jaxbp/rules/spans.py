"""Where the windows of a pooling operation lie, and how to read and write there."""

import itertools
import math

import numpy as np
from jax import lax


def spans(sizes, dilation):
    """Elements from the first to the last of dilated axes."""
    pairs = zip(sizes, dilation, strict=True)
    return [(size - 1) * d + 1 if size else 0 for size, d in pairs]


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
        return lax.pad(x, filler, [(low, high, d - 1) for (low, high), d in pairs])

    def crop(self, wide):
        """The places of `x` in its padded form."""
        back = [(-low, -high, 0) for low, high in self.padding]
        core = lax.pad(wide, np.zeros((), wide.dtype), back)
        return lax.slice(core, [0] * core.ndim, core.shape, self.gaps)

    def places(self):
        """The places of a window, first to last, in the padded array."""
        widths = zip(self.widths, self.steps, strict=True)
        return itertools.product(*[range(0, w * step, step) for w, step in widths])

    def read(self, wide, place):
        """What stands at `place` of every window."""
        return lax.slice(wide, place, self._ends(place), self.strides)

    def write(self, y, place):
        """Zeros in padded form, with `y` at `place` of every window."""
        ends = zip(place, self.sizes, self._ends(place), self.strides, strict=True)
        config = [(first, size - end, stride - 1) for first, size, end, stride in ends]
        return lax.pad(y, np.zeros((), y.dtype), config)

    def _ends(self, place):
        pairs = zip(place, spans(self.counts, self.strides), strict=True)
        return [first + span for first, span in pairs]
