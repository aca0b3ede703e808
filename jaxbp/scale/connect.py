"""Join the other processes of a run, as JAX does it."""

import contextlib
import os

import jax

from ..errors import InvalidArgument
from .launched import is_launched
from .processes import WAIT_S, Processes

HEARTBEAT_S = 20  # a process that is silent for so long is dead
START_S = 120


def connect(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    wait_s: float = WAIT_S,
) -> Processes:
    """Call this before JAX computes anything; alone, it does nothing.

    Without arguments it is a launcher's environment that tells: Slurm, Open MPI,
    Kubernetes, Cloud TPU. On CPUs the processes talk by gloo.

    Args:
      coordinator: host:port of the first process, one that is free there.
      processes: how many there are.
      process_id: which of them this is, from 0.
      wait_s: after how long a wait for another process is given up, seconds.

    Returns:
      The processes, for `fit` and for saving.

    Raises:
      InvalidArgument: some of the three arguments, but not all; JAX was started before;
        the others did not come.
    """
    given = [coordinator, processes, process_id]
    if any(g is None for g in given) and any(g is not None for g in given):
        raise InvalidArgument(
            "`--coordinator`, `--processes` and `--process-id` go together, but only "
            "some are given. Under srun or mpirun none of them is needed."
        )
    if jax.distributed.is_initialized():
        return Processes.current(wait_s)
    if processes == 1 or (processes is None and not is_launched()):
        return Processes(wait_s=wait_s)
    if processes is not None and not 0 <= int(process_id or 0) < processes:
        raise InvalidArgument(
            f"`process_id` must be from 0 to {processes - 1}, but is {process_id}."
        )
    _use_gloo()
    try:
        jax.distributed.initialize(
            coordinator, processes, process_id,
            initialization_timeout=START_S,
            heartbeat_timeout_seconds=HEARTBEAT_S,
            shutdown_timeout_seconds=HEARTBEAT_S,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise InvalidArgument(
            "the processes could not be joined (jax.distributed.initialize): "
            f"{str(error).splitlines()[0]}"
        ) from error
    return Processes.current(wait_s)


def _use_gloo() -> None:
    """Collectives between CPUs, where those are the devices."""
    with contextlib.suppress(AttributeError, ValueError):
        if os.environ.get("JAX_CPU_COLLECTIVES_IMPLEMENTATION", "none") == "none":
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
