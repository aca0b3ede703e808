"""Random arguments of one dtype from one seed, made on the host."""

import numpy as np


class Draw:
    """Random arrays of one dtype from one seed, on the host."""

    def __init__(self, seed: int, dtype):
        self.rng, self.dtype = np.random.default_rng(seed), dtype

    def normal(self, *shape: int, scale: float | None = None) -> np.ndarray:
        """Normal entries; by default of variance 1 over the second-last axis."""
        deviation = scale or (shape[-2] if len(shape) > 1 else 1) ** -0.5
        return (self.rng.standard_normal(shape) * deviation).astype(self.dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Entries uniform in [low, high)."""
        return self.rng.uniform(low, high, shape).astype(self.dtype)

    def integers(self, high: int, *shape: int) -> np.ndarray:
        """Indices below `high`, int32."""
        return self.rng.integers(high, size=shape, dtype=np.int32)

    def zeros(self, *shape: int) -> np.ndarray:
        """Zeros."""
        return np.zeros(shape, self.dtype)
