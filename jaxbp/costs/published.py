"""Peaks and links of devices as their makers publish them; nothing was measured."""

from typing import NamedTuple


class Device(NamedTuple):
    """A device, as its maker describes it.

    Fields:
      flops_per_s: the peak of products in bfloat16, without sparsity.
      memory_bytes: of its own memory.
      near_bytes_per_s: one way between neighbours, eight of a node or of the torus.
      far_bytes_per_s: one way on a ring through all.
      source: where this is published.
    """

    flops_per_s: float
    memory_bytes: float
    near_bytes_per_s: float
    far_bytes_per_s: float
    source: str


DEVICES = {
    # 8 network cards of 400 Gb/s a node of 8: 400 GB/s into and out of each
    "H100 SXM": Device(
        989e12, 80e9, 450e9, 400e9,
        "NVIDIA H100 data sheet: 989 Tflop/s bfloat16 dense, 80 GB, NVLink 900 GB/s "
        "both ways; NVIDIA DGX H100 user guide: ConnectX-7, 400 Gb/s a GPU",
    ),
    "A100 SXM 80 GB": Device(
        312e12, 80e9, 300e9, 200e9,
        "NVIDIA A100 data sheet: 312 Tflop/s bfloat16 dense, 80 GB, NVLink 600 GB/s "
        "both ways; NVIDIA DGX A100 user guide: ConnectX-6, 200 Gb/s a GPU",
    ),
    "TPU v5p": Device(
        459e12, 95e9, 600e9, 600e9,
        "Google Cloud TPU v5p documentation: 459 Tflop/s bfloat16, 95 GiB, "
        "1,200 GB/s both ways a chip between chips (3D torus)",
    ),
}  # fmt: skip
