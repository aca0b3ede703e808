"""Programs to differentiate, each as someone would write it in plain JAX.

`program(name)` gives a scalar function of (params, *data) and its arguments, at the
size that studies time (`real`) or at one that tests can afford (`small`). Sizes stand
in `PROGRAMS`. Everything random is drawn from a seed, in a given dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxbp.errors import InvalidArgument, UnknownName, nearest
from jaxbp.problems.everyday import EVERYDAY
from jaxbp.problems.programs import networks, objectives, physics, recurrent
from jaxbp.problems.programs.draw import Draw

Sizes = dict[str, int]


@dataclass(frozen=True)
class Program:
    """A scalar function of (params, *data) and arguments to call it with.

    Attributes:
      name: as in `PROGRAMS`.
      f: (params, *data) -> () of the params' dtype; differentiable in params.
      args: (params, *data), pytrees of arrays.
      sizes: what the arguments were made for.
    """

    name: str
    f: Callable
    args: tuple[Any, ...]
    sizes: Sizes


# name: (function, maker of its arguments, sizes that are timed, sizes for tests)
RECURRENT = dict(time=100, batch=8, width=512), dict(time=3, batch=2, width=4)
PENDULUM = dict(steps=10_000), dict(steps=5)
PROGRAMS: dict[str, tuple[Callable, Callable, Sizes, Sizes]] = {
    "mlp_deep": (
        networks.mlp,
        networks.mlp_args,
        dict(depth=50, width=128, batch=64, classes=10),
        dict(depth=3, width=4, batch=2, classes=3),
    ),
    "mlp_wide": (
        networks.mlp,
        networks.mlp_args,
        dict(depth=2, width=1024, batch=64, classes=10),
        dict(depth=1, width=8, batch=2, classes=3),
    ),
    "cnn": (
        networks.cnn,
        networks.cnn_args,
        dict(batch=32, side=28, channels=16, classes=10),
        dict(batch=2, side=8, channels=2, classes=3),
    ),
    "transformer_block": (
        networks.transformer_block,
        networks.transformer_args,
        dict(batch=4, time=128, d=256),
        dict(batch=1, time=3, d=8),
    ),
    "embedding_attention": (
        networks.embedding_attention,
        networks.embedding_args,
        dict(batch=4, time=64, d=128, vocabulary=2000),
        dict(batch=1, time=3, d=8, vocabulary=5),
    ),
    "residual_layers": (
        networks.residual_layers,
        networks.residual_args,
        dict(depth=12, width=256, batch=64),
        dict(depth=2, width=4, batch=2),
    ),
    "tanh_rnn": (recurrent.tanh_rnn, recurrent.recurrent_args(1), *RECURRENT),
    "lstm": (recurrent.lstm, recurrent.recurrent_args(4), *RECURRENT),
    "gru": (recurrent.gru, recurrent.recurrent_args(3), *RECURRENT),
    "rk4": (
        physics.rk4,
        physics.rk4_args,
        dict(species=32, steps=1000),
        dict(species=3, steps=4),
    ),
    "lorenz": (
        physics.lorenz,
        physics.lorenz_args,
        dict(steps=10_000),
        dict(steps=4),
    ),
    "pendulum_scan": (physics.pendulum_scan, physics.pendulum_args, *PENDULUM),
    "pendulum_fori": (physics.pendulum_fori, physics.pendulum_args, *PENDULUM),
    "gaussian_mixture": (
        objectives.gaussian_mixture,
        objectives.mixture_args,
        dict(points=1000, clusters=25, d=16),
        dict(points=5, clusters=2, d=3),
    ),
    "bundle_adjustment": (
        objectives.bundle_adjustment,
        objectives.bundle_args,
        dict(cameras=50, points=2000, observations=10_000),
        dict(cameras=2, points=3, observations=4),
    ),
    "log_sum_exp": (
        objectives.log_sum_exp,
        objectives.log_sum_exp_args,
        dict(n=1_000_000),
        dict(n=7),
    ),
    "kmeans_cost": (
        objectives.kmeans_cost,
        objectives.kmeans_args,
        dict(points=5000, clusters=25, d=16),
        dict(points=6, clusters=3, d=2),
    ),
    "determinant": (
        objectives.determinant,
        objectives.determinant_args,
        dict(n=5),
        dict(n=3),
    ),
    "cholesky_likelihood": (
        objectives.cholesky_likelihood,
        objectives.cholesky_args,
        dict(points=400, d=4),
        dict(points=5, d=2),
    ),
    "fft_convolution": (
        objectives.fft_convolution,
        objectives.fft_args,
        dict(batch=32, length=4096),
        dict(batch=2, length=16),
    ),
}


def program(
    name: str, size: str = "real", *, seed: int = 0, dtype: Any = np.float32
) -> Program:
    """A program by its name, with arguments of a size.

    Args:
      name: a key of `PROGRAMS`, or of `problems.everyday.EVERYDAY`.
      size: "real" as studies time it, "small" as tests can afford it.
      seed: of the arguments.
      dtype: of their floats.

    Raises:
      UnknownName: there is no such program.
      InvalidArgument: `size` is neither of the two.
    """
    known = PROGRAMS | EVERYDAY
    if name not in known:
        raise UnknownName(f"no program is called `{name}`. {nearest(name, known)}")
    if size not in ("real", "small"):
        raise InvalidArgument(f"`size` must be `real` or `small`, but is `{size}`.")
    f, make_args, real, small = known[name]
    sizes = real if size == "real" else small
    args = jax.device_put(tuple(make_args(Draw(seed, dtype), **sizes)))
    return Program(name, f, args, sizes)
