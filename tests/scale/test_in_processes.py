"""What needs processes of its own: eight devices, runs of several that are lost.

The whole acceptance, which takes minutes, are the commands that these modules name.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxbp import scale
from tests.scale import processes, sweeps, worker

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes")


def test_losses_on_eight_devices_are_those_of_one():
    done = subprocess.run(
        [sys.executable, "-m", "tests.scale.meshes", "few"], cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.slow
def test_of_two_processes_one_is_killed_and_one_goes_on(tmp_path):
    name = "state" if processes.HAS_ORBAX else "state.safetensors"
    alone = worker.trained(tmp_path / "alone.safetensors", 8, scale.ALONE, None)
    wanted = alone.history["step_loss"]
    processes.killed_resumed(tmp_path / name, 2, 1, 8, wanted)


def test_a_sweep_loses_a_process_and_no_row(tmp_path):
    sweeps.one_lost(tmp_path, 2)
