"""How fast can this device possibly go, and how long does each kind of work take it?

The roofs are measured, not looked up: the best matrix product and the best pass over
memory that this process saw. A row that claims more than the roof is wrong, and is
refused. A predicted time is read from curves of small and large work, taken twice
over: of a step that is a program of its own, which wakes threads and writes to memory
it was just handed, and of one inside a loop, which finds both as it left them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbp.timing.clock import MIN_SAMPLE_S, seconds, time_calls
from jaxbp.timing.device import Device, find_device

LARGEST_SIDE = 16_384
PASS_BYTES = 256 * 2**20  # far above what a core's own caches hold
SIDES = (8, 32, 128, 512)  # of products on the curve
SIZES = tuple(2**k for k in (6, 10, 14, 16, 18, 20, 22, 26))  # bytes of arrays on it
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


class Steps(NamedTuple):
    """Seconds of the two kinds of steps over their work.

    Attributes:
      product_s: of one matrix product, over its flops.
      pass_s: of one elementwise pass, over the bytes it reads and writes.
    """

    product_s: Curve
    pass_s: Curve


@dataclass(frozen=True)
class Roofs:
    """What a device needs for each kind of work, in one dtype and precision.

    Attributes:
      flops_per_s: best rate of a matrix product.
      bytes_per_s: best rate of a pass over main memory.
      straight: steps outside of loops, the call's own time taken off.
      looped: steps inside a loop, which has arrays in cache and its threads awake; a
        loop over next to nothing is compiled as one piece and takes no time a step.
      elementwise_flops_per_s: rate of multiply-adds on arrays in cache.
      transcendentals_per_s: rate of tanh there.
      call_s: seconds of calling a compiled program that does next to nothing: one
        product of 8 by 8. (A program without products or loops may be called faster,
        where it runs on the thread that calls.)
    """

    flops_per_s: float
    bytes_per_s: float
    straight: Steps
    looped: Steps
    elementwise_flops_per_s: float
    transcendentals_per_s: float
    call_s: float

    def __repr__(self) -> str:
        return (
            f"Roofs({self.flops_per_s:.3g} flops/s, {self.bytes_per_s:.3g} bytes/s, "
            f"{self.transcendentals_per_s:.3g} transcendentals/s, a call "
            f"{seconds(self.call_s)})"
        )

    def columns(self) -> dict[str, float]:
        """The scalar roofs, named for a provenance record."""
        scalars = {k: v for k, v in vars(self).items() if isinstance(v, float)}
        return {name: float(f"{value:.4g}") for name, value in scalars.items()}


def device_roofs(dtype: str = "float32", device: Device | None = None) -> Roofs:
    """The device's roofs at the current `jax.default_matmul_precision`.

    Measured once per process, dtype and precision, in about 7 s.
    """
    return measured_roofs(*product_setting(dtype, device))


@cache
def measured_roofs(dtype: str, device: Device, precision: str | None) -> Roofs:
    """`device_roofs`, measured at `precision`, which is the current one."""
    width = jnp.dtype(dtype).itemsize
    setting = dtype, device, precision
    measured_matmul_peak(*setting)
    with jax.enable_x64(dtype == "float64"), jax.default_device(device):
        small = jnp.zeros(ELEMENTS, dtype)
        squares = [jnp.full((n, n), 1 / n, dtype) for n in SIDES]
        arrays = [jnp.zeros(size // width, dtype) for size in SIZES]
        kinds = (
            ([2 * n**3 for n in SIDES], jnp.matmul, squares),
            ([2 * size for size in SIZES], multiply_add, arrays),
        )
        looped, straight = zip(*(curves(*kind) for kind in kinds), strict=True)
        chain_s = looped_s(multiply_adds, small)
        return Roofs(
            # Once more, seconds later: the machine may have been busy.
            flops_per_s=measured_matmul_peak(*setting, again=True),
            bytes_per_s=measured_memory_bandwidth(device),
            elementwise_flops_per_s=2 * CHAIN * ELEMENTS / chain_s,
            transcendentals_per_s=ELEMENTS / looped_s(lambda c, a: jnp.tanh(c), small),
            straight=Steps(*straight),
            looped=Steps(*looped),
            call_s=called_s(jnp.matmul, squares[:1])[0],
        )


def curves(
    work: Sequence[float], step: Callable, arrays: Sequence
) -> tuple[Curve, Curve]:
    """Seconds of `step` for each array, in a loop and as a program of its own less the
    call's time; never less for more work, nor out of the loop than in it."""
    looped = np.array([looped_s(step, array) for array in arrays])
    called = np.array(called_s(step, arrays))
    straight = np.maximum(looped, called - called[0])
    seconds = (np.maximum.accumulate(times).tolist() for times in (looped, straight))
    looped, straight = (Curve(tuple(map(float, work)), tuple(s)) for s in seconds)
    return looped, straight


def multiply_add(carry: jax.Array, array: jax.Array) -> jax.Array:
    """One pass: two arrays read at most, one written."""
    return carry * array + array


def multiply_adds(carry: jax.Array, array: jax.Array) -> jax.Array:
    """`CHAIN` multiply-adds an element, each needing the last."""
    for _ in range(CHAIN):
        carry = multiply_add(carry, array)
    return carry


def called_s(step: Callable, arrays: Sequence) -> list[float]:
    """Least seconds of `step(array, array)` as a program of its own, for each array.

    Sampled in turn: threads that a call has to wake take longer at some times."""
    program = jax.jit(lambda array: step(array, array))
    calls = {str(k): (program.lower(a).compile(), (a,)) for k, a in enumerate(arrays)}
    times = time_calls(calls, rounds=9, budget_s=1.5)
    return [timing.minimum_s for timing in times.values()]


def looped_s(step: Callable, array: jax.Array) -> float:
    """Seconds of one `step(carry, array)` inside a compiled loop of many, whose length
    the compiler knows, as it does of a scan."""

    def loop(trips):
        def program(carry, array):
            return lax.fori_loop(0, trips, lambda _, carry: step(carry, array), carry)

        return jax.jit(program).lower(array, array).compile()

    once_s = least_s(loop(4), array, array) / 4
    trips = int(np.clip(LOOP_S / once_s, 4, 10_000))
    return least_s(loop(trips), array, array) / trips


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
    if roof_fraction(flops, time_s, dtype, device) > 1:
        measured_matmul_peak(*product_setting(dtype, device), again=True)
    fraction = roof_fraction(flops, time_s, dtype, device)
    if fraction <= 1:
        return ""
    return (
        f"refused: {flops:.3g} flops in {time_s:.3g} s is {fraction:.2f} times the "
        f"measured matmul roof of this device ({matmul_peak(dtype, device):.3g} "
        "flops/s); the compiler folded or dropped work."
    )
