"""What is this device, and how fast can it possibly go?

The roofs are measured, not looked up: the best matrix product and the best pass
over memory that this process saw. A row that claims more than the roof is wrong,
and is refused.
"""

import os
import platform
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxbp.errors import InvalidArgument
from jaxbp.timing.clock import MIN_SAMPLE_S, time_calls

Device = Any  # a jax.Device, which type checkers take for a variable

ROOF_SLACK = 1.05  # a roof is itself a measurement; a claim may exceed it by this
LARGEST_SIDE = 16_384
PASS_BYTES = 256 * 2**20  # far above what a core's own caches hold


@dataclass(frozen=True)
class DeviceFacts:
    """The device of a run, as its results name it (never the host)."""

    platform: str  # cpu, gpu or tpu
    name: str  # of the processor or accelerator
    cores: int | None  # a CPU's; None elsewhere
    devices: int  # of this platform, in this process
    memory_bytes: int | None

    @property
    def folder(self) -> str:
        """Name of this device's results folder, such as `cpu-2-cores`."""
        if self.platform == "cpu":
            return f"cpu-{self.cores}-core" + "s" * (self.cores != 1)
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def columns(self) -> dict:
        """All facts, named for a provenance record."""
        return asdict(self)


def find_device(kind: str | None = None) -> Device:
    """The first device of a kind, or JAX's default device.

    Args:
      kind: `cpu`, `gpu`, `tpu`, or None for JAX's default.

    Raises:
      InvalidArgument: JAX sees no such device.
    """
    if kind is None:
        (device,) = jnp.zeros(()).devices()  # heeds `jax.default_device`
        return device
    try:
        return jax.devices(kind)[0]
    except RuntimeError as error:
        raise InvalidArgument(
            f"`device` is `{kind}`, but JAX sees no such device here; its default is "
            f"`{jax.default_backend()}`. Install the jaxlib for it, or choose another."
        ) from error


def device_facts(device: Device = None) -> DeviceFacts:
    """Platform, name, cores and memory of a device (default: JAX's default)."""
    device = device or find_device()
    cpu = device.platform == "cpu"
    return DeviceFacts(
        platform=device.platform,
        name=cpu_name() if cpu else device.device_kind,
        cores=usable_cores() if cpu else None,
        devices=jax.device_count(device.platform),
        memory_bytes=host_memory_bytes() if cpu else allocator(device, "bytes_limit"),
    )


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float | None:
    """Running processes per core over the last minute, or None where the system does
    not tell; near 0 on a quiet machine."""
    try:
        return round(os.getloadavg()[0] / usable_cores(), 2)
    except (AttributeError, OSError):  # not a POSIX system
        return None


def cpu_name() -> str:
    """The processor's model name, or its architecture where no name is told."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def host_memory_bytes() -> int | None:
    """Main memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None


def allocator(device: Device, entry: str) -> int | None:
    """One entry of the device allocator's report (`peak_bytes_in_use`,
    `bytes_limit`, ...) in bytes, or None: a CPU reports nothing."""
    report = device.memory_stats()
    return report.get(entry) if report else None


def matmul_peak(dtype: str = "float32", device: Device | None = None) -> float:
    """Best measured rate of a square matrix product, flops/s, at the current
    `jax.default_matmul_precision`. Measured once per process, in about 1 s.

    Sides double until one product takes 25 times the shortest sample, which on a
    CPU is a side of 1,024 or 2,048.
    """
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore
    name = jnp.dtype(dtype).name
    return measured_matmul_peak(name, device or find_device(), precision)


@cache
def measured_matmul_peak(dtype: str, device: Device, precision: str | None) -> float:
    """`matmul_peak`, measured at `precision`, which is the current one."""
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
    """Why a row's time cannot be true, as one sentence; empty if it can."""
    fraction = roof_fraction(flops, time_s, dtype, device)
    if fraction <= ROOF_SLACK:
        return ""
    return (
        f"refused: {flops:.3g} flops in {time_s:.3g} s is {fraction:.2f} times the "
        f"measured matmul roof of this device ({matmul_peak(dtype, device):.3g} "
        "flops/s); the compiler folded or dropped work."
    )
