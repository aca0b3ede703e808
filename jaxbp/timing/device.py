"""What is this device: its kind, name, cores and memory?"""

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxbp.errors import InvalidArgument

Device = Any  # a jax.Device, which type checkers take for a variable


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


def allocated_peak_bytes() -> int | None:
    """The most that this process ever held on the current device, in bytes; None
    where the allocator does not tell, as on a CPU."""
    return allocator(find_device(), "peak_bytes_in_use")


def allocator(device: Device, entry: str) -> int | None:
    """One entry of the device allocator's report (`peak_bytes_in_use`,
    `bytes_limit`, ...) in bytes, or None: a CPU reports nothing."""
    report = device.memory_stats()
    return report.get(entry) if report else None
