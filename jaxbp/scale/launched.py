"""Did a launcher start this process beside others? As its environment says."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import InvalidArgument


class Place(NamedTuple):
    """A process among those that a launcher started: its index, their count, and its
    index among those of this machine, where that is known."""

    index: int
    count: int
    local: int | None = None


# (index, count, index on the machine) by launcher. Slurm's of the step: they are set
# by `srun` alone, and not in a batch script or an allocation around it.
VARIABLES = {
    "Slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    "Open MPI": (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
}


def launched(environment: Mapping[str, str] | None = None) -> Place:
    """This process's place; (0, 1) where no launcher's variables are set.

    Args:
      environment: the process's own if left out.

    Raises:
      InvalidArgument: variables that are no numbers.
    """
    found = os.environ if environment is None else environment
    for launcher, (index, count, local) in VARIABLES.items():
        if index in found and count in found:
            try:
                near = int(found[local]) if local in found else None
                place = Place(int(found[index]), int(found[count]), near)
            except ValueError as error:
                raise InvalidArgument(
                    f"{launcher}'s {index} and {count} must be numbers, but are "
                    f"`{found[index]}` and `{found[count]}`."
                ) from error
            if 0 <= place.index < place.count:
                return place
    return Place(0, 1)


def is_launched(environment: Mapping[str, str] | None = None) -> bool:
    """Whether there are other processes, or JAX can find out (Kubernetes' indexed jobs,
    a Cloud TPU slice of several hosts)."""
    found = os.environ if environment is None else environment
    hosts = found.get("TPU_WORKER_HOSTNAMES", "")
    return (
        launched(found).count > 1
        or ("KUBERNETES_SERVICE_HOST" in found and "JOB_COMPLETION_INDEX" in found)
        or "," in hosts
    )
