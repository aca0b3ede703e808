"""Device facts and measured roofs."""

import jax
import pytest

from jaxbp import timing
from jaxbp.errors import InvalidArgument
from jaxbp.timing import DeviceFacts
from jaxbp.timing.device import ROOF_SLACK, allocator


@pytest.mark.parametrize(
    ("platform", "name", "cores", "folder"),
    [
        ("cpu", "Some Processor", 2, "cpu-2-cores"),
        ("cpu", "Some Processor", 1, "cpu-1-core"),
        ("gpu", "NVIDIA H200 (141 GB)", None, "nvidia-h200-141-gb"),
        ("tpu", "TPU v5 lite", None, "tpu-v5-lite"),
    ],
)
def test_the_folder_is_named_for_the_device(platform, name, cores, folder):
    facts = DeviceFacts(platform, name, cores, devices=1, memory_bytes=None)
    assert facts.folder == folder


def test_facts_of_the_cpu_name_no_host():
    import socket

    facts = timing.device_facts(timing.find_device("cpu"))
    assert facts.platform == "cpu" and facts.cores >= 1 and facts.devices >= 1
    assert facts.memory_bytes is None or facts.memory_bytes > 2**28
    assert socket.gethostname() not in (facts.name, facts.folder)


def test_an_absent_device_is_an_error_that_names_the_default():
    absent = "tpu" if jax.default_backend() != "tpu" else "cuda"
    with pytest.raises(InvalidArgument, match=f"`device` is `{absent}`, but JAX sees"):
        timing.find_device(absent)


def test_the_load_is_a_share_of_the_cores():
    load = timing.load()
    assert load is None or load >= 0


def test_the_default_device_is_heeded():
    device = jax.devices()[-1]
    with jax.default_device(device):
        assert timing.find_device() == device


def test_roofs_are_positive_and_measured_once():
    peak = timing.matmul_peak("float32")
    assert 1e8 < peak < 1e16
    assert timing.matmul_peak("float32") == peak
    assert 1e8 < timing.memory_bandwidth() < 1e14


def test_a_possible_rate_is_not_refused():
    peak = timing.matmul_peak("float32")
    assert timing.roof_fraction(peak / 2, 1.0) == pytest.approx(0.5)
    assert timing.refusal(peak / 2, 1.0) == ""


def test_an_impossible_rate_is_refused_with_its_numbers():
    flops = 3 * ROOF_SLACK * timing.matmul_peak("float32")
    reason = timing.refusal(flops, 1.0)
    assert reason.startswith("refused:") and "3.15 times" in reason


def test_an_allocator_that_reports_nothing_gives_none():
    class Device:
        def memory_stats(self):
            return None

    assert allocator(Device(), "bytes_limit") is None
