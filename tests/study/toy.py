"""A study of nothing much, for tests of the machinery.

Command: none
"""

import os
import sys
import time
from pathlib import Path

from jaxbp.study import GAP, Options, Study, grid, plots

MINUTES = 0.1

CALLS = Path(os.environ.get("TOY_CALLS", os.devnull))  # one byte a measurement begun
PAUSE_S = float(os.environ.get("TOY_PAUSE_S", "0"))


def measured(case):
    with open(CALLS, "ab") as log:
        log.write(b".")
    time.sleep(PAUSE_S)
    if case["n"] == 7:
        return {GAP: "unlucky: it is seven"}
    return {"time_s": case["n"] * 1e-3, "ratio": case["n"] / 3}


def plot(rows, axes):
    shown = [row for row in rows if "time_s" in row]
    times = [row["time_s"] for row in shown]
    plots.line(axes[0], [row["n"] for row in shown], times, "toy", "blue")


study = Study(
    file=__file__,
    question=__doc__,
    cases=grid(n=range(1, 21), seed=0),
    quick=grid(n=[1, 7], seed=0),
    measure=measured,
    columns=("n", "time_s", "ratio"),
    plot=plot,
)


def killed_often(results, kills, seed):
    """Start the study, kill it at a random moment, again and again; then finish it."""
    import random
    import signal

    from jaxbp.study.command import execute

    moments = random.Random(seed)
    for attempt in range(kills + 1):
        child = os.fork()
        if child == 0:
            execute(study, Options(results=Path(results)))
            os._exit(0)
        if attempt < kills:
            time.sleep(moments.uniform(0.05, 0.6))
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    killed_often(sys.argv[1], int(sys.argv[2]), seed=0)
