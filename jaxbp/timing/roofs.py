"""How fast can this device possibly go, and how long does each kind of work take it?

The roofs are measured, not looked up: the best matrix product and the best pass over
memory that this process saw. A row that claims more than the roof is wrong, and is
refused. Curves of small and large work, taken inside a loop so that the cost of a call
stays apart, are what a predicted time is read from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbp.timing.clock import MIN_SAMPLE_S, time_calls
from jaxbp.timing.device import Device, find_device

ROOF_SLACK = 1.05  # a roof is itself a measurement; a claim may exceed it by this
LARGEST_SIDE = 16_384
PASS_BYTES = 256 * 2**20  # far above what a core's own caches hold
SIDES = (8, 32, 128, 512)  # of products on the curve
SIZES = tuple(2**k for k in (3, 10, 14, 18, 22, 26))  # bytes of arrays on the curve
ELEMENTS = 2**14  # of the transcendental pass: in cache, enough to spread over cores
CHAIN = 16  # multiply-adds an element of the elementwise pass
LOOP_S = 1e-3  # a loop of the curves lasts about this


@dataclass(frozen=True)
class Curve:
    """Measured seconds over an amount of work, read between the points on log-log axes.

    Below the first point the time is the first's: overhead. Above the last it grows in
    proportion.
    """

    work: tuple[float, ...]
    seconds: tuple[float, ...]

    def __call__(self, work: float) -> float:
        last = self.work[-1]
        if work >= last:
            return self.seconds[-1] * work / last
        x, y = np.log(self.work), np.log(self.seconds)
        return float(np.exp(np.interp(np.log(max(work, 1.0)), x, y)))


@dataclass(frozen=True)
class Roofs:
    """What a device needs for each kind of work, in one dtype and precision.

    Attributes:
      flops_per_s: best rate of a matrix product.
      bytes_per_s: best rate of a pass over main memory.
      product_s: seconds of one matrix product over its flops.
      pass_s: seconds of one elementwise pass over the bytes it reads and writes.
      elementwise_flops_per_s: rate of multiply-adds on arrays in cache.
      transcendentals_per_s: rate of tanh there.
      call_s: seconds of calling a compiled program that does next to nothing: one
        product of 8 by 8. (A program without products or loops may be called faster,
        where it runs on the thread that calls.)
    """

    flops_per_s: float
    bytes_per_s: float
    product_s: Curve
    pass_s: Curve
    elementwise_flops_per_s: float
    transcendentals_per_s: float
    call_s: float

    def columns(self) -> dict[str, float]:
        """The scalar roofs, named for a provenance record."""
        scalars = {k: v for k, v in vars(self).items() if isinstance(v, float)}
        return {name: float(f"{value:.4g}") for name, value in scalars.items()}


def device_roofs(dtype: str = "float32", device: Device | None = None) -> Roofs:
    """The device's roofs at the current `jax.default_matmul_precision`.

    Measured once per process, dtype and precision, in about 4 s.
    """
    return measured_roofs(*product_setting(dtype, device))


@cache
def measured_roofs(dtype: str, device: Device, precision: str | None) -> Roofs:
    """`device_roofs`, measured at `precision`, which is the current one."""
    width = jnp.dtype(dtype).itemsize
    with jax.enable_x64(dtype == "float64"), jax.default_device(device):
        squares = [jnp.full((n, n), 1 / n, dtype) for n in SIDES]
        small = jnp.zeros(ELEMENTS, dtype)
        arrays = [jnp.zeros(size // width, dtype) for size in SIZES]
        return Roofs(
            flops_per_s=measured_matmul_peak(dtype, device, precision),
            bytes_per_s=measured_memory_bandwidth(device),
            product_s=curve([2 * n**3 for n in SIDES], jnp.matmul, squares),
            pass_s=curve([2 * size for size in SIZES], lambda c, a: c * a + a, arrays),
            elementwise_flops_per_s=2
            * CHAIN
            * ELEMENTS
            / looped_s(multiply_adds, small),
            transcendentals_per_s=ELEMENTS / looped_s(lambda c, a: jnp.tanh(c), small),
            call_s=least_s(jax.jit(jnp.matmul), squares[0], squares[0]),
        )


def curve(work: Sequence[float], step: Callable, arrays: Sequence) -> Curve:
    """Seconds of `step(carry, array)` for each array; never less for more work."""
    seconds = np.maximum.accumulate([looped_s(step, array) for array in arrays])
    return Curve(tuple(map(float, work)), tuple(map(float, seconds)))


def multiply_adds(carry: jax.Array, array: jax.Array) -> jax.Array:
    """`CHAIN` multiply-adds an element, each needing the last."""
    for _ in range(CHAIN):
        carry = carry * array + array
    return carry


def looped_s(step: Callable, array: jax.Array) -> float:
    """Seconds of one `step(carry, array)` inside a compiled loop of many."""

    def program(carry, array, trips):
        return lax.fori_loop(0, trips, lambda _, carry: step(carry, array), carry)

    compiled = jax.jit(program).lower(array, array, 1).compile()
    once_s = least_s(compiled, array, array, 1)
    trips = int(np.clip(LOOP_S / once_s, 4, 10_000))
    return least_s(compiled, array, array, trips) / trips


def least_s(f: Callable, *args) -> float:
    """Least seconds of a call."""
    return time_calls({"f": (f, args)}, rounds=3, budget_s=0.1)["f"].minimum_s


def matmul_peak(dtype: str = "float32", device: Device | None = None) -> float:
    """Best measured rate of a square matrix product, flops/s, at the current
    `jax.default_matmul_precision`. Measured once per process, in about 1 s.

    Sides double until one product takes 25 times the shortest sample, which on a
    CPU is a side of 1,024 or 2,048.
    """
    return measured_matmul_peak(*product_setting(dtype, device))


def product_setting(dtype: str, device: Device | None):
    """What the rate of a product depends on: dtype, device, current precision."""
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore
    return jnp.dtype(dtype).name, device or find_device(), precision


PEAKS: dict[tuple, float] = {}  # the best seen so far


def measured_matmul_peak(*setting, again: bool = False) -> float:
    """`matmul_peak` of a `product_setting`, which is the current one."""
    if again or setting not in PEAKS:
        dtype, device, _ = setting
        PEAKS[setting] = max(PEAKS.get(setting, 0.0), best_product_rate(dtype, device))
    return PEAKS[setting]


def best_product_rate(dtype: str, device: Device) -> float:
    """The best rate of square products of all sides, flops/s."""
    best, side = 0.0, 256
    while side <= LARGEST_SIDE:
        time_s = product_s(side, dtype, device)
        best = max(best, 2 * side**3 / time_s)
        if time_s > 25 * MIN_SAMPLE_S:
            break
        side *= 2
    return best


def product_s(side: int, dtype: str, device: Device) -> float:
    """Least seconds of a (side, side) @ (side, side) product."""
    with jax.enable_x64(dtype == "float64"):
        a = jax.device_put(jnp.full((side, side), 1 / side, dtype), device)
        timing = time_calls({"product": (jax.jit(jnp.matmul), (a, a))}, budget_s=0.5)
    return timing["product"].minimum_s


def memory_bandwidth(device: Device | None = None) -> float:
    """Best measured rate of reading and writing 256 MiB once, bytes/s.
    Measured once per process, in about 1 s."""
    return measured_memory_bandwidth(device or find_device())


@cache
def measured_memory_bandwidth(device: Device) -> float:
    """`memory_bandwidth`, measured."""
    x = jax.device_put(jnp.zeros(PASS_BYTES // 4, jnp.float32), device)
    timing = time_calls({"pass": (jax.jit(lambda x: x + 1), (x,))}, budget_s=0.5)
    return 2 * PASS_BYTES / timing["pass"].minimum_s


def roof_fraction(
    flops: float,
    time_s: float,
    dtype: str = "float32",
    device: Device | None = None,
) -> float:
    """The flop rate a row implies over the measured roof; honest rows are <= 1."""
    return flops / time_s / matmul_peak(dtype, device)


def refusal(
    flops: float,
    time_s: float,
    dtype: str = "float32",
    device: Device | None = None,
) -> str:
    """Why a row's time cannot be true, as one sentence; empty if it can.

    A roof that a row exceeds is measured once more first: it may have been taken while
    the machine was busy.
    """
    if roof_fraction(flops, time_s, dtype, device) > ROOF_SLACK:
        measured_matmul_peak(*product_setting(dtype, device), again=True)
    fraction = roof_fraction(flops, time_s, dtype, device)
    if fraction <= ROOF_SLACK:
        return ""
    return (
        f"refused: {flops:.3g} flops in {time_s:.3g} s is {fraction:.2f} times the "
        f"measured matmul roof of this device ({matmul_peak(dtype, device):.3g} "
        "flops/s); the compiler folded or dropped work."
    )
