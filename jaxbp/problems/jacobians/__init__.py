"""Functions whose whole Jacobian or Hessian is wanted, and how one writes it by hand.

`FAMILIES` has them by name; weights are arguments, so that XLA folds none of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxbp.errors import UnknownName, nearest
from jaxbp.problems.jacobians import networks, systems
from jaxbp.problems.programs.draw import Draw


class Family(NamedTuple):
    """A function of (x, *weights) and what is wanted of it, by x.

    Attributes:
      f: the function.
      by_hand: what is wanted, called as `f` is.
      make: draw, *sizes -> the arguments.
      real, small: sizes that are timed, and that tests can afford.
      wanted: "jacobian"; "hessian" of a scalar function; "laplacian", its trace;
        "batched": the Jacobian for each state of a batch; "sparse jacobian" and
        "sparse hessian": a BCOO matrix.
      compact: of a sparse one its entries as bands or blocks, without their places.
    """

    f: Callable
    by_hand: Callable
    make: Callable
    real: tuple
    small: tuple
    wanted: str = "jacobian"
    compact: Callable | None = None


def _layers(f, by_hand, real, small) -> Family:
    return Family(f, by_hand, networks.layered_args, (real,), (small,))


def _square(draw, n):
    return draw.normal(n, scale=1), draw.normal(n, n)


_NARROW, _WIDE, _TINY = (
    (512, 256, 8, 256, 512),
    (2048, 2048, 8, 2048, 2048),
    (12, 8, 2, 8, 12),
)
_BOTTLENECKS = {
    "bottleneck": (networks.layered, networks.bottleneck_by_hand),
    "residual": (networks.residual, networks.residual_by_hand),
    "gated": (networks.gated, networks.gated_by_hand),
}

FAMILIES: dict[str, Family] = {
    **{
        f"{name} {widths[0]}": _layers(*pair, widths, _TINY)
        for name, pair in _BOTTLENECKS.items()
        for widths in (_NARROW, _WIDE)
    },
    "tanh(A x)": Family(
        networks.tanh_outside, networks.tanh_outside_by_hand, _square, (1024,), (6,)
    ),
    "A tanh(x)": Family(
        networks.tanh_inside, networks.tanh_inside_by_hand, _square, (1024,), (6,)
    ),
    "W2 tanh(W1 x)": _layers(
        networks.layered, networks.tall_by_hand, (512, 512, 512), (6, 6, 6)
    ),
    "hourglass": _layers(
        networks.layered,
        networks.bottleneck_by_hand,
        (256, 512, 64, 512, 256),
        (6, 9, 3, 9, 6),
    ),
    "tall": _layers(
        networks.layered, networks.tall_by_hand, (4, 64, 64, 4096), (2, 4, 4, 20)
    ),
    "Lotka-Volterra": Family(
        systems.lotka_volterra, systems.lotka_volterra_by_hand,
        systems.lotka_volterra_args, (1024,), (6,),
    ),
    "Kuramoto": Family(
        systems.kuramoto, systems.kuramoto_by_hand, systems.kuramoto_args, (512,), (6,)
    ),
    "Lennard-Jones": Family(
        systems.lennard_jones, systems.lennard_jones_by_hand,
        systems.lennard_jones_args, (4,), (2,), "hessian",
    ),
    "robot arm": Family(
        systems.arm, systems.arm_by_hand, systems.states, (512, 6), (3, 6), "batched"
    ),
    "heart dipole": Family(
        systems.dipole, systems.dipole_by_hand, systems.states, (512, 8), (3, 8),
        "batched",
    ),
    "per example": Family(
        networks.each, networks.each_by_hand, networks.each_args, (128, 10), (3, 2),
        "sparse jacobian", networks.each_blocks,
    ),
    "stencil": Family(
        systems.chain, systems.chain_by_hand, systems.line, (5000,), (8,),
        "sparse hessian", systems.chain_bands,
    ),
    "Burgers": Family(
        systems.burgers, systems.burgers_by_hand, systems.line, (1000,), (8,),
        "sparse jacobian", systems.burgers_bands,
    ),
    "Laplacian": Family(
        networks.energy, networks.energy_laplacian_by_hand, networks.energy_args,
        (256, 1024), (4, 6), "laplacian",
    ),
}  # fmt: skip


def family(
    name: str, size: str = "real", *, seed: int = 0, dtype: Any = np.float32
) -> tuple[Family, tuple]:
    """A family by its name, and arguments of a size.

    Args:
      name: a key of `FAMILIES`.
      size: "real" as studies time it, "small" as tests can afford it.
      seed: of the arguments.
      dtype: of their floats.

    Raises:
      UnknownName: there is no such family.
    """
    if name not in FAMILIES:
        raise UnknownName(f"no family is called `{name}`. {nearest(name, FAMILIES)}")
    known = FAMILIES[name]
    sizes = known.real if size == "real" else known.small
    return known, jax.device_put(tuple(known.make(Draw(seed, dtype), *sizes)))
