"""Runs of several processes that are stopped, killed and resumed by another number:
`python -m tests.scale.processes 2 4`."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
LIMIT_S = 60  # no wait for a process that is lost takes longer
EPOCHS = 80
HAS_ORBAX = importlib.util.find_spec("orbax") is not None


def start(path, epochs, count, folder):
    """The processes of a run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiled once, run a moment
    }
    runs = []
    for index in range(count):
        place = [f"localhost:{port}", str(count), str(index)] if count > 1 else []
        command = [sys.executable, "-m", "tests.scale.worker", str(path), str(epochs)]
        with open(Path(folder) / f"{index}.log", "w") as log:
            runs.append(
                subprocess.Popen(
                    [*command, *place],
                    cwd=ROOT,
                    env=environment,
                    stderr=log,
                    stdout=log,
                )
            )
    return runs


def wait(runs, limit_s=LIMIT_S):
    """Their exit statuses; none may take longer than the limit."""
    try:
        return [run.wait(limit_s) for run in runs]
    except subprocess.TimeoutExpired:
        return ["hangs"]
    finally:
        for run in runs:
            run.kill()  # of no effect on one that has ended


def mark(path):
    """What changes when a state is saved."""
    path = Path(path)
    if path.is_dir():
        done = [p for p in path.iterdir() if p.name.isdigit()]
        return max((int(p.name) for p in done), default=0)
    return path.stat().st_mtime_ns if path.exists() else 0


def until_saved(path, runs, times=3):
    """Returns when so many states were saved since."""
    for _ in range(times):
        before, limit = mark(path), time.monotonic() + LIMIT_S
        while mark(path) == before:
            assert time.monotonic() < limit, "nothing is saved"
            assert all(run.poll() is None for run in runs), said(path.parent)
            time.sleep(0.02)


def stopped_killed_resumed(folder, name, count, last, epochs, wanted):
    """SIGTERM to one process, kill -9 of another, the end by `last` processes."""
    path = Path(folder) / name
    stopped(path, count, folder)
    return killed_resumed(path, count, last, epochs, wanted)


def stopped(path, count, folder):
    """SIGTERM to one process: all save and leave with 143."""
    runs = start(path, 10_000, count, folder)
    until_saved(path, runs)
    runs[-1].send_signal(signal.SIGTERM)
    statuses = wait(runs)
    assert statuses == [143] * count, (statuses, said(folder))


def killed_resumed(path, count, last, epochs, wanted):
    """kill -9 of one process ends the others; the end by `last` processes. Seconds
    until they ended."""
    folder = path.parent
    runs = start(path, 10_000, count, folder)
    until_saved(path, runs)
    begun = time.monotonic()
    runs[-1].send_signal(signal.SIGKILL)
    statuses, lost_s = wait(runs), time.monotonic() - begun
    assert statuses[-1] == -signal.SIGKILL and 0 not in statuses, statuses
    assert told(said(folder)), said(folder)
    statuses = wait(start(path, epochs, last, folder), 240)
    assert statuses == [0] * last, (statuses, said(folder))
    found = np.load(f"{path}.losses.npy")
    count = min(len(found), len(wanted))
    np.testing.assert_allclose(found[:count], wanted[:count], rtol=1e-12)
    return lost_s


def said(folder):
    return "".join(p.read_text() for p in sorted(Path(folder).glob("*.log")))


def told(text):
    """The lab's message, or that of JAX, which may be quicker."""
    return "has died or does not answer" in text or "another task died" in text


def reference(folder, epochs):
    """The losses of one process on one device."""
    path = Path(folder) / "alone.safetensors"
    assert wait(start(path, epochs, 1, folder)) == [0]
    return np.load(f"{path}.losses.npy")


def main(*counts):
    names = ["state.safetensors"] * ("orbax" not in counts) + ["state"] * HAS_ORBAX
    counts = [count for count in counts if count.isdigit()]
    with tempfile.TemporaryDirectory() as folder:
        wanted = reference(folder, EPOCHS)
        for count in map(int, counts):
            for name in names:
                with tempfile.TemporaryDirectory() as own:
                    last = 2 if count == 4 else 4 if count == 2 else 1
                    lost_s = stopped_killed_resumed(
                        own, name, count, last, EPOCHS, wanted
                    )
                    print(
                        f"{count} processes, {name}: SIGTERM leaves all with 143; the "
                        f"others ended {lost_s:.1f} s after kill -9 of one; resumed by "
                        f"{last}: losses as of one process",
                        flush=True,
                    )


if __name__ == "__main__":
    main(*sys.argv[1:])
