"""One process of a training run: `python -m tests.scale.worker PATH EPOCHS [HOST:PORT
COUNT INDEX]`. A long run saves before every call, and waits a moment in every epoch,
so that a signal finds it at work. The losses go to PATH.losses.npy, by the first."""

import os
import sys
import time

if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    os.environ["JAX_ENABLE_X64"] = "1"

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

import jaxbp  # noqa: E402
from jaxbp import scale  # noqa: E402
from jaxbp.scale.signals import Terminated  # noqa: E402
from jaxbp.training import fit  # noqa: E402

EPOCH_S, LONG = 0.05, 1000


def loss(params, inputs, targets):
    hidden = jnp.tanh(inputs @ params["W1"])
    return jnp.mean((hidden @ params["W2"] - targets) ** 2)


def trained(path, epochs, processes, mesh):
    draw = np.random.default_rng(0).normal
    params = {"W1": draw(size=(4, 8)), "W2": draw(size=(8, 1))}
    inputs = draw(size=(61, 4))
    long = epochs >= LONG
    pause = (lambda *_: time.sleep(EPOCH_S)) if long else None
    specs = mesh and scale.fully_sharded(params, mesh, "data", 1)
    return fit(
        jaxbp.value_and_grad(loss), params, (inputs, inputs[:, :1] * inputs[:, 1:2]),
        optimizer=optax.adam(1e-2), epochs=epochs, batch_size=8, state_path=path,
        resume=True, save_every_s=0.0 if long else 1e9, mesh=mesh, param_specs=specs,
        processes=processes, callback=pause,
    )  # fmt: skip


def main(path, epochs, *place):
    processes, mesh = scale.ALONE, None
    if place:
        coordinator, count, index = place
        processes = scale.connect(coordinator, int(count), int(index), wait_s=20)
        mesh = scale.make_mesh({"data": -1})
    done = trained(path, int(epochs), processes, mesh)
    if processes.first:
        np.save(f"{path}.losses.npy", done.history["step_loss"])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Terminated:
        raise
    except scale.ProcessLost as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(75)
