"""A study killed at random moments ends with the rows of an undisturbed one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxbp.study.tables import read_csv

ROOT = Path(__file__).parents[2]
KILLS = 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks and kills")
def test_twenty_kills_lose_no_finished_row(tmp_path):
    calls = tmp_path / "calls"
    environment = os.environ | {
        "TOY_CALLS": str(calls),
        "TOY_PAUSE_S": "0.03",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",  # forking is what this is about
    }
    command = [sys.executable, ROOT / "tests/study/toy.py", tmp_path, str(KILLS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (written,) = tmp_path.glob("toy/*/rows.csv")
    rows = read_csv(written.read_text())
    assert [row["n"] for row in rows] == list(range(1, 21))
    assert [row["n"] for row in rows if "time_s" not in row] == [7]
    assert all(row["time_s"] == round(row["n"] / 1000, 3) for row in rows[:6])
    # A kill costs the one row that was being measured, never one that was finished.
    assert len(rows) <= len(calls.read_bytes()) <= len(rows) + KILLS
