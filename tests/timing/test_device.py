"""Device facts."""

import jax
import pytest

from jaxbp import timing
from jaxbp.errors import InvalidArgument
from jaxbp.timing import DeviceFacts
from jaxbp.timing.device import allocator


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


def test_an_allocator_that_reports_nothing_gives_none():
    class Device:
        def memory_stats(self):
            return None

    assert allocator(Device(), "bytes_limit") is None
